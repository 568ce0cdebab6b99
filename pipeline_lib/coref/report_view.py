"""A video's predictions, captions and pictures → the plain values that coref_report.html.j2 prints."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from pipeline_lib.coref.predictions import (
    CORRECT,
    ERRORS,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    NEGATIVE,
    Clip,
    Counts,
    Protocol,
    Similarity,
    Video,
)
from pipeline_lib.coref.strips import chosen, driver, strengths
from pipeline_lib.report.page import clock
from pipeline_lib.report.stills import Still

View = dict[str, Any]

FRAME = (640, 360)  # of a video whose pictures are not at hand
GLYPHS = {CORRECT: "✓", FALSE_POSITIVE: "✗", FALSE_NEGATIVE: "○"}
OUTCOMES = {CORRECT: "correct", FALSE_POSITIVE: "false positive", FALSE_NEGATIVE: "false negative", NEGATIVE: ""}
MARKS = {CORRECT: " correct", FALSE_POSITIVE: " wrong", FALSE_NEGATIVE: " missed", NEGATIVE: ""}  # classes of a cell
LONGEST = 300  # characters of what is said during a clip


@dataclass(frozen=True)
class Shown:
    """What is known of a video besides its predictions.

    Attributes:
        times: per clip the times of its key frames.
        stills: picture per time.
        reason: why there are none, or "".
        about: its entry in the master file.
        others: boxes of all objects found in the frame at a time, used or not.
    """

    times: list[list[float]]
    stills: Mapping[float, Still] = field(default_factory=dict)
    reason: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    others: Callable[[float], np.ndarray] = lambda time: np.zeros((0, 4))

    def pictures(self) -> Iterator[bytes]:
        """The pictures of the video's strip, in order."""
        for time in chain.from_iterable(self.times):
            if time in self.stills:
                yield self.stills[time].content


def video_view(
    name: str, protocol: Protocol, video: Video, shown: Shown, kinds: Mapping[str, int], src: Callable
) -> View:
    """One item of the page.

    Args:
        name: of the protocol.
        kinds: number of every event type, which decides its colour.
        src: JPEG bytes → the address of the picture.
    """
    outcomes = video.outcomes(protocol.threshold, protocol.similarity)
    counts = video.counts(protocol.threshold, protocol.similarity)
    types = [video.types(clip) for clip in range(len(video.clips))]
    size = next((still.size for still in shown.stills.values()), FRAME)
    return {
        "slug": f"{name}/{video.video_id}".encode("utf-8", "replace").decode(),  # goes into addresses
        "video_id": video.video_id,
        "title": video.title or video.video_id,
        "url": _link(shown.about.get("url")),
        "split": video.split,
        "duration": video.duration,
        "counts": counts,
        "missed": video.missed,
        "reason": shown.reason,
        "size": size,
        "tokens": _tokens(name, video, outcomes, types),
        "sort": {"f1": 1.0 if counts.f1 is None else counts.f1, "errors": counts.errors, "duration": video.duration},
        "text": " ".join([video.title, video.video_id, *video.sentences, *(event.name for event in video.events)]),
        "tracks": _tracks(name, video, outcomes, types, kinds),
        "sentences": video.sentences,
        "similarity": protocol.similarity,
        "clips": [
            _clip(video, number, protocol.similarity, outcomes[number], types[number], shown, src)
            for number in range(len(video.clips))
        ],
    }


def _tokens(name: str, video: Video, outcomes: list[list[str]], types: list[list[str]]) -> dict[str, list[str]]:
    """What the filters look for; `pairs` joins an outcome and the type of the event it happened at."""
    pairs = {(outcome, kind) for row, shown in zip(outcomes, types, strict=True) for outcome in row for kind in shown}
    found = {outcome for row in outcomes for outcome in row}
    return {
        "protocol": [name],
        "split": [video.split],
        "filter": _with_errors(found),
        "type": sorted({event.name for event in video.events}),
        "pairs": sorted(
            f"{outcome}|{kind}"
            for kind in {kind for _, kind in pairs}
            for outcome in _with_errors({o for o, k in pairs if k == kind})
        ),
    }


def _with_errors(outcomes: set[str]) -> list[str]:
    return sorted(outcomes | ({"errors"} if outcomes & set(ERRORS) else set()))


def _tracks(
    name: str, video: Video, outcomes: list[list[str]], types: list[list[str]], kinds: Mapping[str, int]
) -> list[View]:
    gold = [
        {
            "start": event.start,
            "end": event.end,
            "text": event.name,
            "title": f"gold event: {event.name}",
            "kind": kinds[event.name],
            "classes": "",
            "data": None,
        }
        for event in video.events
    ]
    clips = []
    for number, (clip, row, shown) in enumerate(zip(video.clips, outcomes, types, strict=True)):
        marks = "".join(mark for outcome, mark in GLYPHS.items() if outcome in row)
        clips.append(
            {
                "start": clip.start,
                "end": clip.end,
                "text": f"{number + 1} {marks}".strip(),
                "title": f"clip {number + 1}",
                "kind": kinds[shown[0]] if shown else None,
                "classes": "",
                "data": {"clip": number},
            }
        )
    return [
        {"label": "gold events", "spans": gold},
        {"label": "proposals" if name == "with_proposals" else "clips", "spans": clips},
    ]


