"""A matrix of videos × captions, similarity or relevance, in .npy, .pkl or .hdf5 → an array, and back into .hdf5.

HDF5 as upstream's: the dataset `rel_mat` (videos, captions); ours also `video_ids` (rows), `caption_ids` (columns) and
`pairs` (n, 2), the row and column of each video and caption that belong together. Equal content gives equal bytes.

python -m pipeline_lib.retrieval.matrices --in epic100_rel_mat.pkl --out R.hdf5 gives an upstream pickle that form.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import h5py
import numpy as np
import typer

from pipeline_lib.core import cli, files, pickles
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval import names

KEYS = ("rel_mat", "similarity")  # of HDF5 datasets, in the order they are looked for


class Matrix(NamedTuple):
    """A matrix and what its rows and columns are called; None where the file doesn't say.

    Attributes:
        values: (videos, captions) real numbers; mapped into memory rather than read, where the file allows it.
        pairs: (n, 2) row and column of each video and caption that belong together.
    """

    values: np.ndarray
    video_ids: list[str] | None = None
    caption_ids: list[str] | None = None
    pairs: np.ndarray | None = None


def read(path: Path, key: str | None = None) -> Matrix:
    """The matrix in a file.

    Args:
        key: dataset of an HDF5 file; by default one of KEYS, or the only one with two axes.

    Raises:
        UserError: no such file, or no matrix of real numbers in it. Pickled objects are refused, not executed.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UserError(f"{path} does not exist or is no file; correct the path")
    if suffix == ".npy":
        found = Matrix(load_npy(path))
    elif suffix in (".pkl", ".pickle"):
        found = Matrix(pickles.load(path))
    elif suffix in (".hdf5", ".h5"):
        found = _hdf5(path, key)
    else:
        raise UserError(f"{path}: matrices are read from .npy, .pkl and .hdf5; save it as one of them")
    values = found.values
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiub":
        what = f"shape {values.shape} of {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise UserError(f"{path} holds no matrix of real numbers but {what}; expected (videos, captions)")
    if not values.size:
        raise UserError(f"{path} holds an empty matrix, {values.shape[0]} × {values.shape[1]}; make it again")
    for name, ids, count in zip(("video", "caption"), found[1:3], values.shape, strict=True):
        if ids is not None and len(ids) != count:
            raise UserError(f"{path} has {len(ids)} {name}_ids for {count} {name}s; make it again")
    if found.pairs is not None and not _within(found.pairs, values.shape):
        raise UserError(
            f"{path}: pairs point outside of the {values.shape[0]} × {values.shape[1]} matrix; make it again"
        )
    return found


def load_npy(path: Path) -> np.ndarray:
    """An array mapped into memory; one that is missing, broken or holds objects is a UserError."""
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        why = "it holds pickled objects" if "allow_pickle" in str(error) or "Python objects" in str(error) else error
        raise UserError(
            one_line(
                f"{path} can't be read as a matrix ({why}); save one with numpy.save(path, array.astype('float32'))"
            )
        ) from None
    if not isinstance(loaded, np.ndarray):
        raise UserError(f"{path} is an .npz archive under another name; save the matrix alone with numpy.save")
    return loaded


def _hdf5(path: Path, key: str | None) -> Matrix:
    try:
        with h5py.File(path, "r", locking=False) as file:
            dataset = _dataset(file, key, path)
            ids = [_strings(file, name) for name in ("video_ids", "caption_ids")]
            pairs = file["pairs"][()] if isinstance(file.get("pairs"), h5py.Dataset) else None
            offset = dataset.id.get_offset()
            if dataset.chunks is None and offset is not None and dataset.size and dataset.dtype.kind in "fiu":
                values = np.memmap(path, dataset.dtype, "r", offset, dataset.shape)
            else:
                values = dataset[()]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(one_line(f"{path} can't be read as HDF5: {error}; make it again")) from None
    return Matrix(values, ids[0], ids[1], pairs)


