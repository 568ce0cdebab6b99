"""Predictions and gold moments → arrays with a row per gold query; what doesn't fit together is said by its qid."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments.submission import DECIMALS, Prediction

log = logging.getLogger(__name__)


class Windows(NamedTuple):
    """Windows of n queries, padded. Rows of `gold` beyond a query's own are 0."""

    predicted: np.ndarray  # (n, K, 3) start, end, score, in the order of the file
    counts: np.ndarray  # (n,) predicted windows, K at most
    gold: np.ndarray  # (n, M, 2)
    golds: np.ndarray  # (n,) gold windows, at least 1

    def of(self, chosen: np.ndarray) -> "Windows":
        """Some of the queries."""
        return Windows(*(part[chosen] for part in self))


@dataclass(frozen=True)
class Aligned:
    """A prediction, or None, for each gold query, and what is peculiar about them.

    Attributes:
        missing: gold queries without a prediction; they count as misses, like those whose list of windows is empty.
        empty: predicted queries without windows.
        unsorted: queries with a window that scores higher than one before it.
        beyond: queries with a window that starts before 0 or ends after the video; it is measured as it is.
    """

    predictions: list[Prediction | None]
    missing: list[int]
    empty: list[int]
    unsorted: list[int]
    beyond: list[int]


def align(predictions: Sequence[Prediction], gold: Sequence[Moment]) -> Aligned:
    """Each gold query's prediction.

    Raises:
        UserError: a qid stands twice on one side, is unknown to the annotations, or is that of another video there.
    """
    if not gold:
        raise UserError("there are no annotated queries to measure on; give an annotation file that has some")
    by_qid = {moment.query_id: moment for moment in gold}
    if len(by_qid) < len(gold):
        raise UserError(
            f"qid {_twice([moment.query_id for moment in gold])} stands twice in the annotations; repair them"
        )
    found = {one.qid: one for one in predictions}
    if len(found) < len(predictions):
        raise UserError(
            f"qid {_twice([one.qid for one in predictions])} is predicted twice; give each query one prediction"
        )
    if unknown := [qid for qid in found if qid not in by_qid]:
        raise UserError(
            f"qid {unknown[0]} is predicted but not annotated ({len(unknown)} of {len(found)} such qids); "
            "give the annotations of the split that the predictions are for"
        )
    if secret := [moment.query_id for moment in gold if not moment.windows]:
        raise UserError(
            f"qid {secret[0]} has no windows in the annotations ({len(secret)} of {len(gold)} such qids); "
            "this split keeps them secret: measure on another one"
        )
    for qid, one in found.items():
        if one.vid and not _same(one.vid, by_qid[qid].video_id):
            raise UserError(
                f"qid {qid} is predicted for {one.vid} but annotated for {by_qid[qid].video_id}; "
                "give the annotations of the split that the predictions are for"
            )
    aligned = Aligned(
        [found.get(moment.query_id) for moment in gold],
        [moment.query_id for moment in gold if moment.query_id not in found],
        [qid for qid, one in found.items() if not len(one.windows)],
        [qid for qid, one in found.items() if not one.best_first],
        [qid for qid, one in found.items() if _beyond(one, by_qid[qid].duration)],
    )
    for qids, what in (
        (aligned.missing, "have no prediction and count as misses"),
        (aligned.empty, "are predicted without any window and count as misses"),
        (aligned.unsorted, "have windows that aren't best first: R1 and mIoU take the first one, as upstream"),
        (aligned.beyond, "have windows that go beyond the video: they are measured as they are"),
    ):
        if qids:
            named = ", ".join(map(str, qids[:3]))
            log.warning("%d of %d queries %s (first: qid %s)", len(qids), len(gold), what, named)
    return aligned


def _twice(qids: list[int]) -> int:
    return Counter(qids).most_common(1)[0][0]


def _same(vid: str, video_id: str) -> bool:
    """TACoS' annotations call s17-d69.avi what others call s17-d69."""
    return vid == video_id or video_id in (f"{vid}.avi", PurePath(vid).name)


def _beyond(one: Prediction, duration: float) -> bool:
    end = duration + 10**-DECIMALS  # where windows end with the video, rounding may have moved their end past it
    return bool(len(one.windows)) and bool(one.windows[:, 0].min() < 0 or one.windows[:, 1].max() > end)


def pack(predictions: Sequence[Prediction | None], gold: Sequence[Moment], top: int) -> Windows:
    """The first `top` windows of every query, and all gold ones."""
    counts = np.array([0 if one is None else min(len(one.windows), top) for one in predictions])
    golds = np.array([len(moment.windows) for moment in gold])
    predicted = np.zeros((len(gold), max(int(counts.max()), 1), 3))
    predicted[np.arange(predicted.shape[1]) < counts[:, None]] = np.concatenate(
        [np.zeros((0, 3)), *(one.windows[:top] for one in predictions if one is not None)]
    )
    windows = np.zeros((len(gold), int(golds.max()), 2))
    windows[np.arange(windows.shape[1]) < golds[:, None]] = np.concatenate([moment.windows for moment in gold])
    return Windows(predicted, counts, windows, golds)


def within(windows: Windows, low: float, high: float) -> tuple[Windows, np.ndarray]:
    """Queries with gold windows longer than `low` and at most `high` seconds, with those alone; and which queries they are."""
    length = windows.gold[:, :, 1] - windows.gold[:, :, 0]
    real = np.arange(windows.gold.shape[1]) < windows.golds[:, None]
    inside = real & (length > low) & (length <= high)
    golds = inside.sum(axis=1)
    chosen = np.flatnonzero(golds)
    order = np.argsort(~inside[chosen], axis=1, kind="stable")
    kept = np.take_along_axis(windows.gold[chosen], order[:, :, None], axis=1)[:, : golds.max(initial=1)]
    kept[np.arange(kept.shape[1]) >= golds[chosen, None]] = 0
    return Windows(windows.predicted[chosen], windows.counts[chosen], kept, golds[chosen]), chosen
