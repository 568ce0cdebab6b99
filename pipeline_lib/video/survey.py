"""Video file → a few small pictures from its first frame to its last, and how much of it can be read and decoded.

What due diligence looks at. It costs a pass over the packets and the decoding of `count` + 2 frames, whatever the length.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from pipeline_lib.core.errors import one_line
from pipeline_lib.video.decoders import Unplanned, with_planned
from pipeline_lib.video.filters import Filters
from pipeline_lib.video.plan import Index, only_video, read_index
from pipeline_lib.video.probe import open_video, prepare

NEAR = 2.0  # seconds ahead that decoding on is cheaper than seeking


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
        yield from _sought(path, extent, count, filters, 0)
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
        yield from _sought(path, extent, count, filters, done)


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


def _sought(path: Path, extent: Extent, count: int, filters: Filters, done: int) -> Iterator[Picture]:
    """The pictures from place `done` on, by seeking; at each place the first that comes out at or after its time.

    At the end, the last one that comes out.
    """
    with open_video(path) as container:
        stream = only_video(container)
        prepare(stream)
        start, tick = stream.start_time or 0, float(stream.time_base or 1)
        end = count + 1
        for place, wanted in list(enumerate(_wanted(extent, count)))[done:]:
            found, fault = None, "no frame comes out"
            try:
                for picture in _from(container, start + int(max(0.0, wanted - (NEAR if place == end else 0.0)) / tick)):
                    found = picture
                    if place != end and ((picture.pts or 0) - start) * tick >= wanted:
                        break
            except (av.FFmpegError, ValueError) as error:
                fault = one_line(error)
            if found is None:
                yield Picture(place, wanted, None, fault)
            else:
                yield Picture(place, ((found.pts or 0) - start) * tick, filters(found))


def _from(container: InputContainer, target: int) -> Iterator[av.VideoFrame]:
    """Frames with a time, from the keyframe at or before `target` ticks on."""
    stream = container.streams.video[0]
    container.seek(target, stream=stream, backward=True)
    for picture in container.decode(stream):
        if picture.pts is not None:
            yield picture
