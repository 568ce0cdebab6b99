"""What the detector says of an image's proposals → detectron2's own final detections: boxes, scores and labels."""

from typing import NamedTuple

from torch import Tensor

from pipeline_lib.features.nets import boxes_d2
from pipeline_lib.features.nets.regions import Proposals


class Detections(NamedTuple):
    """The N detections of one image, best score first."""

    boxes: Tensor  # (N, 4) x1 y1 x2 y2 in pixels of the original
    scores: Tensor  # (N,)
    labels: Tensor  # (N,) in 0 …, without the background
    proposals: Tensor  # (N,) index of the proposal that each comes from


def detections(
    proposals: Proposals,
    scale: tuple[float, float],
    image_size: tuple[int, int],
    score_thresh: float = 0.05,
    nms_thresh: float = 0.5,
    max_boxes: int = 100,
) -> Detections:
    """Every pair of proposal and class above the threshold that survives its class's suppression, the best of them.

    modeling/roi_heads/fast_rcnn.py and modeling/postprocessing.py, whose defaults these are. Other than in `select`, a
    proposal may be there several times, with a box per class.

    Args:
        scale: factors of width and height from the original image to the network's input.
        image_size: (width, height) of the original.
    """
    width, height = round(image_size[0] * scale[0]), round(image_size[1] * scale[1])
    proposal, label = (proposals.scores[:, 1:] > score_thresh).nonzero(as_tuple=True)
    score = proposals.scores[proposal, label + 1]
    shifts = proposals.deltas.unflatten(1, (-1, 4))[proposal, label + 1]
    moved = boxes_d2.clip(boxes_d2.ARITHMETIC.move(proposals.rois[proposal], shifts), height, width)
    kept = boxes_d2.suppress(moved, score, nms_thresh, label)[:max_boxes]
    x, y = image_size[0] / width, image_size[1] / height
    found = boxes_d2.clip(moved[kept] * moved.new_tensor([x, y, x, y]), image_size[1], image_size[0])
    solid = (found[:, 2:] > found[:, :2]).all(dim=1)
    kept, found = kept[solid], found[solid]
    return Detections(found, score[kept], label[kept], proposal[kept])
