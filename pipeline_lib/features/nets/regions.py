"""What a detector says of an image's proposals → the K regions to keep, with boxes in the pixels of the original.

The rule is get_detections_from_im of generate_tsv.py in the PyTorch port of bottom-up attention (specs: bua §4).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_lib.features.nets import boxes

DEVIATIONS = (0.1, 0.1, 0.2, 0.2)  # regression targets were divided by these in training


class Proposals(NamedTuple):
    """What a detector says of one image's R proposals, best objectness first."""

    rois: Tensor  # (R, 4) x1 y1 x2 y2 in input pixels
    scores: Tensor  # (R, n_classes) probabilities, class 0 the background
    deltas: Tensor  # (R, 4·n_classes) regression per class, as the layer puts it out: Arithmetic.move makes boxes of it
    features: Tensor  # (R, 2048)


class Arithmetic(NamedTuple):
    """How a family of detectors calculates with boxes (N, 4)."""

    move: Callable[[Tensor, Tensor], Tensor]  # proposals, their deltas of one class (N, 4) → boxes
    clip: Callable[[Tensor, float, float], Tensor]  # boxes, height, width → boxes inside the image
    suppress: Callable[[Tensor, Tensor, float, Tensor], Tensor]  # boxes, scores, threshold, classes → indices kept


def _move(rois: Tensor, deltas: Tensor) -> Tensor:
    return boxes.decode(rois, deltas * deltas.new_tensor(DEVIATIONS))


CAFFE = Arithmetic(_move, boxes.clip, boxes.suppress)


def select(
    rois: Tensor,
    scores: Tensor,
    deltas: Tensor,
    features: Tensor,
    scale: float | tuple[float, float],
    image_size: tuple[int, int],
    conf_thresh: float = 0.2,
    nms_thresh: float = 0.3,
    min_boxes: int = 10,
    max_boxes: int = 10,
    arithmetic: Arithmetic = CAFFE,
) -> dict[str, Tensor]:
    """The regions to keep of R proposals (see Proposals for their shapes).

    A proposal's confidence is its best score above `conf_thresh` in a class in which it survives that class's
    suppression, and 0 without any. Kept are all with a confidence, in the order of the proposals; only when these are
    fewer than `min_boxes` or more than `max_boxes`, that many are kept instead, by confidence. Among equals (those that
    fill up all have 0, in no particular order upstream) the better foreground score comes first, then the lower index.

    Args:
        scale: from the original image to the network's input, one factor or those of width and height.
        image_size: (width, height) of the original.
        arithmetic: of the family that the detector belongs to.

    Returns:
        features (K, 2048) float32 of the proposal; boxes (K, 4) float32 x1 y1 x2 y2 in original pixels, regressed for
        the label's class and cut to the image; scores (K,) float32, the confidence, 0 for those that fill up;
        labels (K,) int64 in 1 …, the best foreground class. min_boxes ≤ K ≤ max_boxes: with fewer proposals than
        min_boxes, rows of zeros follow, label 0.
    """
    best, labels = scores[:, 1:].max(dim=1)
    labels = labels + 1
    x, y = scale if isinstance(scale, tuple) else (scale, scale)
    height, width = round(image_size[1] * y), round(image_size[0] * x)

    divisor = rois.new_tensor([x, y, x, y]) if isinstance(scale, tuple) else scale

    def regress(proposal: Tensor, label: Tensor) -> Tensor:
        """Boxes (N, 4) in original pixels of N pairs of proposal and class."""
        moved = arithmetic.move(rois[proposal], deltas.unflatten(1, (-1, 4))[proposal, label])
        return arithmetic.clip(moved, height, width) / divisor

    def survive(moved: Tensor, score: Tensor, label: Tensor) -> Tensor:
        return arithmetic.suppress(moved, score, nms_thresh, label)

    confidence = _confidence(scores, conf_thresh, regress, survive)
    kept = confidence.nonzero().flatten()
    if not min_boxes <= len(kept) <= max_boxes:
        order = best.argsort(descending=True, stable=True)
        order = order[confidence[order].argsort(descending=True, stable=True)]
        kept = order[: min_boxes if len(kept) < min_boxes else max_boxes]
    chosen = {
        "features": features[kept].float(),
        "boxes": regress(kept, labels[kept]).float(),
        "scores": confidence[kept].float(),
        "labels": labels[kept],
    }
    missing = max(0, min_boxes - len(kept))
    return {name: F.pad(rows, (0, 0) * (rows.ndim - 1) + (0, missing)) for name, rows in chosen.items()}


def _confidence(
    scores: Tensor,
    conf_thresh: float,
    regress: Callable[[Tensor, Tensor], Tensor],
    survive: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """Confidence of every proposal, (R,). Only pairs of proposal and class above the threshold cost anything."""
    proposal, label = (scores[:, 1:] > conf_thresh).nonzero(as_tuple=True)
    label = label + 1
    score = scores[proposal, label]
    survivors = survive(regress(proposal, label), score, label)
    confidence = torch.zeros_like(scores[:, 0])
    return confidence.scatter_reduce(0, proposal[survivors], score[survivors], reduce="amax")
