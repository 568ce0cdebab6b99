"""Boxes of consecutive frames → a track, and how much two tracks overlap in time and space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

FARTHEST = 1e6  # pixels that an edge may be from the corner: areas of a whole track stay finite


class NotContiguousError(ValueError):
    """The boxes leave out frames, or have several for one."""


@dataclass(frozen=True, eq=False)
class Track:
    """A box in every frame from the first to the last; or no box at all.

    Attributes:
        start: frame number of the first box; 0 without one.
        boxes: (n, 4) float x1 y1 x2 y2.
        score: of a prediction.
    """

    start: int
    boxes: np.ndarray
    score: float = 1.0

    @classmethod
    def of(cls, bboxes: Sequence[dict[str, Any]], score: float = 1.0) -> Self:
        """A track from the `bboxes` of a prediction file, in any order.

        Raises:
            NotContiguousError: VQ2D's ResponseTrack refuses these, too.
            ValueError: an edge is not finite, or beyond any picture.
        """
        ordered = sorted(bboxes, key=lambda box: box["fno"])
        frames = [int(box["fno"]) for box in ordered]
        start = frames[0] if frames else 0
        if frames != list(range(start, start + len(frames))):
            shown = ", ".join(map(str, frames[:4])) + (", …" if len(frames) > 4 else "")
            raise NotContiguousError(f"its {len(frames)} boxes are not on consecutive frames ({shown})")
        boxes = np.array([[box[edge] for edge in ("x1", "y1", "x2", "y2")] for box in ordered], dtype=float)
        if not (np.abs(boxes) < FARTHEST).all():
            raise ValueError("a box has edges that are no pixels")
        return cls(start, boxes.reshape(-1, 4), score)

    @property
    def end(self) -> int:
        """One past the last frame."""
        return self.start + len(self.boxes)

    @property
    def volume(self) -> float:
        """Sum of the boxes' areas."""
        return _sum(_areas(self.boxes))


def temporal_iou(a: Track, b: Track) -> float:
    """Frames in both by frames in either."""
    both = max(min(a.end, b.end) - max(a.start, b.start), 0)
    return _ratio(both, len(a.boxes) + len(b.boxes) - both)


def spatio_temporal_iou(a: Track, b: Track) -> float:
    """Pixels in both by pixels in either, over all frames."""
    both = _sum(_intersections(*_common(a, b)))
    return _ratio(both, a.volume + b.volume - both)


def frame_ious(gold: Track, predicted: Track) -> np.ndarray:
    """(frames of gold,) overlap of the two boxes of each frame; 0 where there is no prediction."""
    ious = np.zeros(len(gold.boxes))
    ours, theirs = _common(gold, predicted)
    both = _intersections(ours, theirs)
    either = _areas(ours) + _areas(theirs) - both
    first = max(predicted.start - gold.start, 0)
    ious[first : first + len(ours)] = np.divide(both, either, out=np.zeros(len(both)), where=either != 0)
    return ious


def _common(a: Track, b: Track) -> tuple[np.ndarray, np.ndarray]:
    """The boxes of both in the frames that both have."""
    start, end = max(a.start, b.start), min(a.end, b.end)
    if end <= start:
        return np.empty((0, 4)), np.empty((0, 4))
    return a.boxes[start - a.start : end - a.start], b.boxes[start - b.start : end - b.start]


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _intersections(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    product: np.ndarray = np.clip(sides, 0, None).prod(axis=1)
    return product


def _sum(values: np.ndarray) -> float:
    """One after another, as upstream adds them: an overlap of exactly a threshold depends on the last bit."""
    return float(values.cumsum()[-1]) if len(values) else 0.0


def _ratio(a: float, b: float) -> float:
    return a / b if b else 0.0
