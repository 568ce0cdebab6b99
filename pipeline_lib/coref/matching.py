"""Cut points → proposals, and proposals with gold events → which proposal stands for which event.

The original's rule is not public (§6), so it is a setting, `coref.evaluation.matching`.
"""

from itertools import pairwise

import numpy as np

from pipeline_lib.config.coref import CorefEvaluation


def proposals(cuts: list[float], duration: float) -> np.ndarray:
    """Cut points → (n + 1, 2) intervals from 0 to the end (§1.4); cuts outside the video are left out."""
    edges = [0.0, *sorted({cut for cut in cuts if 0 < cut < duration}), duration]
    return np.array(list(pairwise(edges)))


def stands(intervals: np.ndarray, events: np.ndarray, options: CorefEvaluation) -> np.ndarray:
    """Which proposals (n, 2) stand for which events (m, 2), (n, m) bool; seconds.

    An event may have several proposals, or none: `missed`. Rules, by `options.matching`:

        iou            their intersection is at least min_iou of their union
        centre_inside  the middle of the event lies in the proposal; on a cut, in the later one
        overlap        the proposal covers at least min_overlap of the event, and some of it in any case
    """
    if options.matching == "centre_inside":
        centres = events.mean(axis=1)
        start, end = intervals[:, :1], intervals[:, 1:]
        last = end == intervals[:, 1].max(initial=0.0)
        return (start <= centres) & ((centres < end) | (last & (centres == end)))
    start = np.maximum(intervals[:, None, 0], events[None, :, 0])
    end = np.minimum(intervals[:, None, 1], events[None, :, 1])
    shared = np.clip(end - start, 0, None)
    lengths = np.diff(events, axis=1).T
    if options.matching == "overlap":
        return (shared > 0) & (shared >= options.min_overlap * lengths)
    union = np.diff(intervals, axis=1) + lengths - shared
    return (shared > 0) & (shared >= options.min_iou * union)


def labels(standing: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Labels (n, s) of proposals: a pair is positive if an event that the proposal stands for corefers with the sentence.

    Args:
        standing: (n, m), of `stands`.
        truth: (m, s), which events corefer with which sentences.
    """
    return (standing[:, :, None] & truth[None]).any(axis=1)


def missed(standing: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Per event (m,), its positive pairs that no proposal can find because none stands for it."""
    return np.where(standing.any(axis=0), 0, truth.sum(axis=1))
