"""What a detector says of an image's proposals → the K regions to keep, with boxes in the pixels of the original.

The rule is get_detections_from_im of generate_tsv.py in the PyTorch port of bottom-up attention (specs: bua §4).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_lib.features.nets import boxes

DEVIATIONS = (0.1, 0.1, 0.2, 0.2)  # regression targets were divided by these in training


def select(
    rois: Tensor,
    scores: Tensor,
    deltas: Tensor,
    features: Tensor,
    scale: float,
    image_size: tuple[int, int],
    conf_thresh: float = 0.2,
    nms_thresh: float = 0.3,
    min_boxes: int = 10,
    max_boxes: int = 10,
) -> dict[str, Tensor]:
    """The regions to keep of R proposals (see faster_rcnn.Proposals for their shapes).

    A proposal's confidence is its best score above `conf_thresh` in a class in which it survives that class's
    suppression, and 0 without any. Kept are all with a confidence, in the order of the proposals; only when these are
    fewer than `min_boxes` or more than `max_boxes`, that many are kept instead, by confidence. Among equals (those that
    fill up all have 0, in no particular order upstream) the better foreground score comes first, then the lower index.

    Args:
        scale: from the original image to the network's input.
        image_size: (width, height) of the original.

    Returns:
        features (K, 2048) float32 of the proposal; boxes (K, 4) float32 x1 y1 x2 y2 in original pixels, regressed for
        the label's class and cut to the image; scores (K,) float32, the confidence, 0 for those that fill up;
        labels (K,) int64 in 1 …, the best foreground class. min_boxes ≤ K ≤ max_boxes: with fewer proposals than
        min_boxes, rows of zeros follow, label 0.
    """
    best, labels = scores[:, 1:].max(dim=1)
    labels = labels + 1
    size = (image_size[0] * scale, image_size[1] * scale)
    confidence = _confidence(rois, scores, deltas, scale, size, conf_thresh, nms_thresh)
    kept = confidence.nonzero().flatten()
    if not min_boxes <= len(kept) <= max_boxes:
        order = best.argsort(descending=True, stable=True)
        order = order[confidence[order].argsort(descending=True, stable=True)]
        kept = order[: min_boxes if len(kept) < min_boxes else max_boxes]
    chosen = {
        "features": features[kept].float(),
        "boxes": _regressed(rois, deltas, kept, labels[kept], scale, size).float(),
        "scores": confidence[kept].float(),
        "labels": labels[kept],
    }
    missing = max(0, min_boxes - len(kept))
    return {name: F.pad(rows, (0, 0) * (rows.ndim - 1) + (0, missing)) for name, rows in chosen.items()}


def _confidence(
    rois: Tensor,
    scores: Tensor,
    deltas: Tensor,
    scale: float,
    size: tuple[float, float],
    conf_thresh: float,
    nms_thresh: float,
) -> Tensor:
    """Confidence of every proposal, (R,). Only pairs of proposal and class above the threshold cost anything."""
    proposal, label = (scores[:, 1:] > conf_thresh).nonzero(as_tuple=True)
    label = label + 1
    score = scores[proposal, label]
    regressed = _regressed(rois, deltas, proposal, label, scale, size)
    survivors = boxes.suppress(regressed, score, nms_thresh, classes=label)
    confidence = torch.zeros_like(scores[:, 0])
    return confidence.scatter_reduce(0, proposal[survivors], score[survivors], reduce="amax")


def _regressed(
    rois: Tensor, deltas: Tensor, proposal: Tensor, label: Tensor, scale: float, size: tuple[float, float]
) -> Tensor:
    """Boxes (N, 4) in original pixels of N pairs of proposal and class; `size` is (width, height) of the input."""
    shifts = deltas.unflatten(1, (-1, 4))[proposal, label] * deltas.new_tensor(DEVIATIONS)
    moved = boxes.decode(rois[proposal], shifts)
    return boxes.clip(moved, round(size[1]), round(size[0])) / scale
