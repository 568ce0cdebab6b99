"""A stage's ledgers and artefacts (.npy, .npz) → one HDF5 with an array, or a group of arrays, per video id.

    .npy   features (rows, …)           → a dataset at the root under the video's id
    .npz   the arrays of reader.PARTS   → a group under the video's id with a dataset for each; its attributes width and
           height are the video's, in pixels

Ids sorted, arrays uncompressed and contiguous, no times stored, in the oldest file format that holds the content, so
that any h5py opens it: equal artefacts give equal bytes. One artefact is in memory at a time.
"""

import contextlib
import logging
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import typer
from filelock import FileLock, Timeout

from pipeline_lib.core import cli, files, ledger
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.core.ledger import Row
from pipeline_lib.core.progress import track
from pipeline_lib.store.reader import PARTS

log = logging.getLogger(__name__)
FORMAT = ("earliest", "v108")  # lowest and highest HDF5 format to use
FEATURES = ""  # name of the only array of a .npy
RERUN = "delete it and run its stage again"

Arrays = dict[str, np.ndarray]  # by part; a .npy has the part FEATURES alone
Layout = dict[str, tuple[np.dtype, tuple[int, ...]]]  # part → dtype and shape of a row


def merge(folder: Path, shards: int, out: Path, *, step: float, start: float) -> None:
    """Write the artefacts of all videos that are ok in a stage's ledgers into one HDF5, atomically.

    Args:
        folder: of the stage, with its ledgers and items/.
        shards: number of its ledgers.
        step: seconds from one row to the next, stored in the file.
        start: seconds into the video that row 0 stands for, stored in the file.

    Raises:
        UserError: the ledgers are of different specs, or an artefact is missing, damaged or unlike the others.
    """
    rows = ledger.read_shards(folder, shards)
    spec = _spec_text(folder, rows.values())
    root = ledger.root(folder / "ledger")
    artefacts = {video_id: _artefact(root, row) for video_id, row in rows.items() if row.ok}
    began = time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(out):
        _remove_partials(out)
        with files.atomic(out) as temporary:
            _write(temporary, artefacts, {"spec": spec, "step": float(step), "start": float(start)})
    _report(out, rows.values(), time.monotonic() - began)


def _write(path: Path, artefacts: dict[str, Path], attributes: dict[str, str | float]) -> None:
    first: tuple[Path, Layout] | None = None
    with h5py.File(path, "w", libver=FORMAT) as store:
        store.attrs.update(attributes)
        for video_id, artefact in track(artefacts.items(), "merge", total=len(artefacts)):
            arrays = read(artefact)
            layout = {part: (array.dtype, array.shape[1:]) for part, array in arrays.items()}
            first = first or (artefact, layout)
            if layout != first[1]:
                raise UserError(
                    f"{artefact} holds {_words(layout)} but {first[0]} holds {_words(first[1])}; "
                    "delete the one that is wrong and run its stage again"
                )
            for part, array in arrays.items():
                name = f"{video_id}/{part}" if part else video_id
                store.create_dataset(name, data=array, track_times=False)
            if artefact.suffix == ".npz":
                store[video_id].attrs.update(_size(artefact))


def read(artefact: Path) -> Arrays:
    """The arrays of one artefact, checked: numbers, at least one row, parts of equal length, no NaN or infinity.

    Raises:
        UserError: names the file, what is wrong with it and the fix.
    """
    try:
        arrays = _load(artefact)
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{artefact} is damaged, pickled or no numpy file ({one_line(error)}); {RERUN}") from None
    for part, array in arrays.items():
        fault = _fault(array)
        if fault:
            raise UserError(f"{artefact}{f' ({part})' if part else ''} {fault}; {RERUN}")
    if len({array.shape[:2] for array in arrays.values()}) > 1:  # of objects: frames, boxes per frame
        shapes = ", ".join(f"{part} {array.shape}" for part, array in arrays.items())
        raise UserError(f"{artefact} has parts of different lengths: {shapes}; {RERUN}")
    return arrays


