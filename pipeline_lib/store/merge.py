"""A stage's artefacts, a folder of .npy and .npz files, or merged files → one HDF5, an array or a group of arrays per video id.

    python -m pipeline_lib.store.merge --in work/s3d --step 1.6 --out s3d.hdf5         # a stage, by its ledgers
    python -m pipeline_lib.store.merge --in features/ --out clip_image.hdf5            # as MESM's npy2hdf5
    python -m pipeline_lib.store.merge --in clip_image.hdf5 --layout flat --out clip_image.flat.hdf5
    python -m pipeline_lib.store.merge --in a/s3d.hdf5 --in b/s3d.hdf5 --out s3d.hdf5  # of other videos each

Ids sorted, arrays uncompressed and contiguous, no times stored, in the oldest file format that holds the content, so
that any h5py opens it: equal artefacts give equal bytes. Blocks of 2 MB are in memory, a few at a time. The file appears
under its name when it is whole, and is left alone when it already holds what would be written.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.core import cli
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.fingerprint import fingerprint
from pipeline_lib.store import layouts, merge_objects, pieces, sources
from pipeline_lib.store.export_files import whole_file
from pipeline_lib.store.layouts import Attributes, ComparingSink, Different, FileSink, Layout
from pipeline_lib.store.merge_files import joined
from pipeline_lib.store.merged_file import attributes_of
from pipeline_lib.store.pieces import Piece, Squeeze
from pipeline_lib.store.sources import Sources

log = logging.getLogger(__name__)
UNKNOWN = float("nan")  # a step or start that nobody has told


def merge(
    folder: Path, shards: int | None, out: Path, *, step: float, start: float, layout: Layout = Layout.VIDEOS
) -> bool:
    """Write the artefacts of all videos that are ok in a stage's ledgers into one HDF5, atomically.

    Args:
        folder: of the stage, with its ledgers and items/.
        shards: number of its ledgers; None finds out.
        out: file to write.
        step: seconds from one row to the next, stored in the file.
        start: seconds into the video that row 0 stands for, stored in the file.
        layout: a dataset per video, or one for all.

    Returns:
        Whether anything was written: not if `out` already holds all this.

    Raises:
        UserError: the ledgers are of different specs, or an artefact is missing, damaged or unlike the others.
    """
    return _merge(sources.of_stage(folder, shards), out, step, start, layout)


def merge_folder(
    folder: Path,
    out: Path,
    *,
    key: str = "features",
    squeeze: Squeeze = Squeeze.ROWS,
    step: float = UNKNOWN,
    start: float = 0.0,
    layout: Layout = Layout.VIDEOS,
) -> bool:
    """As `merge`, for all .npy and .npz of any folder; ids are the file names without these suffixes.

    Args:
        key: name of the array in an .npz.
        squeeze: none, rows or all; see `pieces.squeezed`.
    """
    return _merge(sources.of_folder(folder, key, squeeze), out, step, start, layout)


def merge_files(paths: Sequence[Path], out: Path, *, layout: Layout) -> bool:
    """Write the features of merged files, each of other videos, into one; with the spec, step and start that they have."""
    for path in paths:
        if path.resolve() == out.resolve():
            raise UserError(f"{path} can't be written over while it is read; give another --out")
    with joined(paths) as files:
        step, start = (float(files.files[0].attributes[name]) for name in ("step", "start"))
        return _merge(files.sources(), out, step, start, layout, files.pieces)


def _merge(
    found: Sources,
    out: Path,
    step: float,
    start: float,
    layout: Layout,
    read: Callable[[], Generator[list[Piece]]] | None = None,
) -> bool:
    attributes: Attributes = {"spec": found.spec, "step": float(step), "start": float(start)}
    if found.digest:
        attributes |= {"sources": found.digest, "code": fingerprint("pipeline_lib.store.merge")}
    if found.of_objects and layout is Layout.FLAT:
        raise UserError("object features have no flat layout; leave out --layout")
    read = read or (lambda: pieces.read(found.entries))
    out.parent.mkdir(parents=True, exist_ok=True)
    if found.of_stage:
        merge_objects.require_one_kind(found.entries)
    began = time.monotonic()
    if _up_to_date(out, found, attributes, layout, read):
        log.info("%s already holds all this: %s; nothing written", out, found.summary)
        return False
    with whole_file(out) as temporary:
        if found.of_objects:
            merge_objects.write(temporary, found.entries, attributes)
        else:
            with FileSink(temporary) as sink, contextlib.closing(read()) as batches:
                layouts.write(sink, found.noting(batches), attributes, layout, len(found.entries))
    seconds, megabytes = time.monotonic() - began, out.stat().st_size / 1e6
    log.info("%s: %s; %.1f MB in %.1f s, %.0f MB/s", out, found.summary, megabytes, seconds, megabytes / seconds)
    return True


def _up_to_date(
    out: Path, found: Sources, attributes: Attributes, layout: Layout, read: Callable[[], Generator[list[Piece]]]
) -> bool:
    """Whether `out` already holds what would be written: by its digest of the artefacts, or else byte by byte.

    A file that other code wrote of the same artefacts is compared, too, and stays with that code's fingerprint if it is equal.
    """
    has = attributes_of(out)
    wanted = attributes if layout is Layout.VIDEOS else {**attributes, "layout": layout.value}
    if has is None:
        return False
    unlike = {name for name in has | wanted if repr(has.get(name)) != repr(wanted.get(name))}
    if unlike - {"code"}:
        return False
    if "sources" in wanted and not unlike:
        return True
    if found.of_objects:
        return False
    attributes = {**attributes, "code": has["code"]} if "code" in has else attributes
    try:
        with ComparingSink(out) as sink, contextlib.closing(read()) as batches:
            return layouts.write(sink, found.noting(batches), attributes, layout, len(found.entries)) == sink.size
    except Different:
        return False


def main(
    out: Annotated[Path, typer.Option(help="HDF5 file to write")],
    given: Annotated[
        list[Path] | None,
        typer.Option(
            "--in",
            help="folder of a stage (work/s3d), folder of .npy or .npz files, or merged HDF5; --in again for further HDF5 files",
        ),
    ] = None,
    ledgers: Annotated[Path | None, typer.Option(help="folder of a stage, as --in")] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, help="number of the stage's ledgers  [default: those there]")
    ] = None,
    step: Annotated[float | None, typer.Option(min=0, help="seconds from one row to the next")] = None,
    start: Annotated[float, typer.Option(help="seconds into the video that row 0 stands for")] = 0.0,
    layout: Annotated[Layout, typer.Option(help="videos: a dataset per id; flat: one for all, faster to read")] = (
        Layout.VIDEOS
    ),
    key: Annotated[str, typer.Option(help="name of the array in plain .npz files")] = "features",
    squeeze: Annotated[
        Squeeze,
        typer.Option(
            help="axes of length 1 in plain .npy files. rows: dropped, but (1, dim) stays; all: (1, dim) becomes (dim,) "
            "too, as in MESM's npy2hdf5; none: kept"
        ),
    ] = Squeeze.ROWS,
) -> None:
    """Merge a stage's artefacts, a folder of .npy and .npz files, or merged files of other videos each, into one HDF5."""
    if bool(given) == bool(ledgers):
        raise UserError("give either --in or --ledgers")
    where, *further = given or [ledgers or Path()]
    if where.is_file() or further:
        merge_files([where, *further], out, layout=layout)
    elif ledgers or shards or sources.is_stage(where):
        if step is None:
            raise UserError(f"{where} is a stage's folder; give --step, the seconds from one row to the next")
        merge(where, shards, out, step=step, start=start, layout=layout)
    elif where.is_dir():
        told = UNKNOWN if step is None else step
        merge_folder(where, out, key=key, squeeze=squeeze, step=told, start=start, layout=layout)
    else:
        raise UserError(f"{where} does not exist; correct --in")


if __name__ == "__main__":
    cli.run(main)
