"""Images (BGR, 0 … 255) → proposals, class scores and 2048-d region features of detectron2's Faster R-CNN R101-C4.

The model of COCO-Detection/faster_rcnn_R_101_C4_3x and of its retrainings on Visual Genome. Module names are detectron2's
(modeling/meta_arch/rcnn.py and below), so its checkpoints load with strict=True, whatever their number of classes.
Choosing the regions to keep is in regions.py, with boxes_d2.ARITHMETIC.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from pipeline_lib.features.nets import boxes, boxes_d2
from pipeline_lib.features.nets.regions import Proposals
from pipeline_lib.features.nets.resnet_d2 import (
    HEAD_CHANNELS,
    STRIDE,
    TRUNK_CHANNELS,
    Backbone,
    FrozenNorm,
    Norm,
    stage,
)

N_CLASSES = 1601  # those of Visual Genome and the background; a checkpoint may say otherwise
PIXEL_MEANS = (103.53, 116.28, 123.675)  # blue, green, red
ANCHOR_SIZES = (32, 64, 128, 256, 512)  # pixels
ANCHOR_RATIOS = (0.5, 1, 2)  # height / width
POOLED = 14  # cells per side that a region is pooled to
CELL_ANCHORS = "proposal_generator.anchor_generator.cell_anchors.0"
CLASSIFIER = "roi_heads.box_predictor.cls_score.weight"


class ProposalHead(nn.Module):
    """Trunk features → per cell and anchor, the logit of an object and the shift to its box."""

    def __init__(self, n_anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(TRUNK_CHANNELS, TRUNK_CHANNELS, 3, padding=1)
        self.objectness_logits = nn.Conv2d(TRUNK_CHANNELS, n_anchors, 1)
        self.anchor_deltas = nn.Conv2d(TRUNK_CHANNELS, 4 * n_anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1024, h, w) → logits (B, h·w·A) and deltas (B, h·w·A, 4), in the order of `boxes.grid`."""
        x = F.relu_(self.conv(x))
        logits = self.objectness_logits(x).permute(0, 2, 3, 1).flatten(1)
        deltas = self.anchor_deltas(x).permute(0, 2, 3, 1).unflatten(3, (-1, 4)).flatten(1, 3)
        return logits, deltas


class BoxPredictor(nn.Module):
    """Region features → class logits, the background last, and deltas per class."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.resize(n_classes)

    def resize(self, n_classes: int) -> None:
        """Give it new layers for that many classes, with the background."""
        self.cls_score = nn.Linear(HEAD_CHANNELS, n_classes)
        self.bbox_pred = nn.Linear(HEAD_CHANNELS, 4 * (n_classes - 1))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(R, 2048) → probabilities (R, n_classes) and deltas (R, 4·n_classes), the background moved to the front."""
        scores = self.cls_score(features).float().softmax(dim=1).roll(1, dims=1)
        return scores, F.pad(self.bbox_pred(features).float(), (4, 0))


