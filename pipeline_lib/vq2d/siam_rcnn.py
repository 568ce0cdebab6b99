"""Siam-RCNN of the VQ2D baseline on detectron2: proposals of an FPN, each compared with the crop by a learned bilinear form.

Names of parameters are those of the published checkpoints (EGO4D/episodic-memory, VQ2D/detectron2_extensions: SiamRCNN with
the residual projector shared by both sides; "Negative Frames Matter" has the same network), which load strictly.

    P = projector, y = crop: score of region x = sigmoid(P(x)ᵀ W P(y) + b)

Upstream computes everything anew for every query. P(x) doesn't depend on the query, so here a clip's frames go through
backbone, proposals and projector once, and a query costs one product with W P(y) per frame.
"""

import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.config.vq2d import Detection
from pipeline_lib.core import checkpoint
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.features.nets.faster_rcnn_d2 import preprocess
from pipeline_lib.vq2d.crop import Reference
from pipeline_lib.vq2d.detectors import Found

CHANNELS = 256  # of FPN's maps
HIDDEN = 1024
POOLED = 14  # cells per side of a region and of the crop
LEVEL = "p3"  # the map that both are pooled from
CHUNK = 250  # regions that go through the projector at once: 0.2 MB each
SHORT, LONG = 800, 1333  # pixels of the network's input (INPUT.MIN_SIZE_TEST, MAX_SIZE_TEST)
#: Constants that files of older versions of detectron2 hold as well.
_CONSTANTS = re.compile(r"pixel_(mean|std)|proposal_generator\.anchor_generator\.cell_anchors\.\d")
_BLOCK = re.compile(r"roi_heads\.siam_head\.projector\.(\d+)\.conv1\.weight")


class Residual(nn.Module):
    """Two 3 × 3 convolutions and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, CHANNELS, h, w) → the same shape."""
        return F.relu_(self.conv2(F.relu_(self.conv1(x))) + x)


