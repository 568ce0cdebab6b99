"""Predicted and gold tracks → tAP, stAP, success, recovery and search efficiency, as EGO4D/episodic-memory's vq2d/metrics.

Where that code stops with an error, this one goes on: a query without prediction is a miss, tracks without area overlap nothing.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline_lib.vq2d.tracks import Track, frame_ious, spatio_temporal_iou, temporal_iou

AP_THRESHOLDS = (0.25, 0.5, 0.75, 0.95)
SUCCESS_THRESHOLDS = (0.05, 0.1, 0.2)
RECOVERY_THRESHOLDS = (0.5, 0.75, 0.95)


def measure(
    predicted: Sequence[Sequence[Track]],
    gold: Sequence[Track],
    accessed: Sequence[int] | None = None,
    total: Sequence[int] | None = None,
) -> dict[str, float]:
    """All metrics; AP is from 0 to 1, the others are percentages.

    Args:
        predicted: tracks of each query, with scores.
        gold: the track of each query.
        accessed: frames that were looked at, per query; None leaves out search efficiency.
        total: frames that could have been looked at.
    """
    found: dict[str, float] = {}
    for name, overlap in (("tAP", temporal_iou), ("stAP", spatio_temporal_iou)):
        values = average_precisions(predicted, gold, overlap)
        found[name] = float(np.mean(values))
        found |= {f"{name}@{t:g}": value for t, value in zip(AP_THRESHOLDS, values, strict=True)}
    best = best_tracks(predicted)
    found |= {f"success@{t:g}": success(best, gold, t) for t in SUCCESS_THRESHOLDS}
    found |= {f"recovery@{t:g}": recovery(best, gold, t) for t in RECOVERY_THRESHOLDS}
    if accessed is not None and total is not None:
        found["search_efficiency"] = search_efficiency(accessed, total)
    return found


def ranked(predicted: Sequence[Sequence[Track]]) -> list[tuple[int, Track]]:
    """(query, track) of all predictions, best score first.

    Equal scores come in the order that NumPy's default argsort has, reversed: the official order, on which AP depends.
    """
    flat = [(i, track) for i, tracks in enumerate(predicted) for track in tracks]
    order = np.array([track.score for _, track in flat], dtype=float).argsort()[::-1]
    return [flat[i] for i in order]


def best_tracks(predicted: Sequence[Sequence[Track]]) -> list[Track | None]:
    """The first ranked track of each query."""
    best: list[Track | None] = [None] * len(predicted)
    for i, track in ranked(predicted):
        best[i] = best[i] or track
    return best


def average_precisions(
    predicted: Sequence[Sequence[Track]], gold: Sequence[Track], overlap: Callable[[Track, Track], float]
) -> list[float]:
    """VOC-2011 AP over all queries together, for each of AP_THRESHOLDS: the best track that reaches it finds a gold one, once."""
    pairs = [(i, overlap(track, gold[i])) for i, track in ranked(predicted)]
    return [_average_precision(pairs, len(gold), threshold) for threshold in AP_THRESHOLDS]


def _average_precision(pairs: Sequence[tuple[int, float]], positives: int, threshold: float) -> float:
    if not pairs:
        return 0.0
    taken: set[int] = set()
    hits = np.zeros(len(pairs))
    for rank, (i, overlap) in enumerate(pairs):
        if overlap >= threshold and i not in taken:
            hits[rank] = 1
            taken.add(i)
    found = hits.cumsum()
    recall = np.concatenate([[0], found / positives, [1]])
    precision = np.concatenate([[0], found / np.arange(1, len(pairs) + 1), [0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    rises = np.flatnonzero(np.diff(recall)) + 1
    return float(np.sum((recall[rises] - recall[rises - 1]) * envelope[rises]))


def success(best: Sequence[Track | None], gold: Sequence[Track], threshold: float) -> float:
    """Percentage of queries whose best track overlaps the gold one in time and space by at least `threshold`."""
    hits = [
        track is not None and spatio_temporal_iou(track, truth) >= threshold
        for track, truth in zip(best, gold, strict=True)
    ]
    return float(np.mean(hits) * 100.0) if hits else 0.0


def recovery(best: Sequence[Track | None], gold: Sequence[Track], threshold: float) -> float:
    """Percentage of all gold frames in which the best track's box overlaps the gold one by at least `threshold`."""
    frames = sum(len(truth.boxes) for truth in gold)
    found = sum(
        np.count_nonzero(frame_ious(truth, track) >= threshold)
        for track, truth in zip(best, gold, strict=True)
        if track is not None
    )
    return 100.0 * found / frames if frames else 0.0


def search_efficiency(accessed: Sequence[int], total: Sequence[int]) -> float:
    """Mean percentage of frames that were not looked at; upstream divides in float32."""
    frames = np.array(total)
    shares = np.divide(np.array(accessed).astype(np.float32), frames, out=np.ones(len(frames)), where=frames != 0)
    return float((1 - shares).mean() * 100.0) if len(shares) else 0.0
