"""Box arithmetic of detectron2: anchors, decoding, clipping, suppression.

A box is x1 y1 x2 y2 in continuous coordinates: a width is x2 - x1, and an image reaches from 0 to its width.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision import ops

from pipeline_lib.features.nets.regions import Arithmetic

WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # the second stage's deltas were multiplied by these in training
LARGEST = math.log(1000 / 16)  # logarithm of the largest factor a side may grow by (modeling/box_regression.py)


def anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Anchors around the corner of the first cell, (len(sizes)·len(ratios), 4) float32, size by size.

    A size is the square root of the area, a ratio height / width; nothing is rounded (modeling/anchor_generator.py).
    """
    boxes = []
    for size in sizes:
        for ratio in ratios:
            width = math.sqrt(size**2 / ratio)
            x, y = width / 2, ratio * width / 2
            boxes.append([-x, -y, x, y])
    return torch.tensor(boxes, dtype=torch.float32)


def decode(boxes: Tensor, deltas: Tensor) -> Tensor:
    """Boxes (…, 4) moved by deltas (…, 4): centre shifts in widths and heights, then logarithms of the size factors."""
    size = boxes[..., 2:] - boxes[..., :2]
    centre = boxes[..., :2] + 0.5 * size
    centre = deltas[..., :2] * size + centre
    half = 0.5 * (torch.exp(deltas[..., 2:].clamp(max=LARGEST)) * size)
    return torch.cat([centre - half, centre + half], dim=-1)


def clip(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes (…, 4) cut to 0 … width and 0 … height."""
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def suppress(boxes: Tensor, scores: Tensor, threshold: float, classes: Tensor | None = None) -> Tensor:
    """Indices of the boxes (N, 4) that no better-scored box (of the same class) overlaps by more than `threshold`."""
    if classes is None:
        return ops.nms(boxes, scores, threshold)
    return ops.batched_nms(boxes, scores, classes, threshold)


def _move(rois: Tensor, deltas: Tensor) -> Tensor:
    return decode(rois, deltas / deltas.new_tensor(WEIGHTS))


ARITHMETIC = Arithmetic(_move, clip, suppress)
