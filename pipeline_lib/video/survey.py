"""Video file → a few small pictures from its first frame to its last, and how much of it can be read and decoded.

What due diligence looks at. It costs a pass over the packets and the decoding of `count` + 2 frames, whatever the length.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from pipeline_lib.video.decoders import Unplanned, with_planned
from pipeline_lib.video.filters import Filters
from pipeline_lib.video.plan import Index, only_video, read_index
from pipeline_lib.video.probe import complaint, open_video, prepare

EARLY = 1.0  # seconds that is sought ahead: some containers lead to the keyframe after the time
NEAR = 2.0  # seconds before the end that the last picture may be
PATIENCE = 0.25  # seconds
NOTHING = "no sound frame comes out"


@dataclass(frozen=True)
class Picture:
    """What is shown at a place.

    Attributes:
        place: 0 is the first frame, 1 to `count` the middles of equal parts, `count` + 1 the last frame.
        time: seconds from the first frame.
        pixels: (side, side, 3) uint8 RGB, upright, None where nothing could be decoded.
        fault: why not, one line.
    """

    place: int
    time: float
    pixels: np.ndarray | None
    fault: str = ""


@dataclass(frozen=True)
class Extent:
    """How much of a video stream there is: seconds from its first packet to the end of its last, and their number."""

    seconds: float
    packets: int


def survey(path: Path, count: int, side: int) -> Iterator[Extent | Picture]:
    """The extent first, then `count` + 2 pictures in order, each scaled to side × side by averaging.

    Raises:
        ItemError: as open_video. What can't be decoded is told by its picture.
    """
    filters = Filters(f"scale={side}:{side}:flags=area")
    index = read_index(path)
    if index is None:
        extent = _extent(path)
        yield extent
        found = list(_sought(path, extent, count, filters))
        if any(one.pixels is None for one in found):  # seeking may be to blame
            found = list(_from_start(path, extent, count, filters, 0))
        yield from found
        return
    times = (index.pts - index.pts[0]) * index.tick
    extent = Extent(float(times[-1]) + (index.last or _step(times)), len(times))
    yield extent
    done = 0
    try:
        for picture in _planned(path, index, times, _wanted(extent, count), filters):
            yield picture
            done += 1
    except (Unplanned, av.FFmpegError, ValueError):
        yield from _from_start(path, extent, count, filters, done)


def _wanted(extent: Extent, count: int) -> list[float]:
    """Seconds of the places; the last one is past every frame."""
    return [0.0, *((i + 0.5) / count * extent.seconds for i in range(count)), extent.seconds]


def _step(times: np.ndarray) -> float:
    return float(times[-1] / (len(times) - 1)) if len(times) > 1 else 0.0


def _planned(path: Path, index: Index, times: np.ndarray, wanted: list[float], filters: Filters) -> Iterator[Picture]:
    """The frame shown at each of the `wanted` times, from the index."""
    rows = np.maximum(np.searchsorted(times, np.array(wanted) + 1e-6, side="right") - 1, 0)
    rows[-1] = len(times) - 1
    found = with_planned.pictures(path, index, np.unique(rows).tolist())
    row, pixels = -1, None
    for place, target in enumerate(rows.tolist()):
        if target != row:
            row, pixels = target, filters(next(found))
        yield Picture(place, float(times[target]), pixels)


def _extent(path: Path) -> Extent:
    """The extent by the packets of a stream that can't be planned."""
    first, end, packets = None, 0.0, 0
    with open_video(path) as container:
        stream = only_video(container)
        tick = float(stream.time_base or 1)
        try:
            for packet in container.demux(stream):
                time = packet.pts if packet.pts is not None else packet.dts
                if not packet.size or time is None:
                    continue
                first = time if first is None else min(first, time)
                end = max(end, (time + (packet.duration or 0)) * tick)
                packets += 1
        except (av.FFmpegError, ValueError):
            pass  # what came before it counts
        return Extent(max(0.0, end - (first or 0) * tick), packets)


def _sought(path: Path, extent: Extent, count: int, filters: Filters) -> Iterator[Picture]:
    """The pictures by seeking: the first sound one at or after each time; at the end, the last one that comes out."""
    end = count + 1
    for place, wanted in enumerate(_wanted(extent, count)):
        found, late, fault = None, 0.0, NOTHING
        try:
            for time, picture in _frames(path, wanted - EARLY):
                found, late = (time, picture), time - wanted
                if place != end and late >= 0.0:
                    break
        except (av.FFmpegError, ValueError) as error:
            found, fault = None, complaint(error)
        if found is None or late > _patience(extent):
            yield Picture(place, wanted, None, fault)
        else:
            yield Picture(place, found[0], filters(found[1]))


def _from_start(path: Path, extent: Extent, count: int, filters: Filters, done: int) -> Iterator[Picture]:
    """The pictures from place `done` on, by decoding everything: what fails here can't be decoded by any means."""
    wanted = _wanted(extent, count)
    end, place, fault = count + 1, done, NOTHING
    last: tuple[float, av.VideoFrame] | None = None
    try:
        for time, picture in _frames(path, None):
            last = time, picture
            while place < end and time >= wanted[place] - 1e-6:
                late = time - wanted[place] > _patience(extent)
                yield Picture(place, wanted[place], None, fault) if late else Picture(place, time, filters(picture))
                place += 1
    except (av.FFmpegError, ValueError) as error:
        fault, last = complaint(error), None
    while place <= end:
        if place == end and last is not None and extent.seconds - last[0] <= NEAR:
            yield Picture(place, last[0], filters(last[1]))
        else:
            yield Picture(place, wanted[place], None, fault)
        place += 1


def _patience(extent: Extent) -> float:
    """Seconds that a sound picture may come after the time it is wanted for: two frames, or a bit more."""
    return max(PATIENCE, 2.0 * extent.seconds / max(extent.packets, 1))


def _frames(path: Path, since: float | None) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds from the first frame, picture) of the sound frames, from the keyframe before `since` on, if it is positive."""
    with open_video(path) as container:
        stream = only_video(container)
        prepare(stream)
        start, tick = stream.start_time or 0, float(stream.time_base or 1)
        if since is not None and since > 0:
            container.seek(start + int(since / tick), stream=stream, backward=True)
        for picture in container.decode(stream):
            if picture.pts is not None and not picture.is_corrupt:
                yield (picture.pts - start) * tick, picture
