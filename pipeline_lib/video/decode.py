"""Video file → frames at wanted times, with the true time of each."""

import heapq
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import av
import numpy as np

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.decoders import Unplanned, pictures
from pipeline_lib.video.filters import Filters, rotation, upright_size
from pipeline_lib.video.plan import Index, coding_times, only_video, read_index, start_offset
from pipeline_lib.video.probe import open_video, prepare
from pipeline_lib.video.sampling import Sampling, Shown, choose

log = logging.getLogger(__name__)

#: Decoders to try in turn; the last resort of all is to decode from start to end. Planned decoding is the fastest here
#: (benchmarks/results/decode.json), so it is the automatic choice.
DECODERS = {
    "auto": ("planned",),
    "pyav": ("planned",),
    "decord": ("decord", "planned"),
    "torchcodec": ("torchcodec", "planned"),
}


@dataclass(frozen=True)
class Frame:
    """A shown frame.

    Attributes:
        index: counts the wanted times.
        wanted, time: the wanted and the frame's own time, seconds from the first frame of the video.
        size: (width, height) of the upright video in pixels.
        pixels: (h, w, 3) uint8 RGB, upright, after the filters.
    """

    index: int
    wanted: float
    time: float
    size: tuple[int, int]
    pixels: np.ndarray


def sample(
    path: Path | str, every: float = 3.0, mode: Literal["exact", "keyframe"] = "exact", filters: str = ""
) -> Iterator[Frame]:
    """The frames shown at 0, every, 2·every … seconds.

    exact: for each time the first frame at or after it. keyframe: the nearest keyframe, many times faster, off by up to
    half the distance of keyframes. Memory holds one frame, whatever the length.

    Raises:
        ItemError: as `frames`.
        ValueError: there is no such mode.
    """
    if mode not in ("exact", "keyframe"):
        raise ValueError(f"mode {mode!r} is neither exact nor keyframe")
    return frames(path, Sampling(every, "keyframe" if mode == "keyframe" else "at_or_after", filters))


def dense(path: Path | str, fps: float, width: int, height: int) -> Iterator[Frame]:
    """The frames that `ffmpeg -vf fps=…,scale=…` shows, for networks that take clips."""
    return frames(path, Sampling(1.0 / fps, "ffmpeg", f"scale={width}:{height}"))


def frames(path: Path | str, sampling: Sampling) -> Iterator[Frame]:
    """The frames that `sampling` asks for, in order.

    Times count from the first frame, whatever the container's start time. A frame serves several wanted times when the
    video has fewer frames than that.

    Raises:
        ItemError: as probe.open_video; undecodable when no frame comes out, or when decoding breaks off.
    """
    path = Path(path)
    index = read_index(path)
    done = 0
    if index is not None:
        for decoder in DECODERS[sampling.decoder]:
            try:
                for frame in _shown(_planned(decoder, path, index, sampling, done), sampling):
                    yield frame
                    done += 1
                break
            except Unplanned as error:
                log.debug("%s: %s gives up: %s", path.name, decoder, error)
        else:
            index = None
    if index is None:
        chosen = choose(_decoded(path), sampling, _offset(path))
        for frame in _shown((one for one in chosen if one[0] >= done), sampling):
            yield frame
            done += 1
    if not done:
        raise ItemError(Reason.UNDECODABLE, "no frame could be decoded")


def numbered(path: Path, numbers: Sequence[int] | None = None) -> Iterator[av.VideoFrame]:
    """The pictures with these numbers, ascending from 0, the first that is shown; None: all. Ends where the video ends.

    Raises:
        ItemError: as probe.open_video; undecodable when decoding breaks off.
    """
    index = read_index(path) if numbers is not None else None
    done = 0
    if index is not None and numbers is not None:
        there = [number for number in numbers if number < len(index.pts)]
        try:
            for picture in pictures("planned", path, index, there) if there else ():
                yield picture
                done += 1
            return
        except Unplanned as error:
            log.debug("%s: %s", path.name, error)
    wanted = None if numbers is None else set(numbers[done:])
    for number, frame in enumerate(_decoded(path)):
        if wanted is None or number in wanted:
            yield frame.what


def _planned(decoder: str, path: Path, index: Index, sampling: Sampling, start: int) -> Iterator[tuple[int, Shown]]:
    """(number of the wanted time, frame) from the wanted time `start` on, the pictures of a frame decoded once."""
    chosen = [one for one in choose(index.shown(), sampling, index.offset) if one[0] >= start]
    groups = [(frame, [number for number, _ in group]) for frame, group in groupby(chosen, key=lambda one: one[1])]
    found = pictures(decoder, path, index, [frame.what for frame, _ in groups])
    for (frame, numbers), picture in zip(groups, found, strict=True):
        for number in numbers:
            yield number, frame._replace(what=picture)


def _decoded(path: Path) -> Iterator[Shown]:
    """Every frame, decoded from start to end, in the order the decoder shows them; their times never descend.

    Where the container has times of coding (`coding_times`), the i-th frame has the i-th smallest of them.
    """
    ranked = coding_times(path)
    waiting: list[int] = []  # times of the packets whose pictures are still to come; a heap
    first = latest = None
    with open_video(path) as container:
        stream = only_video(container)
        prepare(stream)
        try:
            for packet in container.demux(stream):
                if ranked and packet.size and packet.pts is not None and not packet.is_discard:
                    heapq.heappush(waiting, packet.pts)
                for picture in packet.decode():
                    if ranked and waiting:
                        picture.pts = heapq.heappop(waiting)
                    if picture.pts is None or picture.time_base is None:
                        continue
                    first = picture.pts if first is None else first
                    latest = picture.pts = picture.pts if latest is None else max(latest, picture.pts)
                    tick = float(picture.time_base)
                    seconds = (picture.duration or 0) * tick
                    yield Shown((picture.pts - first) * tick, seconds, bool(picture.key_frame), picture)
        except (av.FFmpegError, ValueError) as error:
            raise ItemError(Reason.UNDECODABLE, str(error)) from None


def _shown(chosen: Iterator[tuple[int, Shown]], sampling: Sampling) -> Iterator[Frame]:
    """Chosen pictures as frames, through the filters; a picture that serves several times goes through once."""
    filters = Filters(sampling.filters)
    last: tuple[Shown, np.ndarray, tuple[int, int]] | None = None
    for number, frame in chosen:
        picture = frame.what
        if last is None or last[0].what is not picture:
            size = upright_size(picture.width, picture.height, rotation(picture))
            try:
                last = frame, filters(picture), size
            except (av.FFmpegError, ValueError) as error:
                raise ItemError(Reason.UNDECODABLE, f"filters {sampling.filters!r}: {error}") from None
        yield Frame(number, number * sampling.every, frame.time, last[2], last[1])


def _offset(path: Path) -> float:
    """Seconds from the container's start to the video stream's."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        return start_offset(container, float((stream.start_time or 0) * (stream.time_base or 1)))
