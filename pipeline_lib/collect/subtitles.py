"""Text of a caption file (WebVTT, SubRip, YouTube's json3) → timed segments without markup, empty cues and repeats."""

import html
import io
import itertools
import json
import re
from collections.abc import Iterable
from typing import Any

import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from pipeline_lib.collect.sources.base import Segment

WORD_TIME = re.compile(r"<\d\d:\d\d:\d\d\.\d{3}>")  # only automatic captions time every word
MAX_LINES = 20  # of a cue that may roll; YouTube shows two
MAX_SECONDS = 10**6  # no caption is later than this; json3 can name any number

_ASS_OVERRIDE = re.compile(r"\{\\[^{}]*\}")  # e.g. {\an8} in .srt files
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


class BadCaptions(ValueError):
    """The text isn't what it should be; the message says where."""


def read(text: str, form: str) -> list[Segment]:
    """Segments in the order of time.

    Args:
        form: vtt, srt or json3.

    Raises:
        BadCaptions: not of that form, or a cue that ends before it starts.
    """
    if form == "json3":
        return _json3(text)
    try:
        cues = webvtt.from_buffer(io.StringIO(text), format=form)
        timed = [(seconds(cue.start), seconds(cue.end), cue.text.split("\n")) for cue in cues.captions]
    except (MalformedFileError, MalformedCaptionError, ValueError, IndexError) as error:
        raise BadCaptions(str(error) or type(error).__name__) from None
    return unrolled(
        [(start, end, [plain(line) for line in lines]) for start, end, lines in timed], is_rolling(text, timed)
    )


def is_rolling(text: str, cues: list[tuple[float, float, list[str]]]) -> bool:
    """Whether the captions roll: words have times of their own, or most cues begin with the line the cue before ended with."""
    if WORD_TIME.search(text):
        return True
    pairs = [(a[2][-1].strip(), b[2][0].strip()) for a, b in itertools.pairwise(cues)]
    repeated = sum(last == first != "" for last, first in pairs)
    return len(pairs) >= 4 and repeated > len(pairs) / 2


def unrolled(cues: Iterable[tuple[float, float, list[str]]], rolling: bool) -> list[Segment]:
    """Cues (start, end, lines) as segments; of rolling ones only what a cue adds to the lines that the one before showed.

    YouTube's automatic captions show two lines: the upper one was said by the cue before. Between two lines stands a cue of
    10 ms that adds nothing. So what a cue begins with is dropped as far as the one before ended with it; a line that is really
    said twice stands there twice.

    Raises:
        BadCaptions: a cue ends before it starts.
    """
    segments: list[Segment] = []
    shown: list[str] = []
    for start, end, lines in cues:
        if end < start:
            raise BadCaptions(f"the cue at {start} s ends before it starts")
        full = [line for line in lines if line]
        new = full[_overlap(shown, full) :] if rolling else full
        shown = full or shown
        if new:
            segments.append(Segment(start=start, duration=round(end - start, 3), text=" ".join(new)))
    return sorted(segments, key=lambda segment: segment["start"])


def _overlap(before: list[str], lines: list[str]) -> int:
    """How many lines at the beginning of `lines` are those at the end of `before`."""
    return next((n for n in range(min(len(before), len(lines), MAX_LINES), 0, -1) if before[-n:] == lines[:n]), 0)


def _json3(text: str) -> list[Segment]:
    """YouTube's own form: events with pieces of text; of automatic captions each line once, its end where the next begins."""
    try:
        events = json.loads(text)["events"]
        timed = [
            (_milliseconds(e, "tStartMs"), _milliseconds(e, "dDurationMs"), _pieces(e)) for e in events if "segs" in e
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadCaptions(f"no json3 captions: {type(error).__name__} {error}"[:200]) from None
    found = sorted(((start, length, words) for start, length, words in timed if words), key=lambda one: one[0])
    segments = []
    for index, (start, length, words) in enumerate(found):
        end = start + length
        if index + 1 < len(found):
            end = min(end, max(start, found[index + 1][0]))  # both lines stay on the screen, one is spoken
        segments.append(Segment(start=start / 1000, duration=round((end - start) / 1000, 3), text=words))
    return segments


def _pieces(event: dict[str, Any]) -> str:
    return plain("".join(str(piece.get("utf8", "")) for piece in event["segs"]))


def _milliseconds(event: dict[str, Any], key: str) -> int:
    value = event.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000 * MAX_SECONDS:
        raise ValueError(f"{key} is {value!r}"[:80])
    return value


def seconds(clock: str) -> float:
    """HH:MM:SS.mmm in seconds; webvtt's own in_seconds() drops the milliseconds."""
    hours, minutes, rest = clock.split(":")
    return round(int(hours) * 3600 + int(minutes) * 60 + float(rest), 3)


def plain(line: str) -> str:
    """A line without tags, character references, override codes, control characters and doubled spaces."""
    text = html.unescape(_TAG.sub("", _ASS_OVERRIDE.sub("", line)))
    text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.encode("utf-8", "replace").decode().split())
