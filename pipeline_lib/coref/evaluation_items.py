"""Gold labels and features of a video → clips to score against its article's sentences, without and with proposals (§1)."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline_lib.coref.inputs import Inputs, Moments

WITHOUT, WITH = "without_proposals", "with_proposals"
PROTOCOLS = (WITHOUT, WITH)


@dataclass(frozen=True)
class Item:
    """One video under one protocol: n clips × s sentences.

    Attributes:
        intervals: (n, 2) seconds.
        labels: (n, s) bool, gold.
        missed: positive pairs that no clip can find, because no proposal stands for their event.
    """

    video_id: str
    intervals: np.ndarray
    sentences: list[str]
    labels: np.ndarray
    missed: int
    clips: np.ndarray  # (n, clip dim)
    words: np.ndarray  # (s, max_words, word dim)
    objects: np.ndarray  # (n, candidates, object dim)


def items(
    inputs: Inputs, split: str, protocol: str, moments: Moments, min_iou: float
) -> tuple[list[Item], dict[str, str]]:
    """The items of a split, and of the videos that are left out the reason."""
    found, left_out = [], {}
    for video_id in inputs.videos(split):
        gold = inputs.annotations[video_id]
        reason = inputs.why_not(video_id)
        if reason is None and not gold["article_sentences"]:
            reason = "its article has no sentences"
        if reason is None and protocol == WITHOUT and not gold["events"]:
            reason = "no event is annotated"
        if reason is not None:
            left_out[video_id] = reason
            continue
        found.append(_item(inputs, video_id, protocol, moments, min_iou))
    return found, left_out


def _item(inputs: Inputs, video_id: str, protocol: str, moments: Moments, min_iou: float) -> Item:
    gold = inputs.annotations[video_id]
    events = np.array([[event["start"], event["end"]] for event in gold["events"]], float).reshape(-1, 2)
    truth = np.zeros((len(events), len(gold["article_sentences"])), bool)
    for event, sentence in gold["event_coreference"]:
        truth[event, sentence] = True
    if protocol == WITHOUT:
        intervals, labels, missed = events, truth, 0
    else:
        intervals = proposals(gold["temporal_proposals"], gold["duration"])
        labels, missed = match(intervals, events, truth, min_iou)
    whole = inputs.options.candidates_eval
    return Item(
        video_id,
        intervals,
        gold["article_sentences"],
        labels,
        missed,
        np.stack([moments.clip(inputs.clip(video_id, start, end)) for start, end in intervals]),
        np.stack([inputs.sentence(text) for text in gold["article_sentences"]]),
        np.stack([moments.objects(choose(inputs, video_id, start, end, whole)) for start, end in intervals]).astype(
            "f4"
        ),
    )


def proposals(cuts: list[float], duration: float) -> np.ndarray:
    """Cut points → (n + 1, 2) intervals from 0 to the end (§1.4); cuts outside the video are left out."""
    edges = [0.0, *sorted(cut for cut in cuts if 0 < cut < duration), duration]
    return np.array(list(pairwise(edges)))


def match(intervals: np.ndarray, events: np.ndarray, truth: np.ndarray, min_iou: float) -> tuple[np.ndarray, int]:
    """Labels (n, s) of proposals, and the number of positive (event, sentence) pairs that none of them stands for.

    A proposal stands for the events that it overlaps with a temporal IoU of at least `min_iou`, and a pair
    (proposal, sentence) is positive if one of them corefers with the sentence. The original's rule is not public.
    """
    start = np.maximum(intervals[:, None, 0], events[None, :, 0])
    end = np.minimum(intervals[:, None, 1], events[None, :, 1])
    shared = np.clip(end - start, 0, None)
    lengths = np.diff(intervals, axis=1) + np.diff(events, axis=1).T
    stands = shared / (lengths - shared) >= min_iou  # (n, events)
    labels = (stands[:, :, None] & truth[None]).any(axis=1)
    return labels, int(truth[~stands.any(axis=0)].sum())


def choose(inputs: Inputs, video_id: str, start: float, end: float, count: int) -> np.ndarray:
    """Objects of a clip, (count, dim): the best of every frame, then the second of every frame, and so on (§1.5).

    Frames are the rows from round(start/step) to round(end/step) inclusive; a clip without any has zeros.
    """
    frames = inputs.objects(video_id).features[inputs.frame(start) : inputs.frame(end) + 1]
    dimension = inputs.objects(video_id).features.shape[-1]
    in_turn = frames.transpose(1, 0, 2).reshape(-1, dimension)[:count]
    return np.concatenate([in_turn, np.zeros((count - len(in_turn), dimension), np.float32)])
