"""Scores and labels of pairs, video by video → precision, recall, F1, average precision, accuracy, with intervals."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

NAMES = ("precision", "recall", "f1", "average_precision", "accuracy")
_CELLS = 2**22  # numbers that one block of average precision holds: 32 MiB


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
    """Precision, recall, F1 and accuracy of `score > threshold`, and average precision; 0 where undefined.

    Missed pairs are positives that are never found.
    """
    values = _weighted(pairs, threshold, np.ones((1, len(pairs.missed))))[:, 0]
    return {name: float(value) for name, value in zip(NAMES, values, strict=True)}


def best_threshold(pairs: Pairs, thresholds: Sequence[float] | Literal["val_scores"]) -> float:
    """The threshold with the highest F1; the lowest of several equally good ones.

    Args:
        thresholds: to choose from; `val_scores` tries one between every two neighbouring scores.
    """
    tried = _between(pairs.scores) if isinstance(thresholds, str) else np.unique(thresholds)
    predicted = _above(pairs.scores, tried)
    true = _above(pairs.scores[pairs.labels], tried)
    return float(tried[np.argmax(_ratio(2 * true, predicted + _positives(pairs)))])


def _between(scores: np.ndarray) -> np.ndarray:
    distinct = np.unique(scores)
    return np.concatenate([np.nextafter(distinct[:1], -np.inf), (distinct[1:] + distinct[:-1]) / 2, distinct[-1:]])


def _above(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many scores lie strictly above each threshold."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="right")


def _positives(pairs: Pairs) -> int:
    return int(pairs.labels.sum() + pairs.missed.sum())


class Measured(NamedTuple):
    """Metrics of one system, in the order of NAMES."""

    values: np.ndarray  # (5,)
    resampled: np.ndarray  # (5, resamples)

    @classmethod
    def of(cls, pairs: Pairs, threshold: float, drawn: np.ndarray) -> "Measured":
        """Metrics of all videos and of every resample in `drawn` (see report.bootstrap.resamples)."""
        whole = _weighted(pairs, threshold, np.ones((1, drawn.shape[1])))
        return cls(whole[:, 0], _weighted(pairs, threshold, drawn))

    def minus(self, other: "Measured") -> "Measured":
        """Differences, resample by resample: what both owe to easy or hard videos cancels out."""
        return Measured(self.values - other.values, self.resampled - other.resampled)

    def report(self) -> dict[str, Any]:
        """{metric: {value, ci95: [low, high]}}, 95 % percentile intervals, rounded to six digits."""
        low, high = np.percentile(self.resampled, [2.5, 97.5], axis=1)
        return {
            name: {"value": round(float(value), 6), "ci95": [round(float(a), 6), round(float(b), 6)]}
            for name, value, a, b in zip(NAMES, self.values, low, high, strict=True)
        }


def _weighted(pairs: Pairs, threshold: float, weights: np.ndarray) -> np.ndarray:
    """The metrics (5, resamples), each video counted `weights` (resamples, videos) times."""
    count = len(pairs.missed)
    predicted = pairs.scores > threshold

    def total(mask: np.ndarray) -> np.ndarray:
        return weights @ np.bincount(pairs.videos[mask], minlength=count).astype(float)

    true, claimed = total(predicted & pairs.labels), total(predicted)
    missed = weights @ pairs.missed
    positives = total(pairs.labels) + missed
    right = total(predicted == pairs.labels)
    return np.stack(
        [
            _ratio(true, claimed),
            _ratio(true, positives),
            _ratio(2 * true, claimed + positives),
            _average_precision(pairs, weights, positives),
            _ratio(right, weights @ np.bincount(pairs.videos, minlength=count) + missed),
        ]
    )


def _average_precision(pairs: Pairs, weights: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Σ (R_i - R_{i-1}) P_i over distinct scores, as scikit-learn; missed pairs count as positives never found.

    Only scores that some positive pair has add to the sum. At each of them the pairs with at least this score are counted
    video by video, (scores, videos), so that all resamples are one product of matrices.
    """
    if len(weights) == 1:
        return _ratio(_sum_of_precisions(pairs, weights[0]), positives)
    count = len(pairs.missed)
    levels = np.unique(pairs.scores[pairs.labels])[::-1]
    level = np.searchsorted(-levels, -pairs.scores)  # the first that the pair is counted at; len(levels): none
    order = np.argsort(level, kind="stable")
    level, videos, labels = level[order], pairs.videos[order], pairs.labels[order]
    seen = np.zeros((1, count))
    found = np.zeros((1, len(weights)))
    total = np.zeros(len(weights))
    size = max(1, _CELLS // max(count, len(weights)))
    largest = float((weights @ np.bincount(pairs.videos, minlength=count)).max(initial=0.0))
    exact = (
        np.float32 if largest < 2**24 else np.float64
    )  # float32 holds such whole numbers, and multiplies twice as fast
    transposed = np.ascontiguousarray(weights.T, exact)
    for first in range(0, len(levels), size):
        rows = min(size, len(levels) - first)
        one, other = np.searchsorted(level, [first, first + rows])
        cells = (level[one:other] - first) * count + videos[one:other]
        above = seen + np.bincount(cells, minlength=rows * count).reshape(rows, count).cumsum(axis=0, dtype=float)
        positive = np.flatnonzero(labels[one:other])  # at least one at every level
        starts = np.searchsorted(level[one:other][positive], np.arange(first, first + rows))
        gained = np.add.reduceat(transposed[videos[one:other][positive]], starts, axis=0, dtype=float)
        reached = found + gained.cumsum(axis=0)
        total += (gained * _ratio(reached, above.astype(exact) @ transposed)).sum(axis=0)
        seen, found = above[-1:], reached[-1:]
    return _ratio(total, positives)


def _sum_of_precisions(pairs: Pairs, weight: np.ndarray) -> np.ndarray:
    """Average precision times the number of positives, (1,), of one weight per video."""
    order = np.argsort(-pairs.scores, kind="stable")
    last = np.flatnonzero(np.diff(pairs.scores[order], append=-np.inf))  # of every group of equal scores
    each = weight[pairs.videos[order]]
    found = np.cumsum(each * pairs.labels[order])[last]
    return np.sum(np.diff(found, prepend=0.0) * _ratio(found, np.cumsum(each)[last]), keepdims=True)


def _ratio(a: np.ndarray, b: np.ndarray | float) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=np.asarray(b) > 0)
