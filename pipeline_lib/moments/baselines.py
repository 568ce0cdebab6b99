"""Queries → predictions that look at no video: what a network must beat.

constant     one span for all, the one with the highest R1@0.5 on the training queries: fractions of a video, or seconds
random       ten spans drawn evenly, a score each
full_video   from start to end
"""

import itertools
from collections.abc import Sequence

import numpy as np

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.moments import metrics, submission
from pipeline_lib.moments.submission import Prediction

_STEPS = 20  # of the grids that constant spans are chosen from
_DRAWN = 10
_CHOICE = MomentsEvaluation(recall_at=[0.5], ranges={}, bootstrap=0)


def predictions(train: Sequence[Moment], moments: Sequence[Moment], seed: int) -> dict[str, list[Prediction]]:
    """Each baseline's predictions of some queries, by name."""
    rng = np.random.default_rng(seed)
    span, unit = constant(train)
    found: dict[str, list[Prediction]] = {"constant": [], "random": [], "full_video": []}
    for one in moments:
        ends = np.sort(rng.random((_DRAWN, 2)), axis=1) * one.duration
        scores = -np.sort(-rng.random(_DRAWN))
        whole = [(0.0, one.duration, 1.0)]
        for name, windows in (
            ("constant", placed(span, unit, one.duration)),
            ("random", np.column_stack([ends, scores])),
            ("full_video", np.array(whole)),
        ):
            finished = windows.round(submission.DECIMALS)
            found[name].append(Prediction(one.query_id, one.sentence, one.video_id, finished))
    return found


def constant(train: Sequence[Moment]) -> tuple[tuple[float, float], str]:
    """The span with the highest R1@0.5 on these queries, of equal ones that with the highest mIoU, and its unit."""
    gold = [one for one in train if one.windows]
    longest = max(end for one in gold for _, end in one.windows)
    best: tuple[float, float] = (-1.0, -1.0)
    chosen: tuple[tuple[float, float], str] = ((0.0, 1.0), "fraction")
    for unit, high in (("fraction", 1.0), ("seconds", longest)):
        for span in itertools.combinations(np.linspace(0, high, _STEPS + 1).tolist(), 2):
            value = _value(span, unit, gold)
            if value > best:
                best, chosen = value, (span, unit)
    return chosen


def placed(span: tuple[float, float], unit: str, duration: float) -> np.ndarray:
    """The span as the one window of a video, cut at its end."""
    factor = duration if unit == "fraction" else 1.0
    start, end = (min(one * factor, duration) for one in span)
    return np.array([(start, end, 1.0)])


def _value(span: tuple[float, float], unit: str, gold: Sequence[Moment]) -> tuple[float, float]:
    hits, overlap = 0, 0.0
    for one in gold:
        window = placed(span, unit, one.duration)[None, :, :2]
        ious = metrics.overlaps(window, np.array(one.windows)[None])
        hits += ious.max() >= 0.5
        overlap += ious.max()
    return hits / len(gold), overlap / len(gold)
