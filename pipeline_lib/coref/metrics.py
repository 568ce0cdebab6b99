"""Scores and labels of pairs, video by video → precision, recall, F1, average precision, with bootstrap intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NAMES = ("precision", "recall", "f1", "average_precision")


class Pairs(NamedTuple):
    """All pairs of a split, flat, with the position of the video each belongs to.

    Attributes:
        missed: per video, positive pairs that have no score because nothing was proposed for them.
    """

    scores: np.ndarray  # (n,) float
    labels: np.ndarray  # (n,) bool
    videos: np.ndarray  # (n,) int
    missed: np.ndarray  # (videos,) int


def flatten(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], missed: Sequence[int]) -> Pairs:
    """One array of scores and one of labels per video → flat pairs."""
    sizes = [part.size for part in scores]
    return Pairs(
        np.concatenate([part.ravel() for part in scores]),
        np.concatenate([part.ravel() for part in labels]).astype(bool),
        np.repeat(np.arange(len(sizes)), sizes),
        np.asarray(missed, dtype=int),
    )


def measure(pairs: Pairs, threshold: float) -> dict[str, float]:
    """Precision, recall and F1 of `score > threshold`, and average precision; 0 where undefined."""
    return {
        name: float(value)
        for name, value in zip(NAMES, _weighted(pairs, threshold, np.ones((1, len(pairs.missed))))[:, 0], strict=True)
    }


def bootstrap(pairs: Pairs, threshold: float, resamples: int, seed: int) -> dict[str, list[float]]:
    """95 % percentile intervals over resamples of whole videos."""
    rng = np.random.default_rng(seed)
    count = len(pairs.missed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    low, high = np.percentile(_weighted(pairs, threshold, drawn), [2.5, 97.5], axis=1)
    return {name: [float(a), float(b)] for name, a, b in zip(NAMES, low, high, strict=True)}


def best_threshold(pairs: Pairs, thresholds: Sequence[float]) -> float:
    """The threshold with the highest F1; the lowest of several equally good ones."""
    return max(sorted(thresholds), key=lambda threshold: measure(pairs, threshold)["f1"])


def _weighted(pairs: Pairs, threshold: float, weights: np.ndarray) -> np.ndarray:
    """The four metrics (4, resamples), each video counted `weights` (resamples, videos) times."""
    count = len(pairs.missed)
    predicted = pairs.scores > threshold

    def per_video(mask: np.ndarray) -> np.ndarray:
        return np.bincount(pairs.videos[mask], minlength=count)

    true = weights @ per_video(predicted & pairs.labels)
    positives = weights @ (per_video(pairs.labels) + pairs.missed)
    precision = _ratio(true, weights @ per_video(predicted))
    recall = _ratio(true, positives)
    f1 = _ratio(2 * precision * recall, precision + recall)
    return np.stack([precision, recall, f1, _average_precision(pairs, weights, positives)])


def _average_precision(pairs: Pairs, weights: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Σ (R_i - R_{i-1}) P_i over distinct scores, as scikit-learn; missed pairs count as positives never found."""
    order = np.argsort(-pairs.scores, kind="stable")
    last = np.flatnonzero(np.diff(pairs.scores[order], append=-np.inf))  # of every group of equal scores
    values = np.zeros(len(weights))
    for row, weight in enumerate(weights):
        each = weight[pairs.videos[order]]
        found = np.cumsum(each * pairs.labels[order])[last]
        precision = _ratio(found, np.cumsum(each)[last])
        values[row] = np.sum(np.diff(found, prepend=0) * precision)
    return _ratio(values, positives)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=np.asarray(b) > 0)
