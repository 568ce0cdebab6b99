"""Either Faster R-CNN → the same detector, rearranged to be faster; its results differ by rounding only.

The last stage over hundreds of regions is most of the work. Its first block begins with two 1 × 1 convolutions of stride
2. They and pooling are linear, so they change places: what was computed for every cell of every region is computed once
per position of the map, and only every second cell is pooled at all.
"""

import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.core import device
from pipeline_lib.features.nets import faster_rcnn, faster_rcnn_d2
from pipeline_lib.features.nets.faster_rcnn import FasterRCNN
from pipeline_lib.features.nets.faster_rcnn_d2 import FasterRCNNC4
from pipeline_lib.features.nets.fused import Fused, FusedBlock, FusedTrunk, fold, folded, square
from pipeline_lib.features.nets.region_pool import bags
from pipeline_lib.features.nets.regions import Proposals
from pipeline_lib.features.nets.resnet_c4 import HEAD_CHANNELS, STRIDE

REGIONS = 64  # per step of the head, so that what lies between two convolutions stays in the cache


class _Parts(NamedTuple):
    """Where the two families keep what is computed in another way here."""

    stem: tuple[Tensor, Tensor]
    pool: nn.Module
    trunk: list[nn.Module]
    head: list[nn.Module]
    proposal_head: Any
    convolution: str  # its name in the proposal head
    pooled: int
    aligned: bool


def _parts(net: Any) -> _Parts:
    if isinstance(net, FasterRCNNC4):
        backbone: Any = net.backbone
        res5: Any = net.roi_heads["res5"]
        return _Parts(
            fold(backbone.stem.conv1, backbone.stem.conv1.norm),
            backbone.stem.pool,
            [*backbone.res2, *backbone.res3, *backbone.res4],
            list(res5),
            net.proposal_generator["rpn_head"],
            "conv",
            faster_rcnn_d2.POOLED,
            True,
        )
    base: Any = net.RCNN_base
    head: Any = net.RCNN_top[0]
    trunk = [block for stage in base[4:] for block in stage]
    return _Parts(
        fold(base[0], base[1]), base[3], trunk, list(head), net.RCNN_rpn, "RPN_Conv", faster_rcnn.POOLED, False
    )


class FusedHead(nn.Module):
    """Maps and regions → region features, as `region_features` of the detectors."""

    bias: Tensor

    def __init__(self, blocks: list[nn.Module], pooled: int, aligned: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.pooled, self.aligned, self.cells = pooled, aligned, (pooled + 1) // 2
        first = blocks[0]
        weight, bias = folded(first, 1)
        aside, aside_bias = folded(first, 0)
        # Without biases: samples outside the map count as zeros, not as the bias.
        self.before = Fused(weight, torch.zeros_like(bias), 1, dtype)
        self.aside = Fused(aside, torch.zeros_like(aside_bias), 1, dtype)
        self.register_buffer("bias", bias.detach())
        self.second = square(*folded(first, 2), self.cells, dtype)
        weight, bias = folded(first, 3)
        self.third = Fused(weight, bias + aside_bias, 1, dtype)
        self.blocks = nn.Sequential(*(FusedBlock(block, dtype, self.cells) for block in blocks[1:]))

    def forward(self, maps: Tensor, rois: list[Tensor]) -> Tensor:
        """Features (ΣR, 2048) float32 of each image's regions (R, 4) on `maps` (B, 1024, h, w)."""
        height, width = maps.shape[2:]
        tables = [
            part(maps, relu=False).permute(0, 2, 3, 1).flatten(0, 2).float() for part in (self.before, self.aside)
        ]
        images = torch.cat([one.new_full((len(one),), i, dtype=torch.long) for i, one in enumerate(rois)])
        boxes = torch.cat(rois).float().nan_to_num(0.0)  # positions must be numbers; NaN comes back from the maps
        if not len(boxes):
            return boxes.new_zeros(0, HEAD_CHANNELS)
        steps = []
        for some, of in zip(boxes.split(REGIONS), images.split(REGIONS), strict=True):
            pool = bags(some, of, height, width, self.pooled, 1 / STRIDE, self.aligned)
            steps.append(self._step(tables, *pool))
        return torch.cat(steps)

    def _step(self, tables: list[Tensor], rows: Tensor, weights: Tensor, starts: Tensor) -> Tensor:
        """Features of some regions, given what each of their cells is a sum of."""
        x, aside = (F.embedding_bag(rows, table, starts, mode="sum", per_sample_weights=weights) for table in tables)
        x = self.second(self._maps(x.add_(self.bias).relu_()))
        x = self.blocks(self.third(x, self._maps(aside)))
        return x.float().mean(dim=(2, 3))

    def _maps(self, cells: Tensor) -> Tensor:
        """Cells (R·c², channels) as maps (R, channels, c, c), channels last in memory."""
        return cells.to(self.third.weight.dtype).unflatten(0, (-1, self.cells, self.cells)).permute(0, 3, 1, 2)


class Optimised(nn.Module):
    """A detector with another trunk and head; what it has no other for is shared with the original."""

    def __init__(self, net: FasterRCNN | FasterRCNNC4, precision: str, compile: bool) -> None:
        super().__init__()
        parts, dtype = _parts(net), device.dtype(precision, next(net.parameters()).device)
        self.trunk: Any = FusedTrunk(parts.stem, parts.pool, parts.trunk, dtype)
        self.head = FusedHead(parts.head, parts.pooled, parts.aligned, dtype)
        proposal_head = copy.deepcopy(parts.proposal_head).to(dtype)
        convolution = getattr(proposal_head, parts.convolution)
        setattr(proposal_head, parts.convolution, square(convolution.weight, convolution.bias, None, dtype))
        self.net = copy.copy(net)
        self.net._modules = dict(net._modules)
        if isinstance(self.net, FasterRCNNC4):
            self.net.proposal_generator = nn.ModuleDict({"rpn_head": proposal_head})
            self.net.backbone = nn.Identity()  # type: ignore[assignment]
            predictor: Any = net.roi_heads
            self.net.roi_heads = nn.ModuleDict({"box_predictor": predictor["box_predictor"]})
        else:
            self.net.RCNN_rpn = proposal_head
            self.net.RCNN_base, self.net.RCNN_top = nn.Sequential(), nn.Sequential()
        if compile:
            self.trunk.compile(dynamic=True)

    def forward(self, images: Tensor, im_info: Tensor) -> list[Proposals]:
        """As the original's."""
        return self.net.detect(images, im_info, self.trunk, self.head)

    def propose(self, images: Tensor, im_info: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As the original's, with the faster trunk."""
        return self.net.propose(images, im_info, self.trunk)


@torch.no_grad()
def optimise(net: FasterRCNN | FasterRCNNC4, precision: str = "fp32", compile: bool = False) -> Optimised:
    """A faster detector for inference with the weights that `net` has now; `net` stays as it is.

    Args:
        net: in evaluation mode, on the device that it is to run on.
        precision: fp32 | bf16 | fp16 of the convolutions; pooling, scores and boxes are always computed in float32.
        compile: let torch.compile translate the trunk as well, which takes minutes once per process.
    """
    return Optimised(net, precision, compile).eval()
