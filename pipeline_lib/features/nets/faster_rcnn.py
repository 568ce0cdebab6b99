"""Images (BGR, means taken off) → proposals, class scores and 2048-d region features of Faster R-CNN ResNet-101 C4.

The bottom-up attention detector in its PyTorch port, shilrley6/Faster-R-CNN-with-model-pretrained-on-Visual-Genome
(lib/model). Module names follow its checkpoint faster_rcnn_res101_vg.pth, whose "model" entry loads with strict=True.
Choosing the regions to keep is in regions.py.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.features.nets import boxes
from pipeline_lib.features.nets.regions import Proposals, select
from pipeline_lib.features.nets.resnet_c4 import HEAD_CHANNELS, STRIDE, TRUNK_CHANNELS, trunk_and_head

__all__ = ["FasterRCNN", "Proposals", "preprocess", "select"]

N_CLASSES = 1601  # background, then the 1600 lines of objects_vocab.txt
PIXEL_MEANS = (102.9801, 115.9465, 122.7717)  # blue, green, red, of 0 … 255; no division by a deviation
POOLED = 7  # cells per side that a region is pooled to


class ProposalNetwork(nn.Module):
    """Trunk features → per cell and anchor, the probability of an object and the shift to its box."""

    def __init__(self, n_anchors: int) -> None:
        super().__init__()
        self.RPN_Conv = nn.Conv2d(TRUNK_CHANNELS, 512, 3, padding=1)
        self.RPN_cls_score = nn.Conv2d(512, 2 * n_anchors, 1)
        self.RPN_bbox_pred = nn.Conv2d(512, 4 * n_anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1024, h, w) → objectness (B, h·w·A) and deltas (B, h·w·A, 4), in the order of `boxes.grid`."""
        x = F.relu_(self.RPN_Conv(x))
        logits = (
            self.RPN_cls_score(x).float().unflatten(1, (2, -1))
        )  # background of every anchor, then object of every one
        objectness = logits.softmax(dim=1)[:, 1].permute(0, 2, 3, 1).flatten(1)
        deltas = self.RPN_bbox_pred(x).float().permute(0, 2, 3, 1).unflatten(3, (-1, 4)).flatten(1, 3)
        return objectness, deltas