def _dataset(file: h5py.File, key: str | None, path: Path) -> h5py.Dataset:
    own = {name: one for name in file if isinstance(one := file.get(name), h5py.Dataset)}
    names = (
        [key]
        if key
        else [name for name in KEYS if name in own][:1]
        or [name for name, one in own.items() if one.ndim == 2 and name != "pairs"]
    )
    if len(names) != 1 or names[0] not in own:
        wanted = f"dataset {key!r}" if key else f"dataset {' or '.join(KEYS)}"
        raise UserError(
            one_line(f"{path} has no {wanted}, only {', '.join(sorted(own)) or 'none at all'}; name one of them")
        )
    dataset = own[names[0]]
    if dataset.external or dataset.is_virtual or dataset.file.filename != file.filename:
        raise UserError(f"{path}: {names[0]} lies in other files; copy it into one")
    return dataset


def _strings(file: h5py.File, name: str) -> list[str] | None:
    stored = file.get(name)
    if not isinstance(stored, h5py.Dataset) or stored.external or stored.is_virtual:
        return None
    return [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in np.ravel(stored[()]).tolist()
    ]


def _within(pairs: np.ndarray, shape: tuple[int, ...]) -> bool:
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        return False
    return bool(((pairs >= 0) & (pairs < shape)).all())


def write(
    path: Path,
    blocks: Iterable[np.ndarray],
    shape: tuple[int, int],
    *,
    video_ids: Sequence[str] | None = None,
    caption_ids: Sequence[str] | None = None,
    pairs: np.ndarray | None = None,
    attributes: Mapping[str, Any] = {},
    dtype: Any = np.float64,
) -> None:
    """Write blocks of rows as HDF5, atomically and as they come: memory holds one of them."""
    with files.atomic(path) as temporary, h5py.File(temporary, "w", libver=("earliest", "v108")) as file:
        values = file.create_dataset("rel_mat", shape, dtype, track_times=False)
        row = 0
        for block in blocks:
            values[row : row + len(block)] = block
            row += len(block)
        if row != shape[0]:
            raise ValueError(f"{row} rows for a matrix of {shape[0]}")
        for name, ids in (("video_ids", video_ids), ("caption_ids", caption_ids)):
            if ids is not None:
                file.create_dataset(name, data=np.array([one.encode() for one in ids]), track_times=False)
        if pairs is not None:
            file.create_dataset("pairs", data=pairs.astype(np.int64), track_times=False)
        for name in sorted(attributes):
            file.attrs[name] = attributes[name]


def main(
    source: Annotated[Path, typer.Option("--in", help="matrix to convert: .npy, .pkl or .hdf5")],
    out: Annotated[Path, typer.Option(help="HDF5 to write")],
    video_ids: Annotated[Path | None, typer.Option(help="what the rows are called: .npy, .json or a line each")] = None,
    caption_ids: Annotated[Path | None, typer.Option(help="what the columns are called")] = None,
    key: Annotated[str | None, typer.Option(help="dataset of an HDF5 file; by default rel_mat")] = None,
) -> None:
    """Give a matrix of any of the formats the one that evaluation reads fastest, with names."""
    found = read(source, key)
    called = [
        given if path is None else names.read(path)
        for path, given in ((video_ids, found.video_ids), (caption_ids, found.caption_ids))
    ]
    for ids, count, what in zip(called, found.values.shape, ("video", "caption"), strict=True):
        if ids is not None and len(ids) != count:
            raise UserError(f"{len(ids)} {what} ids for a matrix of {found.values.shape}; give one per {what}")
    height, width = found.values.shape
    step = max(1, 2**21 // width)
    blocks = (found.values[start : start + step] for start in range(0, height, step))
    write(
        out,
        blocks,
        (height, width),
        video_ids=called[0],
        caption_ids=called[1],
        pairs=found.pairs,
        dtype=found.values.dtype,
    )


if __name__ == "__main__":
    cli.run(main)
