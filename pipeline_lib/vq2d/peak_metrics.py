"""Kept boxes and gold tracks → how often peaks hit the object's last appearance, which the track metrics can't say of peaks.

The gold track of a query is the last appearance before the query frame, so a hit is a kept frame inside it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline_lib.vq2d.tracks import Track, frame_ious

IOUS = (0.25, 0.5)

Json = dict[str, Any]


def measure(kept: Sequence[Sequence[Json]], gold: Sequence[Track]) -> dict[str, float]:
    """Percentages of queries, but for `precision`, a percentage of boxes, and `boxes_per_query`.

    recall            some kept frame is in the gold track
    recall@0.25       … and its box overlaps the gold one there by 0.25
    last_recall       the last kept frame is in the gold track
    top_recall        the one with the highest detection_score is (the first of equal ones)
    precision         kept boxes that are in the gold track
    """
    if not gold:
        return {}
    inside = [
        np.array([truth.start <= box["fno"] < truth.end for box in boxes], dtype=bool)
        for boxes, truth in zip(kept, gold, strict=True)
    ]
    overlaps = [max((_iou(box, truth) for box in boxes), default=0.0) for boxes, truth in zip(kept, gold, strict=True)]
    last = [_first_best(hits, [box["fno"] for box in boxes]) for hits, boxes in zip(inside, kept, strict=True)]
    top = [
        _first_best(hits, [box.get("detection_score", 0.0) for box in boxes])
        for hits, boxes in zip(inside, kept, strict=True)
    ]
    boxes = sum(map(len, kept))
    return {
        "recall": _percent([bool(hits.any()) for hits in inside]),
        **{f"recall@{iou:g}": _percent([overlap >= iou for overlap in overlaps]) for iou in IOUS},
        "last_recall": _percent(last),
        "top_recall": _percent(top),
        "precision": 100.0 * float(sum(hits.sum() for hits in inside)) / boxes if boxes else 0.0,
        "boxes_per_query": boxes / len(gold),
    }


def _first_best(hits: np.ndarray, scores: Sequence[float]) -> bool:
    return bool(len(hits) and hits[np.argmax(scores)])


def _iou(box: Json, gold: Track) -> float:
    """Overlap with the gold box of the same frame; 0 outside the track."""
    return float(frame_ious(gold, Track.of([box])).max(initial=0.0))


def _percent(hits: Sequence[bool]) -> float:
    return float(np.mean(hits) * 100.0)
