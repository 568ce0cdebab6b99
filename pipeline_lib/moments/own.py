"""Gold labels and captions of this pipeline's videos → queries: sentences, and the events that they tell of.

A sentence of the article describes the events that event_coreference pairs it with; a caption the event during which it is
spoken. Queries are numbered from 1 over all splits, so that a number means the same in each.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter, ValidationError

from pipeline_lib.annotations.moment import Moment, Window
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, one_line


class Files(NamedTuple):
    """What the queries are read from."""

    annotations: Path  # annotations.json
    captions: Path  # vid2article_master_filtered.json, which says too which videos passed due diligence


class _Event(BaseModel):
    start: FiniteFloat
    end: FiniteFloat


class _Video(BaseModel):
    split: str
    duration: float = Field(gt=0, allow_inf_nan=False)
    events: list[_Event]
    article_sentences: list[str] = []
    event_coreference: list[tuple[int, int]] = []


_LABELS = TypeAdapter(dict[str, _Video])


def read(paths: Files, split: str, kinds: Collection[str]) -> list[Moment]:
    """The queries of a split: videos sorted by id, sentences of an article in its order, then captions by time.

    Args:
        kinds: article, captions or both.

    Raises:
        UserError: a file is missing or malformed, or there are no such queries.
    """
    try:
        labels = _LABELS.validate_python(files.read_json(paths.annotations))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(one_line(f"{paths.annotations}: {where}: {first['msg']}; correct the gold labels")) from None
    entries = files.read_json(paths.captions)
    found, number = [], 0
    for video_id, video in sorted(labels.items()):
        for kind in ("article", "captions"):
            told = (
                _article(video, paths, video_id) if kind == "article" else _captions(video, entries.get(video_id, {}))
            )
            for sentence, windows in told:
                number += 1
                if video.split == split and kind in kinds and video_id in entries:
                    found.append(Moment(video_id, number, sentence, windows, video.duration, split))
    if not found:
        raise UserError(
            f"no video of split {split!r} in {paths.annotations} has a sentence that tells of an event; "
            "give event_coreference, or other splits"
        )
    return found


def _article(video: _Video, paths: Files, video_id: str) -> list[tuple[str, tuple[Window, ...]]]:
    """Sentences that tell of an event, with these events in order of time; those at one time are one moment."""
    by_sentence: dict[int, set[Window]] = {}
    for event, sentence in video.event_coreference:
        if not (0 <= event < len(video.events) and 0 <= sentence < len(video.article_sentences)):
            raise UserError(
                f"{paths.annotations}: event_coreference of {video_id} pairs event {event} and sentence {sentence}, but "
                f"there are {len(video.events)} and {len(video.article_sentences)}; correct the gold labels"
            )
        one = video.events[event]
        by_sentence.setdefault(sentence, set()).add((one.start, one.end))
    return [(video.article_sentences[place], tuple(sorted(windows))) for place, windows in sorted(by_sentence.items())]


def _captions(video: _Video, entry: dict[str, Any]) -> list[tuple[str, tuple[Window, ...]]]:
    """Captions in whose middle an event is on."""
    found = []
    for segment in sorted(entry.get("captions") or [], key=lambda one: one["start"]):
        middle = segment["start"] + segment["duration"] / 2
        windows = tuple(sorted({(one.start, one.end) for one in video.events if one.start <= middle < one.end}))
        if windows and any(char.isalnum() for char in segment["text"]):
            found.append((segment["text"], windows))
    return found
