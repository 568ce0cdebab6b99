"""Video file → its container's index: the time of every frame, and where decoding can begin.

An index costs one pass over the packets and no decoding: 0.05 s for a film of ten minutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline_lib.video.probe import open_video
from pipeline_lib.video.sampling import Shown

#: Containers and codecs whose packets carry the time and the keyframe flag of exactly one frame each. Everything else is
#: decoded from start to end.
PLANNED_FORMATS = {"mov", "matroska"}
PLANNED_CODECS = {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "libaom-av1", "mpeg4", "mjpeg"}

_ALWAYS_FRESH = {"vp8", "vp9", "av1", "libdav1d", "libaom-av1", "mjpeg"}  # every keyframe of these is


@dataclass(frozen=True)
class Index:
    """The frames of a stream in the order they are shown.

    Attributes:
        pts: (n,) int64, in ticks of `tick` seconds; strictly increasing.
        keys: (n,) bool, whether it is a keyframe.
        entries: (k,) int64, the times at which decoding can begin, ascending. Not all of them are shown: an edit list may
            cut off the keyframe that the first shown frames need.
        fresh: (k,) bool, whether a decoder that comes from elsewhere forgets everything there (an IDR frame of H.264).
        depth: bits per colour component.
        last: seconds that the last frame is shown; 0 where the file doesn't say.
        codec: ffmpeg's name.
        offset: seconds from the container's start to the first frame.
    """

    pts: np.ndarray
    keys: np.ndarray
    entries: np.ndarray
    fresh: np.ndarray
    depth: int
    tick: float
    last: float
    codec: str
    offset: float

    @property
    def restartable(self) -> bool:
        """Whether any decoder that seeks shows the right frames: keyframes are fresh, and none is cut off."""
        return bool(self.fresh.all()) and int(self.entries[0]) >= int(self.pts[0])

    def shown(self) -> Iterator[Shown]:
        """The frames for `choose`; what stands for them is their number."""
        times = (self.pts - self.pts[0]) * self.tick
        seconds = np.append(np.diff(times), self.last)
        rows = zip(times.tolist(), seconds.tolist(), self.keys.tolist(), range(len(times)), strict=True)
        return map(Shown._make, rows)


def read_index(path: Path) -> Index | None:
    """The index of the first video stream, or None when decoding can't be planned by it.

    That is so for other containers and codecs than the PLANNED ones, and for streams with missing or repeated times, or
    with those of coding in place of showing (`coding_times`).

    Raises:
        ItemError: as open_video.
    """
    with open_video(path) as container:
        stream = only_video(container)
        names = set(container.format.name.split(","))
        if not names & PLANNED_FORMATS or stream.codec_context.name not in PLANNED_CODECS:
            return None
        stored: list[int] = []  # the times of all packets, in the file's order
        pts: list[int] = []
        keys: list[bool] = []
        entries: list[int] = []
        fresh: list[bool] = []
        latest, duration = -(2**63), 0
        try:
            for packet in container.demux(stream):
                if packet.size == 0:  # the end
                    continue
                if packet.pts is None:
                    return None
                stored.append(packet.pts)
                if packet.is_keyframe:
                    entries.append(packet.pts)
                    fresh.append(_fresh(packet, stream))
                if packet.is_discard:  # an edit list leaves it out
                    continue
                pts.append(packet.pts)
                keys.append(packet.is_keyframe)
                if packet.pts > latest:
                    latest, duration = packet.pts, packet.duration or 0
        except (av.FFmpegError, ValueError):
            return None  # the full decode says what is wrong
        if stream.codec_context.has_b_frames and (np.diff(stored) > 0).all():
            return None
        order, entry_order = (np.argsort(np.array(times, np.int64), kind="stable") for times in (pts, entries))
        shown = np.array(pts, np.int64)[order]
        if not len(shown) or not entries or min(entries) > shown[0] or (np.diff(shown) <= 0).any():
            return None
        tick = float(stream.time_base or 1)
        return Index(
            pts=shown,
            keys=np.array(keys, bool)[order],
            entries=np.array(entries, np.int64)[entry_order],
            fresh=np.array(fresh, bool)[entry_order],
            depth=max((part.bits for part in stream.format.components), default=8) if stream.format else 8,
            tick=tick,
            last=duration * tick,
            codec=stream.codec_context.name,
            offset=start_offset(container, float(shown[0]) * tick),
        )


def coding_times(path: Path) -> bool:
    """Whether the packets' times may count pictures as they are coded, though they are shown in another order.

    AVI has no others, and some writers of MP4 put them in (OpenCV's samples). The decoder still puts pictures in order, but
    each carries a wrong time. It is known by times that ascend from packet to packet in a stream that reorders.

    Raises:
        ItemError: as open_video.
    """
    with open_video(path) as container:
        stream = only_video(container)
        if not stream.codec_context.has_b_frames:
            return False
        if "avi" in container.format.name:
            return True
        latest: int | None = None
        try:
            for packet in container.demux(stream):
                if packet.size == 0 or packet.pts is None:
                    continue
                if latest is not None and packet.pts <= latest:
                    return False
                latest = packet.pts
        except (av.FFmpegError, ValueError):
            return False  # decoding says what is wrong
        return True


def _fresh(packet: av.Packet, stream: VideoStream) -> bool:
    """Whether a keyframe is more than a place where decoding may recover, with pictures of before still in use.

    For H.264 when its first slice is of type 5 (IDR). Units are preceded by their lengths, as these containers have them.
    """
    if stream.codec_context.name != "h264":
        return stream.codec_context.name in _ALWAYS_FRESH
    header = stream.codec_context.extradata
    if not header or len(header) < 5 or header[0] != 1:
        return False
    width = (header[4] & 3) + 1
    content = memoryview(packet)
    at = 0
    while at + width < len(content):
        kind = content[at + width] & 31
        if kind in (1, 5):
            return kind == 5
        at += width + int.from_bytes(content[at : at + width], "big")
    return False


def only_video(container: InputContainer) -> VideoStream:
    """The first video stream, with the packets of all others left unread."""
    stream = container.streams.video[0]
    for other in container.streams:
        if other is not stream:
            other.discard = av.stream.Discard.all
    return stream


def start_offset(container: InputContainer, first: float) -> float:
    """Seconds from the start of the container, which ffmpeg's command line counts from, to its first frame at `first`."""
    start = container.start_time
    return 0.0 if start is None else first - start / av.time_base