class SiamHead(nn.Module):
    """Pooled maps → vectors, and two vectors → a logit."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.projector = nn.Sequential(
            *(Residual() for _ in range(blocks)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(CHANNELS, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, HIDDEN),
        )
        self.compare = nn.Bilinear(HIDDEN, HIDDEN, 1)


class Regions(NamedTuple):
    """Proposals of a picture."""

    boxes: Tensor  # (R, 4) in pixels of the network's input
    vectors: Tensor  # (R, HIDDEN)
    input_size: tuple[int, int]  # height, width
    size: tuple[int, int]  # of the picture


class Query(NamedTuple):
    direction: Tensor  # (HIDDEN,) W P(y)
    bias: Tensor


class SiamRCNN(nn.Module):
    """The network, for inference.

    Args:
        blocks: residual blocks of the projector.

    Raises:
        UserError: detectron2 is not installed.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, blocks: int = 4) -> None:
        super().__init__()
        config = _configuration()
        modeling = _module("detectron2.modeling")
        self.backbone = modeling.build_backbone(config)
        shapes = self.backbone.output_shape()
        self.proposal_generator = modeling.build_proposal_generator(config, shapes)
        self.roi_heads = nn.ModuleDict({"siam_head": SiamHead(blocks)})
        scale = 1.0 / shapes[LEVEL].stride
        self.pooler = _module("detectron2.modeling.poolers").ROIPooler(POOLED, (scale,), 0, "ROIAlignV2")
        for name, values in (("pixel_mean", config.MODEL.PIXEL_MEAN), ("pixel_std", config.MODEL.PIXEL_STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    @property
    def head(self) -> SiamHead:
        """The comparison."""
        head = self.roi_heads["siam_head"]
        assert isinstance(head, SiamHead)
        return head

    def regions(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Proposals (R, 4) and their vectors (R, HIDDEN) for images (B, 3, h, w), BGR in 0 … 255."""
        batch = _module("detectron2.structures").ImageList.from_tensors(
            list(self._normalised(images)), self.backbone.size_divisibility
        )
        maps = self.backbone(batch.tensor)
        proposals, _ = self.proposal_generator(batch, maps, None)
        boxes = [one.proposal_boxes for one in proposals]
        counts = [len(one) for one in boxes]
        pooled = self.pooler([maps[LEVEL]], boxes).split(counts)
        vectors = [torch.cat([self.head.projector(part) for part in one.split(CHUNK)]) for one in pooled]
        return [(one.tensor, vector) for one, vector in zip(boxes, vectors, strict=True)]

    def query(self, crop: Tensor) -> Query:
        """What a crop (3, h, w), BGR in 0 … 255, is to be compared by."""
        maps = self.backbone(self._normalised(crop[None]))[LEVEL]
        vector = self.head.projector(F.adaptive_avg_pool2d(maps, POOLED))[0]
        return Query(self.head.compare.weight[0] @ vector, self.head.compare.bias)

    def _normalised(self, images: Tensor) -> Tensor:
        return (images - self.pixel_mean) / self.pixel_std


class SiamDetector:
    """SiamRCNN as a detector of detectors.py."""

    def __init__(self, weights: Path, options: Detection, where: torch.device) -> None:
        self.net, self.options, self.where = load(weights).to(where), options, where

    def background(self, pictures: np.ndarray) -> None:
        """Nothing: the network has learned what is common."""

    def query(self, reference: Reference, background: None) -> Query:
        """The crop's side of the comparison."""
        crop = np.ascontiguousarray(reference.crop[:, :, ::-1].transpose(2, 0, 1))
        return self.net.query(torch.from_numpy(crop).float().to(self.where))

    def regions(self, pictures: np.ndarray, background: None) -> list[Regions]:
        """Proposals and their vectors."""
        images = torch.stack([preprocess(picture, SHORT, LONG)[0] for picture in pictures]).to(self.where)
        height, width = images.shape[2:]
        size = pictures.shape[1], pictures.shape[2]
        return [Regions(*parts, (height, width), size) for parts in self.net.regions(images)]

    def find(self, regions: Regions, query: Query) -> Found:
        """detectron2's rule: above the threshold, suppressed, the best few, in pixels of the picture."""
        scores = torch.sigmoid(regions.vectors @ query.direction + query.bias)
        rule = _module("detectron2.modeling.roi_heads.fast_rcnn").fast_rcnn_inference_single_image
        both = torch.stack([scores, 1 - scores], dim=1)  # the last class is the background
        options = self.options
        found, _ = rule(
            regions.boxes.clone(), both, regions.input_size, options.score_thresh, options.nms, options.boxes
        )
        found = _module("detectron2.modeling.postprocessing").detector_postprocess(found, *regions.size)
        return Found(found.pred_boxes.tensor.cpu().numpy(), found.scores.cpu().numpy(), None)


def load(path: Path) -> SiamRCNN:
    """The network with a published checkpoint's weights; its number of residual blocks is read off the names.

    Raises:
        UserError: another network's checkpoint.
    """
    state = {name: value for name, value in checkpoint.read(path).items() if not _CONSTANTS.fullmatch(name)}
    blocks = [int(match[1]) for name in state if (match := _BLOCK.fullmatch(name))]
    if not blocks:
        raise UserError(
            f"{path} is no Siam-RCNN with a shared residual projector, as published for VQ2D; give its model.pth"
        )
    net = SiamRCNN(max(blocks) + 1)
    try:
        net.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise UserError(
            f"give a model.pth as published for VQ2D; {path} doesn't fit Siam-RCNN: {one_line(error)}"
        ) from None
    return net.eval()


def _configuration() -> Any:
    """detectron2's configuration with what the baseline sets (Base-RCNN-FPN.yaml, siam_rcnn_8_gpus.yaml), for inference."""
    config = _module("detectron2.config").get_cfg()
    model = config.MODEL
    model.DEVICE = "cpu"  # moved later, as any module
    model.BACKBONE.NAME = "build_resnet_fpn_backbone"
    model.RESNETS.DEPTH = 50
    model.RESNETS.OUT_FEATURES = model.FPN.IN_FEATURES = ["res2", "res3", "res4", "res5"]
    model.ANCHOR_GENERATOR.SIZES = [[32], [64], [128], [256], [512]]
    model.ANCHOR_GENERATOR.ASPECT_RATIOS = [[0.5, 1.0, 2.0]]
    model.RPN.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]
    model.RPN.PRE_NMS_TOPK_TEST = model.RPN.POST_NMS_TOPK_TEST = 1000
    return config


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"detectron2 can't be imported ({error}); install it with "
            "`pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2`, or set "
            "vq2d.detection.detector = 'similarity', which doesn't need it"
        ) from None