def _load(artefact: Path) -> Arrays:
    if artefact.suffix == ".npy":
        with open(artefact, "rb") as stream:
            return {FEATURES: np.lib.format.read_array(stream, allow_pickle=False)}
    if artefact.suffix == ".npz":
        with np.load(artefact, allow_pickle=False) as content:
            missing = [part for part in PARTS if part not in content]
            if missing:
                raise UserError(f"{artefact} has no {', '.join(missing)}; {RERUN}")
            return {part: content[part] for part in PARTS}
    raise UserError(f"{artefact} is neither .npy nor .npz; merge the stage that makes features")


def _size(artefact: Path) -> dict[str, int]:
    """Width and height in pixels of the video that an .npz is from, where it says so."""
    with np.load(artefact, allow_pickle=False) as content:
        if "size" not in content:
            return {}
        width, height = content["size"].tolist()
        return {"width": width, "height": height}


def _fault(array: np.ndarray) -> str | None:
    if array.dtype.kind not in "biuf":
        return f"holds {array.dtype}, not numbers"
    if array.ndim < 2:
        return f"has shape {array.shape}, expected (rows, …)"
    if array.size == 0:
        return f"is empty (shape {array.shape})"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "holds NaN or infinite numbers"
    return None


def _artefact(root: Path, row: Row) -> Path:
    """Where a video's artefact is, after a look at its size."""
    path = root / str(row.artefact)
    if not path.is_file():
        raise UserError(f"{path} is missing though its ledger has it; run its stage again")
    size = path.stat().st_size
    if size != row.bytes:
        raise UserError(f"{path} has {size} bytes, its ledger says {row.bytes}; {RERUN}")
    return path


def _spec_text(folder: Path, rows: Iterable[Row]) -> str:
    """The JSON of the one spec that all rows are of; "{}" when there are no videos at all."""
    example = {row.spec: row.video_id for row in rows}
    if len(example) > 1:
        (one, its), (other, others) = sorted(example.items())[:2]
        raise UserError(
            f"{folder} mixes spec {one} (video {its}) with spec {other} (video {others}); "
            "run the stage again for all shards, so that one spec remains"
        )
    if not example:
        return "{}"
    path = folder / "items" / next(iter(example)) / "spec.json"
    if not path.is_file():
        raise UserError(f"{path} is missing, so what the features are is unknown; run the stage again")
    return path.read_text(encoding="utf-8").strip()


@contextlib.contextmanager
def _exclusive(out: Path) -> Iterator[None]:
    try:
        with FileLock(out.parent / f".{out.name}.lock", timeout=0):
            yield
    except Timeout:
        raise UserError(f"another process writes {out}; wait for it or end it") from None


def _remove_partials(out: Path) -> None:
    """Delete what killed merges of the same file left; call it with the file's lock held."""
    for leftover in out.parent.glob(f".*-{out.name}{files.PARTIAL}"):
        leftover.unlink(missing_ok=True)


def _words(layout: Layout) -> str:
    return ", ".join(f"{part} {dtype} rows of {shape}".strip() for part, (dtype, shape) in layout.items())


def _report(out: Path, rows: Iterable[Row], seconds: float) -> None:
    counts = Counter(str(row.reason or row.status) for row in rows)
    megabytes = out.stat().st_size / 1e6
    log.info(
        "%s: %s; %.1f MB in %.1f s, %.0f MB/s",
        out,
        ", ".join(f"{n} {what}" for what, n in counts.most_common()) or "no videos",
        megabytes,
        seconds,
        megabytes / max(seconds, 1e-9),
    )


def main(
    ledgers: Annotated[Path, typer.Option(help="folder of the stage, e.g. work/s3d")],
    shards: Annotated[int, typer.Option(min=1, help="number of its ledgers")],
    step: Annotated[float, typer.Option(min=0, help="seconds from one row to the next")],
    out: Annotated[Path, typer.Option(help="HDF5 file to write")],
    start: Annotated[float, typer.Option(help="seconds into the video that row 0 stands for")] = 0.0,
) -> None:
    """Merge a stage's artefacts into one HDF5."""
    merge(ledgers, shards, out, step=step, start=start)


if __name__ == "__main__":
    cli.run(main)
