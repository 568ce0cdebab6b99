"""Gold labels and features of a video → clips to score against its article's sentences, without and with proposals (§1)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import matching
from pipeline_lib.coref.inputs import Inputs, Moments
from pipeline_lib.coref.names import WITHOUT


class Chosen(NamedTuple):
    """Objects of a clip.

    Attributes:
        features: (count, dim); zeros where the clip has fewer objects.
        rows: frames that they are from, and their places there; at most `count`.
    """

    features: np.ndarray
    rows: list[tuple[int, int]]


@dataclass(frozen=True)
class Item:
    """One video under one protocol: n clips × s sentences, m gold events.

    Attributes:
        intervals: (n, 2) seconds.
        labels: (n, s) bool, gold.
        missed: positive pairs that no clip can find, because no proposal stands for their event.
        events: {start, end, type} of the m events.
        stands: (n, m) bool, which clip stands for which event.
        missed_of: (m,) `missed`, event by event.
        chosen: of each clip, where its objects are from (see `Chosen`).
    """

    video_id: str
    intervals: np.ndarray
    sentences: list[str]
    labels: np.ndarray
    missed: int
    clips: np.ndarray  # (n, clip dim)
    words: np.ndarray  # (s, max_words, word dim)
    objects: np.ndarray  # (n, candidates, object dim)
    events: list[dict[str, Any]]
    stands: np.ndarray
    missed_of: np.ndarray
    chosen: list[list[tuple[int, int]]]


def items(
    inputs: Inputs, split: str, protocol: str, moments: Moments, options: CorefEvaluation
) -> tuple[list[Item], dict[str, str]]:
    """The items of a split, and of the videos that are left out the reason."""
    found, left_out = [], {}
    for video_id in inputs.videos(split):
        reason = inputs.why_not(video_id) or inputs.malformed.get(video_id)
        reason = reason or unusable(inputs.annotations[video_id], protocol)
        if reason is None:
            try:
                found.append(_item(inputs, video_id, protocol, moments, options))
            except UserError as error:  # of the features of this video: not finite, cut off …
                reason = str(error)
        if reason is not None:
            left_out[video_id] = reason
    return found, left_out


def unusable(gold: dict[str, Any], protocol: str) -> str | None:
    """Why the annotation of a video can't be used, or None."""
    if not gold["article_sentences"]:
        return "its article has no sentences"
    if protocol == WITHOUT and not gold["events"]:
        return "no event is annotated"
    return None


def _item(inputs: Inputs, video_id: str, protocol: str, moments: Moments, options: CorefEvaluation) -> Item:
    gold = inputs.annotations[video_id]
    events = np.array([[event["start"], event["end"]] for event in gold["events"]], float).reshape(-1, 2)
    truth = np.zeros((len(events), len(gold["article_sentences"])), bool)
    for event, sentence in gold["event_coreference"]:
        truth[event, sentence] = True
    if protocol == WITHOUT:
        intervals, stands = events, np.eye(len(events), dtype=bool)
    else:
        intervals = matching.proposals(gold["temporal_proposals"], gold["duration"])
        stands = matching.stands(intervals, events, options)
    missed_of = matching.missed(stands, truth)
    chosen = [choose(inputs, video_id, start, end, inputs.options.candidates_eval) for start, end in intervals]
    return Item(
        video_id=video_id,
        intervals=intervals,
        sentences=gold["article_sentences"],
        labels=matching.labels(stands, truth),
        missed=int(missed_of.sum()),
        clips=np.stack([moments.clip(inputs.clip(video_id, start, end)) for start, end in intervals]),
        words=np.stack([inputs.sentence(text) for text in gold["article_sentences"]]),
        objects=np.stack([moments.objects(one.features) for one in chosen]).astype(np.float32),
        events=gold["events"],
        stands=stands,
        missed_of=missed_of,
        chosen=[one.rows for one in chosen],
    )


def choose(inputs: Inputs, video_id: str, start: float, end: float, count: int) -> Chosen:
    """Objects of a clip: the best of every frame, then the second of every frame, and so on (§1.5).

    Frames are the rows from round(start/step) to round(end/step) inclusive; a clip without any has zeros.
    """
    features = inputs.objects(video_id).features
    frames = range(inputs.frame(start), min(inputs.frame(end) + 1, len(features)))
    rows = [(frame, place) for place in range(features.shape[1]) for frame in frames][:count]
    chosen = np.zeros((count, features.shape[2]), np.float32)
    for index, row in enumerate(rows):
        chosen[index] = features[row]
    return Chosen(chosen, rows)
