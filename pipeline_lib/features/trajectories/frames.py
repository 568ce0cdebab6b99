"""Video file → the few frames of it that a network of a fixed number of frames takes."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import av
import numpy as np

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.decode import numbered
from pipeline_lib.video.filters import Filters, rotation
from pipeline_lib.video.plan import read_index
from pipeline_lib.video.worker import Worker

Sampling = Literal["upstream", "even"]


class Chosen(NamedTuple):
    """Frames of a video. pixels: (n, h, w, 3) uint8 RGB; length: frames of the whole video; positions: of the chosen ones."""

    pixels: np.ndarray
    length: int
    positions: list[int]


def positions(count: int, wanted: int, sampling: Sampling = "upstream") -> list[int]:
    """Numbers of `wanted` of `count` frames.

    upstream takes every (count // wanted)-th from the first, so that up to half of a video's end is left out: of 63 frames the
    first 32. even spreads them over the video. One with fewer frames than wanted shows them repeatedly, spread evenly, where
    upstream stops with an error.
    """
    if sampling == "upstream" and count >= wanted:
        return list(range(0, count, count // wanted))[:wanted]
    return [i * count // wanted for i in range(wanted)]


def save(path: Path, to: str, wanted: int, sampling: Sampling) -> dict[str, Any]:
    """Write the chosen frames as .npy; runs in a decoding process.

    Returns:
        {count, positions}
    """
    index = read_index(path)
    count = len(index.pts) if index is not None else sum(1 for _ in numbered(path))
    if not count:
        raise ItemError(Reason.UNDECODABLE, "no frame could be decoded")
    chosen = positions(count, wanted, sampling)
    numbers = sorted(set(chosen))
    pixels = _pixels()
    found = dict(zip(numbers, map(pixels, numbered(path, numbers)), strict=False))
    if len(found) < len(numbers):
        raise ItemError(Reason.TRUNCATED, f"frame {numbers[len(found)]} of {count} could not be decoded")
    np.save(to, np.stack([found[number] for number in chosen]), allow_pickle=False)
    return {"count": count, "positions": chosen}


def _pixels() -> Callable[[av.VideoFrame], np.ndarray]:
    upright = Filters()

    def of(picture: av.VideoFrame) -> np.ndarray:
        if rotation(picture):
            return upright(picture)
        return picture.reformat(format="rgb24", threads=1).to_ndarray()  # as imageio does, which upstream reads with

    return of


def choose(worker: Worker, path: Path, wanted: int, sampling: Sampling) -> Chosen:
    """The frames of a video, decoded in a process of its own.

    Raises:
        ItemError: the file is missing or can't be decoded.
    """
    try:
        is_there = path.is_file()
    except OSError:  # a name that is too long
        is_there = False
    if not is_there:
        raise ItemError(Reason.MISSING_FILE, f"{path} does not exist")
    worker.probe(path)  # refuses what is too large or too long before any of it is decoded
    with TemporaryDirectory() as folder:
        to = str(Path(folder) / "frames.npy")
        told = worker.call(save, path, to=to, wanted=wanted, sampling=sampling)
        return Chosen(np.load(to, allow_pickle=False), told["count"], told["positions"])
