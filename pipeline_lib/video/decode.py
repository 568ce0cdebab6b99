"""Video file → frames at wanted times, with the true time of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.probe import open_video

MAX_PIXELS = 8192 * 8192  # refused by the decoder itself, before memory is taken
_TOLERANCE = 1e-4  # seconds; times in containers are rounded to their time base


@dataclass(frozen=True)
class Frame:
    """A decoded frame: `time` and `wanted` in seconds from the first frame, `index` counts wanted times."""

    index: int
    wanted: float
    time: float
    picture: av.VideoFrame

    def rgb(self, width: int | None = None, height: int | None = None) -> np.ndarray:
        """(height, width, 3) uint8 RGB, scaled (bicubic) when a size is given."""
        picture = self.picture
        if width and height and (width, height) != (picture.width, picture.height):
            return picture.reformat(width, height, "rgb24", interpolation="BICUBIC").to_ndarray()
        return picture.to_ndarray(format="rgb24")


def sample(path: Path, every: float) -> Iterator[Frame]:
    """The frames shown at 0, every, 2·every … seconds: for each time the first frame at or after it.

    Times count from the first frame, whatever the container's start time. A frame serves several wanted times when the
    video has fewer frames than that. Memory holds one frame.

    Raises:
        ItemError: as probe.open_video; undecodable when no frame comes out, or when decoding breaks off.
    """
    index = 0
    for time, picture in _decoded(path):
        while time >= index * every - _TOLERANCE:
            yield Frame(index, index * every, time, picture)
            index += 1
    if index == 0:
        raise ItemError(Reason.UNDECODABLE, "no frame could be decoded")


def _decoded(path: Path) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds since the first frame, frame) of every frame in presentation order."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.thread_count = 1  # shards run side by side, so cores are taken by processes
        first = None
        try:
            for picture in container.decode(stream):
                if picture.pts is None or picture.time_base is None:
                    continue
                seconds = float(picture.pts * picture.time_base)
                first = seconds if first is None else first
                yield seconds - first, picture
        except (av.FFmpegError, ValueError) as error:
            raise ItemError(Reason.UNDECODABLE, str(error)) from None


def decodes_at(path: Path, fraction: float, duration: float) -> float:
    """Decode one frame near `fraction` of `duration` seconds and return its time in seconds.

    Raises:
        ItemError: undecodable, with the place in the detail.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        start, tick = stream.start_time or 0, float(stream.time_base or 1)
        target = start + int(fraction * duration / tick)
        last = None
        try:
            container.seek(target, stream=stream, backward=True)
            for picture in container.decode(stream):
                if picture.pts is None:
                    continue
                last = picture.pts
                if last >= target:
                    break
        except (av.FFmpegError, ValueError) as error:
            raise ItemError(Reason.UNDECODABLE, f"at {fraction:.0%} of {duration:.1f} s: {error}") from None
        if last is None:
            raise ItemError(Reason.UNDECODABLE, f"no frame at {fraction:.0%} of {duration:.1f} s")
        return (last - start) * tick
