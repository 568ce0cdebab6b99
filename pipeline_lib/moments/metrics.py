"""Predicted windows and gold moments → R1@IoU, mIoU and mAP by length of the moment, and highlights, with intervals.

All in percent. As MESM's eval.py, which follows Moment-DETR's standalone_eval/eval.py; docs/moments_evaluation.md has the
definitions, and where the two and this differ.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.moments import highlights
from pipeline_lib.moments.packing import Aligned, Windows, align, pack, within
from pipeline_lib.moments.submission import Prediction
from pipeline_lib.report.bootstrap import Measured, resamples

FULL = "full"
Columns = dict[str, np.ndarray]  # metric: its value for each query, (n,)


class Result(NamedTuple):
    """What was measured of one system.

    Attributes:
        by_range: metrics of "full" and of every range that has gold windows.
        sizes: (queries, gold windows) of each of them.
        highlights: metrics of each level of saliency; empty where there is none on either side.
    """

    by_range: dict[str, Measured]
    sizes: dict[str, tuple[int, int]]
    highlights: dict[str, Measured]
    aligned: Aligned
    videos: int

    def report(self) -> dict[str, Any]:
        """Plain values for JSON; metrics are {value, ci95: [low, high]}."""
        aligned = self.aligned
        return {
            "queries": len(aligned.predictions),
            "videos": self.videos,
            "missing": aligned.missing,
            "empty": aligned.empty,
            "unsorted": aligned.unsorted,
            "beyond_video": aligned.beyond,
            "brief": brief(self),
            "ranges": {
                name: {"queries": self.sizes[name][0], "windows": self.sizes[name][1], **one.report()}
                for name, one in self.by_range.items()
            },
            "highlights": {name: one.report() for name, one in self.highlights.items()},
        }

    def minus(self, other: "Result") -> dict[str, Any]:
        """Paired differences to a system that was measured on the same gold moments with the same options."""
        return {
            "ranges": {name: one.minus(other.by_range[name]).report() for name, one in self.by_range.items()},
            "highlights": {
                name: one.minus(other.highlights[name]).report()
                for name, one in self.highlights.items()
                if name in other.highlights
            },
        }


def evaluate(predictions: Sequence[Prediction], gold: Sequence[Moment], options: MomentsEvaluation) -> dict[str, Any]:
    """All metrics of one system as plain values; `brief` holds them under upstream's names, in percent with 2 decimals.

    Raises:
        UserError: predictions and gold don't fit together (see packing.align).
    """
    return measure(predictions, gold, options).report()


def measure(predictions: Sequence[Prediction], gold: Sequence[Moment], options: MomentsEvaluation) -> Result:
    """The same with what the resamples give, for differences."""
    aligned = align(predictions, gold)
    windows = pack(aligned.predictions, gold, options.top)
    videos = np.unique([moment.video_id for moment in gold], return_inverse=True)[1]
    count = int(videos.max()) + 1
    drawn = resamples(count, options.bootstrap, options.seed)
    by_range, sizes = {}, {}
    everything = np.arange(len(gold))
    parts = {FULL: (windows, everything)} | {name: within(windows, *ends) for name, ends in options.ranges.items()}
    for name, (part, chosen) in parts.items():
        if len(chosen):
            columns = recalls(part, options.recall_at) | precisions(part, options.precision_at)
            by_range[name] = summarise(columns, videos[chosen], drawn)
            sizes[name] = len(chosen), int(part.golds.sum())
    levels = highlights.columns(aligned.predictions, gold, options.clip_length)
    shown = {name: summarise(found, videos[chosen], drawn) for name, (found, chosen) in levels.items()}
    return Result(by_range, sizes, shown, aligned, count)


def recalls(windows: Windows, thresholds: Sequence[float]) -> Columns:
    """R1 at each threshold, and the IoU itself as mIoU, of each query's first window and the gold window it overlaps most."""
    first = windows.predicted[:, :1, :2]
    found = windows.counts > 0
    ious = np.where(_padding(windows), -1.0, overlaps(first, windows.gold)[:, 0])
    nearest = windows.gold[np.arange(len(ious)), ious.argmax(axis=1)]
    paired = hull_overlap(first[:, 0], nearest)
    hits = {f"R1@{threshold:g}": 100.0 * (found & (paired >= threshold)) for threshold in thresholds}
    return hits | {"mIoU": 100.0 * np.where(found, ious.max(axis=1), 0.0)}