class FasterRCNNC4(nn.Module):
    """The detector, for inference only.

    Args:
        n_classes: with the background.
        post_nms: proposals kept after suppression; the number of regions that the head works on, so most of the cost.
        pre_nms: proposals kept by objectness before it.
        rpn_nms: overlap above which the proposal with the lower objectness is dropped.
        norm: makes the norm of so many channels.
    """

    anchors: Tensor
    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        n_classes: int = N_CLASSES,
        post_nms: int = 1000,
        pre_nms: int = 6000,
        rpn_nms: float = 0.7,
        norm: Norm = FrozenNorm,
    ) -> None:
        super().__init__()
        self.post_nms = post_nms
        self.pre_nms = pre_nms
        self.rpn_nms = rpn_nms
        self.register_buffer("anchors", boxes_d2.anchors(ANCHOR_SIZES, ANCHOR_RATIOS), persistent=False)
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEANS).view(3, 1, 1))
        self.register_buffer("pixel_std", torch.ones(3, 1, 1))
        self.backbone = Backbone(norm)
        self.proposal_generator = nn.ModuleDict({"rpn_head": ProposalHead(len(self.anchors))})
        res5 = stage(TRUNK_CHANNELS, HEAD_CHANNELS, 3, 2, norm)
        self.roi_heads = nn.ModuleDict({"res5": res5, "box_predictor": BoxPredictor(n_classes)})
        self.register_load_state_dict_pre_hook(_adapt)

    def forward(self, images: Tensor, im_info: Tensor) -> list[Proposals]:
        """Detect in images (B, 3, H, W) from `preprocess`, the smaller ones padded at right and bottom.

        Args:
            im_info: (B, 2 or more) height and width of each image without the padding; the rest isn't used.

        Returns:
            One entry per image; R is post_nms, or fewer where suppression leaves fewer.
        """
        return self.detect(images, im_info, self.backbone, self.region_features)

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
        scores, deltas = self.roi_heads["box_predictor"](features)
        counts = [len(one) for one in rois]
        split = (part.split(counts) for part in (scores, deltas, features))
        return [Proposals(*parts) for parts in zip(rois, *split, strict=True)]

    def propose(
        self, images: Tensor, im_info: Tensor, trunk: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Maps (B, 1024, h, w) of STRIDE pixels per cell, and each image's proposals (R, 4), best first."""
        sizes = [(int(height), int(width)) for height, width, *_ in im_info.tolist()]
        images = (images - self.pixel_mean) / self.pixel_std
        for image, (height, width) in zip(images, sizes, strict=True):
            image[:, height:] = 0  # padding comes after the normalisation (structures/image_list.py)
            image[:, :, width:] = 0
        maps = trunk(images)
        logits, deltas = self.proposal_generator["rpn_head"](maps)
        places = boxes.grid(self.anchors, maps.shape[2], maps.shape[3], STRIDE)
        parts = zip(logits.float(), deltas.float(), sizes, strict=True)
        return maps, [self._propose(places, likely, shifts, *size) for likely, shifts, size in parts]

    def _propose(self, places: Tensor, logits: Tensor, deltas: Tensor, height: int, width: int) -> Tensor:
        """Proposals of one image, (R, 4); those without any area are dropped (proposal_generator/proposal_utils.py)."""
        logits, best = logits.topk(min(self.pre_nms, len(logits)))
        proposals = boxes_d2.clip(boxes_d2.decode(places[best], deltas[best]), height, width)
        solid = (proposals[:, 2:] > proposals[:, :2]).all(dim=1)
        proposals = proposals[solid]
        return proposals[boxes_d2.suppress(proposals, logits[solid], self.rpn_nms)[: self.post_nms]]

    def region_features(self, maps: Tensor, rois: list[Tensor]) -> Tensor:
        """Features (ΣR, 2048) of each image's regions."""
        numbered = torch.cat([F.pad(one, (1, 0), value=float(i)) for i, one in enumerate(rois)]).to(maps.dtype)
        # The operator itself for the reason that faster_rcnn.py gives; sampling ratio 0, "aligned" (ROIAlignV2).
        pooled = torch.ops.torchvision.roi_align(maps, numbered, 1.0 / STRIDE, POOLED, POOLED, 0, True)
        features: Tensor = self.roi_heads["res5"](pooled).mean(dim=(2, 3))
        return features


def _adapt(net: FasterRCNNC4, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """Make the network fit a checkpoint's number of classes, and a checkpoint's constants the network.

    Anchors and pixel means are in files of some versions of detectron2 only. Other anchors than ours are an error.
    """
    errors = rest[-1]
    anchors = state.pop(prefix + CELL_ANCHORS, net.anchors)
    if anchors.shape != net.anchors.shape or not torch.allclose(anchors.to(net.anchors), net.anchors, atol=1e-3):
        errors.append("its anchors are not those of the R101-C4 configuration")
    for name in ("pixel_mean", "pixel_std"):
        state.setdefault(prefix + name, getattr(net, name))
    predictor = net.roi_heads["box_predictor"]
    assert isinstance(predictor, BoxPredictor)
    n_classes = len(state.get(prefix + CLASSIFIER, predictor.cls_score.weight))
    if n_classes != predictor.cls_score.out_features:
        predictor.resize(n_classes)


def preprocess(frame: np.ndarray, short_side: int = 800, max_side: int = 1333) -> tuple[Tensor, tuple[float, float]]:
    """A frame (H, W, 3) uint8 RGB → the network's input (3, h, w) float32 BGR, and its scales of width and height.

    ResizeShortestEdge (data/transforms/augmentation_impl.py): Pillow's bilinear filter, which averages where it shrinks.

    Raises:
        ValueError: not such a frame.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise ValueError(f"a frame of shape {frame.shape} and type {frame.dtype}; expected (H, W, 3) uint8 RGB")
    height, width = frame.shape[:2]
    scale = short_side / min(height, width)
    sides = (short_side, scale * width) if height < width else (scale * height, short_side)
    shrink = min(1.0, max_side / max(sides))
    h, w = (max(1, int(side * shrink + 0.5)) for side in sides)
    resized = Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])).resize((w, h), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).float(), (w / width, h / height)
