"""Video file → its container's index, and wanted times → which of the frames listed there to show at each.

An index costs one pass over the packets and no decoding: 0.05 s for a film of ten minutes.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline_lib.video.probe import open_video

Rule = Literal["at_or_after", "ffmpeg", "keyframe"]

#: Containers and codecs whose packets carry the time and the keyframe flag of exactly one frame each. Everything else is
#: decoded from start to end.
PLANNED_FORMATS = {"mov", "matroska"}
PLANNED_CODECS = {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "libaom-av1", "mpeg4", "mjpeg"}

_ALWAYS_FRESH = {"vp8", "vp9", "av1", "libdav1d", "libaom-av1", "mjpeg"}  # every keyframe of these is

_TOLERANCE = 1e-4  # seconds; times in containers are rounded to their time base


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video to show, and what to do to each.

    Attributes:
        every: seconds between two wanted times; the wanted times are 0, every, 2·every … from the first frame.
        rule: at_or_after: the first frame at or after the wanted time. ffmpeg: what ffmpeg's `fps` filter shows (the
            time of every frame rounded to the next wanted one, of several the last). keyframe: the nearest keyframe.
        filters: an ffmpeg filter chain that every shown frame goes through, e.g. "scale=398:224".
        decoder: auto | pyav | decord | torchcodec.
    """

    every: float
    rule: Rule = "at_or_after"
    filters: str = ""
    decoder: str = "auto"


class Shown(NamedTuple):
    """A frame as a rule sees it."""

    time: float  # seconds since the first frame
    seconds: float  # how long it is shown; 0 where the file doesn't say
    key: bool
    what: Any  # what stands for it: a number in an index, or the picture itself


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

    That is so for other containers and codecs than the PLANNED ones, and for streams with missing or repeated times.

    Raises:
        ItemError: as open_video.
    """
    with open_video(path) as container:
        stream = only_video(container)
        names = set(container.format.name.split(","))
        if not names & PLANNED_FORMATS or stream.codec_context.name not in PLANNED_CODECS:
            return None
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
            depth=max((part.bits for part in stream.format.components), default=8),
            tick=tick,
            last=duration * tick,
            codec=stream.codec_context.name,
            offset=start_offset(container, float(shown[0]) * tick),
        )


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


def choose(shown: Iterable[Shown], sampling: Sampling, offset: float = 0.0) -> Iterator[tuple[int, Shown]]:
    """(number i of the wanted time i·every, the frame to show then), for frames in the order they are shown.

    A frame serves several wanted times when there are fewer frames than that. The last frame's `what` may be anything
    that stays valid until two more frames are taken from `shown`.

    Args:
        offset: seconds from the container's start to the first frame; the rule ffmpeg counts from there.
    """
    if sampling.rule == "at_or_after":
        return _at_or_after(shown, sampling.every)
    if sampling.rule == "keyframe":
        return _keyframe(shown, sampling.every)
    return _ffmpeg(shown, 1.0 / sampling.every, offset)


def _at_or_after(shown: Iterable[Shown], every: float) -> Iterator[tuple[int, Shown]]:
    number = 0
    for frame in shown:
        while frame.time >= number * every - _TOLERANCE:
            yield number, frame
            number += 1


def _keyframe(shown: Iterable[Shown], every: float) -> Iterator[tuple[int, Shown]]:
    """The nearest keyframe, of two equally near the earlier; for every wanted time up to the last frame's."""
    number, before, last = 0, None, 0.0
    for frame in shown:
        last = frame.time
        if not frame.key:
            continue
        while frame.time >= number * every - _TOLERANCE:
            nearer = before is not None and number * every - before.time <= frame.time - number * every
            yield number, before if before is not None and nearer else frame
            number += 1
        before = frame
    while before is not None and last >= number * every - _TOLERANCE:
        yield number, before
        number += 1


def _ffmpeg(shown: Iterable[Shown], fps: float, offset: float) -> Iterator[tuple[int, Shown]]:
    """As libavfilter/vf_fps.c with its defaults: a frame fills the slots from its own rounded time up to the next frame's.

    Slots are counted from the first frame's. The last frame fills those up to its end, rounded: maybe none.
    """
    first = number = 0
    end = 0.0
    before: Shown | None = None
    for frame in shown:
        slot = _round((frame.time + offset) * fps)
        if before is None:
            first = number = slot
        else:
            for due in range(number, slot):
                yield due - first, before
            number = max(number, slot)
            end = frame.time + (frame.seconds or frame.time - before.time)
        before, end = frame, end or frame.seconds
    if before is not None:
        for slot in range(number, _round((end + offset) * fps)):
            yield slot - first, before


def _round(value: float) -> int:
    """To the nearest integer, halves away from zero, as AV_ROUND_NEAR_INF; float noise around a half counts as the half."""
    return int(math.copysign(math.floor(abs(value) + 0.5 + 1e-9), value))