class FasterRCNN(nn.Module):
    """The detector, for inference only.

    Args:
        n_classes: with the background.
        anchor_scales: anchor sides in units of 16 pixels.
        anchor_ratios: height / width.
        pre_nms: proposals kept by objectness before suppression.
        post_nms: proposals kept after it; the number of regions that the head works on, so most of the cost.
        rpn_nms: overlap above which the proposal with the lower objectness is dropped.
    """

    anchors: Tensor

    def __init__(
        self,
        n_classes: int = N_CLASSES,
        anchor_scales: Sequence[float] = (4, 8, 16, 32),
        anchor_ratios: Sequence[float] = (0.5, 1, 2),
        post_nms: int = 300,
        pre_nms: int = 6000,
        rpn_nms: float = 0.7,
    ) -> None:
        super().__init__()
        self.post_nms = post_nms
        self.pre_nms = pre_nms
        self.rpn_nms = rpn_nms
        # Not in the checkpoint: the port derives its anchors anew, too.
        self.register_buffer("anchors", boxes.anchors(anchor_scales, anchor_ratios), persistent=False)
        self.RCNN_rpn = ProposalNetwork(len(self.anchors))
        self.RCNN_base, self.RCNN_top = trunk_and_head()
        self.RCNN_cls_score = nn.Linear(HEAD_CHANNELS, n_classes)
        self.RCNN_bbox_pred = nn.Linear(HEAD_CHANNELS, 4 * n_classes)

    def forward(self, images: Tensor, im_info: Tensor) -> list[Proposals]:
        """Detect in images (B, 3, H, W) from `preprocess`, the smaller ones padded with zeros at right and bottom.

        Args:
            im_info: (B, 3) height and width of each image without the padding, and its scale (not used here).

        Returns:
            One entry per image. R is post_nms, or fewer where suppression leaves fewer; the port fills up with boxes
            of one pixel at the corner instead, which then compete with real ones.
        """
        return self.detect(images, im_info, self.RCNN_base, self.region_features)

    def detect(
        self,
        images: Tensor,
        im_info: Tensor,
        trunk: Callable[[Tensor], Tensor],
        head: Callable[[Tensor, list[Tensor]], Tensor],
    ) -> list[Proposals]:
        """`forward` with a trunk and a head that compute the same in another way (detector_fast.py)."""
        maps, rois = self.propose(images, im_info, trunk)
        features = head(maps, rois)
        scores = self.RCNN_cls_score(features).softmax(dim=1)
        deltas = self.RCNN_bbox_pred(features)
        counts = [len(one) for one in rois]
        split = (part.split(counts) for part in (scores, deltas, features))
        return [Proposals(*parts) for parts in zip(rois, *split, strict=True)]

    def propose(
        self, images: Tensor, im_info: Tensor, trunk: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Maps (B, 1024, h, w) of STRIDE pixels per cell, and each image's proposals (R, 4), best first."""
        maps = trunk(images)
        objectness, deltas = self.RCNN_rpn(maps)
        places = boxes.grid(self.anchors, maps.shape[2], maps.shape[3], STRIDE)
        parts = zip(objectness, deltas, im_info.tolist(), strict=True)
        return maps, [
            self._propose(places, likely, shifts, height, width) for likely, shifts, (height, width, *_) in parts
        ]

    def _propose(self, places: Tensor, objectness: Tensor, deltas: Tensor, height: float, width: float) -> Tensor:
        """Proposals of one image, (R, 4).

        Very small ones stay: RPN_MIN_SIZE is in the port's configuration, but the code that reads it is commented out.
        """
        best = objectness.argsort(descending=True, stable=True)[: self.pre_nms]
        proposals = boxes.clip(boxes.decode(places[best], deltas[best]), height, width)
        kept = boxes.suppress(proposals, objectness[best], self.rpn_nms)
        return proposals[kept[: self.post_nms]]

    def region_features(self, maps: Tensor, rois: list[Tensor]) -> Tensor:
        """Features (ΣR, 2048) of each image's regions."""
        numbered = torch.cat([F.pad(one, (1, 0), value=float(i)) for i, one in enumerate(rois)])
        # The operator itself: under deterministic algorithms ops.roi_align swaps it for a slow one whose backward pass
        # is deterministic, which nothing here needs. Sampling ratio 0 adapts to the region's size; not "aligned".
        pooled = torch.ops.torchvision.roi_align(maps, numbered, 1.0 / STRIDE, POOLED, POOLED, 0, False)
        return self.RCNN_top(pooled).mean(dim=(2, 3))


def preprocess(frame: np.ndarray, short_side: int = 600, max_side: int = 1000) -> tuple[Tensor, float]:
    """A frame (H, W, 3) uint8 RGB → the network's input (3, h, w) float32 BGR, and the scale from frame to input.

    The short side becomes `short_side`, or the long one `max_side` where it would, rounded, exceed that. The size and
    the sampling positions are those of cv2.resize(fx=scale, fy=scale) with INTER_LINEAR: half-pixel centres, no
    antialiasing, steps of 1 / scale even where the rounded size is not exactly scale times the frame's.

    Raises:
        ValueError: not such a frame.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise ValueError(f"a frame of shape {frame.shape} and type {frame.dtype}; expected (H, W, 3) uint8 RGB")
    height, width = frame.shape[:2]
    scale = short_side / min(height, width)
    if round(scale * max(height, width)) > max_side:
        scale = max_side / max(height, width)
    pixels = torch.from_numpy(np.ascontiguousarray(frame[:, :, ::-1])).float() - torch.tensor(PIXEL_MEANS)
    size = [max(1, round(height * scale)), max(1, round(width * scale))]
    # F.interpolate takes a size or a scale, not both.
    resized = torch.ops.aten.upsample_bilinear2d(pixels.permute(2, 0, 1)[None], size, False, scale, scale)
    return resized[0], scale