def precisions(windows: Windows, thresholds: Sequence[float]) -> Columns:
    """Average precision of each query at each threshold, and the mean over these as mAP."""
    found = np.zeros((len(windows.counts), len(thresholds)))
    for golds in np.unique(windows.golds):  # most queries have one, some a dozen: no padding this way
        chosen = np.flatnonzero(windows.golds == golds)
        part = windows.of(chosen)
        found[chosen] = average_precision(part._replace(gold=part.gold[:, :golds]), np.asarray(thresholds))
    found *= 100.0
    columns = {f"mAP@{threshold:g}": found[:, place] for place, threshold in enumerate(thresholds)}
    return {"mAP": found.mean(axis=1)} | columns


def average_precision(windows: Windows, thresholds: np.ndarray) -> np.ndarray:
    """VOC's interpolated average precision of queries that have equally many gold windows, (n, thresholds).

    Windows are taken by falling score, equal ones as they stand. Each takes, of the gold windows that it overlaps enough and
    that none before it took, the one it overlaps most (of equal ones the last); without any it is a false positive.
    """
    predicted, counts, gold, _ = windows
    count, most = predicted.shape[:2]
    real = np.arange(most) < counts[:, None]
    order = np.argsort(np.where(real, -predicted[:, :, 2], np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(predicted, order[:, :, None], axis=1)[:, :, :2]
    ious = np.where(real[:, :, None], overlaps(ranked, gold), -1.0)  # real windows come first in any order
    free = np.ones((count, len(thresholds), gold.shape[1]), bool)
    hits = np.zeros((count, len(thresholds), most), bool)
    for rank in range(most):
        here = ious[:, rank, None, :]
        fitting = np.where(free & (here >= thresholds[:, None]), here, -1.0)
        last = gold.shape[1] - 1 - fitting[:, :, ::-1].argmax(axis=2)
        hits[:, :, rank] = (fitting >= 0).any(axis=2)
        query, threshold = np.nonzero(hits[:, :, rank])
        free[query, threshold, last[query, threshold]] = False
    precision = hits.cumsum(axis=2) / np.arange(1, most + 1)
    reached = np.maximum.accumulate(precision[:, :, ::-1], axis=2)[:, :, ::-1]
    return (reached * hits).sum(axis=2) / gold.shape[1]


def overlaps(windows: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """IoU of (n, K, 2) with (n, M, 2): (n, K, M). Two windows without length have 0, where upstream has NaN."""
    one, other = windows[:, :, None], gold[:, None]
    inner = np.clip(np.minimum(one[..., 1], other[..., 1]) - np.maximum(one[..., 0], other[..., 0]), 0, None)
    union = (one[..., 1] - one[..., 0]) + (other[..., 1] - other[..., 0]) - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def hull_overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """IoU of the rows of (n, 2) and (n, 2) over the hull of both, as R1 has it upstream.

    It differs from `overlaps` in the last digits only, which decide at a threshold: the hull is the union where they overlap.
    """
    inner = np.maximum(0, np.minimum(one[:, 1], other[:, 1]) - np.maximum(one[:, 0], other[:, 0]))
    hull = np.maximum(one[:, 1], other[:, 1]) - np.minimum(one[:, 0], other[:, 0])
    return np.divide(inner, hull, out=np.zeros_like(inner), where=hull > 0)


def _padding(windows: Windows) -> np.ndarray:
    return np.arange(windows.gold.shape[1]) >= windows.golds[:, None]


def summarise(columns: Columns, videos: np.ndarray, drawn: np.ndarray) -> Measured:
    """Means over queries, of all and of every resample of whole videos.

    Args:
        videos: (n,) the video of each query.
        drawn: (resamples, videos) how often each video is drawn.
    """
    size = drawn @ np.bincount(videos, minlength=drawn.shape[1])
    resampled = {}
    for name, column in columns.items():
        total = drawn @ np.bincount(videos, column, minlength=drawn.shape[1])
        resampled[name] = np.divide(total, size, out=np.full(len(drawn), np.nan), where=size > 0)
    return Measured({name: float(column.mean()) for name, column in columns.items()}, resampled)


def brief(result: Result) -> dict[str, float]:
    """Upstream's names and rounding."""
    full = result.by_range[FULL].values
    names = {f"R1@{one:g}": f"R1@{one:g}" for one in (0.1, 0.3, 0.5, 0.7)}
    names |= {"miou": "mIoU", "mAP": "mAP", "mAP@0.5": "mAP@0.5", "mAP@0.75": "mAP@0.75"}
    found = {f"MR-full-{theirs}": full[ours] for theirs, ours in names.items() if ours in full}
    found |= {f"MR-{name}-mAP": one.values["mAP"] for name, one in result.by_range.items() if name != FULL}
    for level, one in result.highlights.items():
        found |= {f"HL-min-{level}-mAP": one.values["mAP"], f"HL-min-{level}-Hit1": one.values["HIT@1"]}
    return {name: float(f"{value:.2f}") for name, value in found.items()}
