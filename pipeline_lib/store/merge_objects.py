"""Object features of videos (.npz with the arrays of reader.PARTS) → an HDF5 with a group of arrays per video id.

The group's attributes width and height are the video's, in pixels.
"""

import zipfile
from pathlib import Path

import h5py
import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track
from pipeline_lib.store import arrays
from pipeline_lib.store.arrays import RERUN
from pipeline_lib.store.hdf5_bytes import FORMAT
from pipeline_lib.store.pieces import Entry
from pipeline_lib.store.reader import PARTS

_BLOCK = 8 << 20  # bytes in memory at a time

Kinds = dict[str, tuple[np.dtype, tuple[int, ...]]]  # part → dtype and shape


def write(path: Path, entries: list[Entry], attributes: dict[str, str | float]) -> None:
    """Write a file with the groups of all videos.

    Raises:
        UserError: an artefact is damaged, pickled, empty, not finite, incomplete or unlike the others.
    """
    like: tuple[str, str] | None = None
    with h5py.File(path, "w", libver=FORMAT) as store:
        store.attrs.update(attributes)
        for entry in track(entries, "merge"):
            kinds = inspect(entry.path)
            rows = _words(kinds)
            like = like or (entry.path, rows)
            if rows != like[1]:
                raise unlike(entry.path, rows, *like)
            for part in PARTS:
                _copy(entry.path, part, store, f"{entry.video_id}/{part}")
            _require_lengths(entry.path, kinds)
            store[entry.video_id].attrs.update(_size(entry.path))


def inspect(path: str) -> Kinds:
    """What an artefact holds, checked as far as that goes without reading the numbers.

    Raises:
        UserError: names the file, what is wrong with it and the fix.
    """
    if not path.endswith(".npz"):
        with arrays.opened(path) as stream:
            return {"": (stream.dtype, stream.shape)}
    with arrays.readable(path), zipfile.ZipFile(path) as archive:
        missing = [part for part in PARTS if f"{part}.npy" not in archive.namelist()]
    if missing:
        raise UserError(f"{path} has no {', '.join(missing)}; {RERUN}")
    kinds: Kinds = {}
    for part in PARTS:
        with arrays.opened(path, part) as stream:
            kinds[part] = stream.dtype, stream.shape
        wrong = arrays.fault(*kinds[part])
        if wrong:
            raise UserError(f"{path} ({part}) {wrong}; {RERUN}")
    return kinds


def _require_lengths(path: str, kinds: Kinds) -> None:
    if len({shape[:2] for _, shape in kinds.values()}) > 1:  # frames, boxes per frame
        shapes = ", ".join(f"{part} {shape}" for part, (_, shape) in kinds.items())
        raise UserError(f"{path} has parts of different lengths: {shapes}; {RERUN}")


def require_one_kind(entries: list[Entry]) -> None:
    """Refuse a stage that has made both .npy and .npz.

    Raises:
        UserError: names one of each, or what else is wrong with the odd one.
    """
    first = entries[0].path if entries else ""
    for entry in entries:
        if entry.path[-4:] != first[-4:]:
            kinds = inspect(entry.path)
            for part in kinds if entry.path.endswith(".npz") else ():
                _copy(entry.path, part)
            _require_lengths(entry.path, kinds)
            raise unlike(entry.path, _words(kinds), first, _words(inspect(first)))


def unlike(path: str, rows: str, other: str, others: str) -> UserError:
    return UserError(
        f"{path} holds {rows} but {other} holds {others}; delete the one that is wrong and run its stage again"
    )


def _copy(path: str, part: str, store: h5py.File | None = None, name: str = "") -> None:
    """Check a part and, with a `store`, write it as dataset `name`, some rows at a time."""
    with arrays.opened(path, part) as stream:
        width = stream.nbytes // stream.shape[0]
        made = store.create_dataset(name, stream.shape, stream.dtype, track_times=False) if store is not None else None
        step = max(1, _BLOCK // width)
        for first in range(0, stream.shape[0], step):
            rows = min(step, stream.shape[0] - first)
            content = memoryview(bytearray(rows * width))
            stream.readinto(content)
            if not arrays.finite(content, stream.dtype):
                raise UserError(f"{path} ({part}) holds NaN or infinite numbers; {RERUN}")
            if made is not None:
                made[first : first + rows] = np.frombuffer(content, stream.dtype).reshape(rows, *stream.shape[1:])


def _size(path: str) -> dict[str, int]:
    """Width and height in pixels of the video that an .npz is from, where it says so."""
    with arrays.readable(path), np.load(path, allow_pickle=False) as content:
        if "size" not in content:
            return {}
        width, height = content["size"].tolist()
        return {"width": width, "height": height}


def _words(kinds: Kinds) -> str:
    return ", ".join(f"{part} {dtype} rows of {shape[1:]}".strip() for part, (dtype, shape) in kinds.items())
