"""Frames in the order they are shown and wanted times → which frame to show at each."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Rule = Literal["at_or_after", "ffmpeg", "keyframe"]

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
            earlier = before is not None and 2 * number * every <= before.time + frame.time + _TOLERANCE
            yield number, before if before is not None and earlier else frame
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