def _clip(
    video: Video,
    number: int,
    similarity: Similarity,
    outcomes: list[str],
    types: list[str],
    shown: Shown,
    src: Callable,
) -> View:
    clip, deciding = video.clips[number], video.by(similarity)
    top = float(deciding.max())
    scores = video.scores
    rows = [
        {
            "sentence": sentence,
            "outcome": OUTCOMES[outcome],
            "mark": MARKS[outcome],
            "level": round(9 * max(float(deciding[number, sentence]), 0.0) / top) if top > 0 else 0,
            "combined": f"{scores.combined[number][sentence]:.2f}",
            "global": f"{scores.by_clip[number][sentence]:.2f}",
            "regional": f"{scores.regional[number][sentence]:.2f}",
            **_drive(clip, video.object_scores[number][sentence]),
        }
        for sentence, outcome in enumerate(outcomes)
    ]
    return {
        "number": number,
        "start": clip.start,
        "end": clip.end,
        "types": types,
        "said": _said(shown.about, clip),
        "chosen": chosen(video, number, similarity),
        "rows": rows,
        "ranked": [rows[sentence] for sentence in np.argsort(-deciding[number], kind="stable")],
        "frames": [_frame(video, number, similarity, time, shown, src) for time in shown.times[number]],
    }


def _drive(clip: Clip, scores: Sequence[float]) -> View:
    """The object that speaks loudest for a sentence."""
    place = driver(scores)
    if place is None:
        return {"driver": "–", "driver_score": ""}
    return {"driver": clip.objects[place].name, "driver_score": f"{scores[place]:.3g}"}


def _frame(video: Video, number: int, similarity: Similarity, time: float, shown: Shown, src: Callable) -> View:
    """A key frame with the objects of its clip that stand in it, strong as they speak for the clip's chosen sentence."""
    clip, scores = video.clips[number], np.array(video.object_scores[number])  # (sentences, objects)
    best = chosen(video, number, similarity)
    strong = strengths(scores[best].tolist())
    still = shown.stills.get(time)
    here = [(score, one.name) for score, one in zip(scores[best], clip.objects, strict=True) if one.time == time]
    loudest = max(here, key=lambda pair: pair[0], default=None)
    boxes = [
        {
            "box": one.box,
            "strength": strong[place],
            "title": f"{one.name}, {one.score:.2f}",
            "data": {"t": " ".join(f"{value:.2g}" for value in scores[:, place])},
        }
        for place, one in enumerate(clip.objects)
        if one.time == time
    ]
    return {
        "src": src(still.content) if still else "",
        "time": still.time if still else time,
        "alt": f"frame at {clock(still.time if still else time)}",
        "loudest": f"{loudest[1]} {loudest[0]:.2g}" if loudest else "",
        "boxes": boxes,
        "others": [box for box in shown.others(time).tolist() if not _used(box, clip, time)],
    }


def _used(box: Sequence[float], clip: Clip, time: float) -> bool:
    return any(one.time == time and np.allclose(one.box, box, atol=0.5) for one in clip.objects)


def _said(about: Mapping[str, Any], clip: Clip) -> str:
    """Captions that begin or go on during a clip."""
    texts = [
        str(segment["text"])
        for segment in about.get("captions") or ()
        if segment["start"] < clip.end and segment["start"] + segment["duration"] > clip.start
    ]
    text = " ".join(texts)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _link(url: object) -> str:
    """An address that may be clicked: http and https only."""
    try:
        return str(url) if url and urlsplit(str(url)).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def summary(protocols: Mapping[str, Protocol], names: Mapping[str, str]) -> list[list[Any]]:
    """A row per protocol and split: pairs of the videos shown, pooled, and the scores that follow from them."""
    rows: list[list[Any]] = []
    for name, protocol in protocols.items():
        for split in dict.fromkeys(video.split for video in protocol.videos):
            videos = [video for video in protocol.videos if video.split == split]
            counts = Counts()
            for video in videos:
                counts = counts.plus(video.counts(protocol.threshold, protocol.similarity))
            ratios = (counts.precision, counts.recall, counts.f1)
            shown = ["–" if value is None else round(value, 3) for value in ratios]
            rows.append(
                [names.get(name, name), split, len(videos), protocol.similarity, protocol.threshold, *counts, *shown]
            )
    return rows
