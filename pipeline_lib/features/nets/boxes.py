"""Box arithmetic of the Caffe Faster R-CNN family: anchors, decoding, clipping, suppression.

A box is x1 y1 x2 y2 in pixels. Everywhere in this family x2 and y2 are the last pixels inside, so a width is
x2 - x1 + 1; only decoding sets x2 to centre + width / 2, one pixel too far, and weights are trained with that.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision import ops

BASE = 16  # side of the square that anchors are derived from, pixels


def anchors(scales: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Anchors of the cell at the image's corner, (len(ratios)·len(scales), 4) float32, ratio by ratio.

    A ratio is height / width. Sides are rounded before they are scaled, as in Girshick's generate_anchors.py.
    """
    centre = 0.5 * (BASE - 1)
    boxes = []
    for ratio in ratios:
        width = np.round(np.sqrt(BASE * BASE / ratio))
        height = np.round(width * ratio)
        for scale in scales:
            x, y = 0.5 * (width * scale - 1), 0.5 * (height * scale - 1)
            boxes.append([centre - x, centre - y, centre + x, centre + y])
    return torch.tensor(boxes, dtype=torch.float32)


def grid(cell: Tensor, height: int, width: int, stride: int) -> Tensor:
    """The anchors of one cell (A, 4) repeated at every cell of a map, (height·width·A, 4), row by row."""
    y, x = torch.meshgrid(
        torch.arange(height, device=cell.device) * stride,
        torch.arange(width, device=cell.device) * stride,
        indexing="ij",
    )
    shifts = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (shifts + cell).reshape(-1, 4)


def decode(boxes: Tensor, deltas: Tensor) -> Tensor:
    """Boxes (…, 4) moved by deltas (…, 4): centre shifts in widths and heights, then logarithms of the size factors."""
    size = boxes[..., 2:] - boxes[..., :2] + 1.0
    centre = boxes[..., :2] + 0.5 * size
    centre = deltas[..., :2] * size + centre
    half = 0.5 * (torch.exp(deltas[..., 2:]) * size)
    return torch.cat([centre - half, centre + half], dim=-1)


def clip(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes (…, 4) cut to the pixels 0 … width - 1 and 0 … height - 1."""
    last = boxes.new_tensor([width - 1, height - 1, width - 1, height - 1])
    return boxes.clamp(min=0).minimum(last)


def suppress(boxes: Tensor, scores: Tensor, threshold: float, classes: Tensor | None = None) -> Tensor:
    """Indices of the boxes (N, 4) that no better-scored box (of the same class) overlaps by more than `threshold`.

    Best score first. Overlap is measured with the family's widths (see above).
    """
    boxes = boxes.double()  # the shift below would eat the digits of float32
    boxes = boxes + boxes.new_tensor([0, 0, 1, 1])  # torchvision's width is x2 - x1
    if classes is not None and boxes.numel():
        boxes = boxes + (classes * (boxes.max() + 1.0))[:, None]  # classes side by side: one call serves all
    return ops.nms(boxes, scores.double(), threshold)
