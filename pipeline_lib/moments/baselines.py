"""Queries → predictions that look at no video: what a network must beat.

constant     one span for all, the one with the highest R1@0.5 on the training queries: fractions of a video, or seconds
random       ten spans drawn evenly, a score each
full_video   from start to end
"""

import itertools
from collections.abc import Sequence

import numpy as np

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.moments import metrics, submission
from pipeline_lib.moments.data import padded
from pipeline_lib.moments.submission import Prediction

_STEPS = 20  # of the grids that constant spans are chosen from
_DRAWN = 10
_HIT = 0.5


def predictions(train: Sequence[Moment], moments: Sequence[Moment], seed: int) -> dict[str, list[Prediction]]:
    """Each baseline's predictions of some queries, by name."""
    rng = np.random.default_rng(seed)
    span, unit = constant(train)
    found: dict[str, list[Prediction]] = {"constant": [], "random": [], "full_video": []}
    for one in moments:
        ends = np.sort(rng.random((_DRAWN, 2)), axis=1) * one.duration
        scores = -np.sort(-rng.random(_DRAWN))
        whole = np.array([(0.0, one.duration, 1.0)])
        for name, windows in (
            ("constant", placed(span, unit, one.duration)),
            ("random", np.column_stack([ends, scores])),
            ("full_video", whole),
        ):
            finished = windows.round(submission.DECIMALS)
            found[name].append(Prediction(one.query_id, one.sentence, one.video_id, finished))
    return found


def constant(train: Sequence[Moment]) -> tuple[tuple[float, float], str]:
    """The span with the highest R1@0.5 on these queries, of equal ones that with the highest mIoU, and its unit."""
    gold = [one for one in train if one.windows]
    durations = np.array([one.duration for one in gold])
    moments, there = (part.numpy() for part in padded([np.array(one.windows) for one in gold]))
    best: tuple[float, float] = (-1.0, -1.0)
    chosen: tuple[tuple[float, float], str] = ((0.0, 1.0), "fraction")
    for unit, high in (("fraction", 1.0), ("seconds", float(moments.max()))):
        for span in itertools.combinations(np.linspace(0, high, _STEPS + 1).tolist(), 2):
            windows = _placed(span, unit, durations)[:, None]
            ious = np.where(there, metrics.overlaps(windows, moments)[:, 0], 0.0).max(1)
            value = float((ious >= _HIT).mean()), float(ious.mean())
            if value > best:
                best, chosen = value, (span, unit)
    return chosen


def placed(span: tuple[float, float], unit: str, duration: float) -> np.ndarray:
    """The span as the one window of a video, cut at its end."""
    return np.append(_placed(span, unit, np.array([duration]))[0], 1.0)[None]


def _placed(span: tuple[float, float], unit: str, durations: np.ndarray) -> np.ndarray:
    """(n, 2): the span in videos of these durations."""
    ends = np.array(span) * (durations[:, None] if unit == "fraction" else 1.0)
    return np.minimum(ends, durations[:, None])
