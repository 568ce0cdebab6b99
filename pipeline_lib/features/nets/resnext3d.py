"""Clips of 16 frames → 3-D ResNeXt-101 features (B, 2048), with the parameter names of the published resnext101.pth.

The network is the 3-D ResNeXt of Hara, Kataoka and Satoh 2018 (arXiv:1711.09577) trained on Kinetics, as used by
antoine77340/video_feature_extractor (videocnn/models/resnext.py): convolutions of 32 groups, expansion 2, projections
(type B) as shortcuts where the shape changes.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.features.nets.pixels import standardise

LAYERS = (3, 4, 23, 3)
GROUPS = 32
FEATURES = 2048
MEAN, STD = (110.6, 103.2, 96.3), (1.0, 1.0, 1.0)  # of Kinetics, RGB in 0 … 255


class Bottleneck(nn.Module):
    """1³, grouped 3³ of stride `stride`, 1³, each with batch norm, beside a shortcut."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, padding=1, groups=GROUPS, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu_(self.bn1(self.conv1(x)))
        x = F.relu_(self.bn2(self.conv2(x)))
        return F.relu_(self.bn3(self.conv3(x)).add_(shortcut))


class ResNeXt3D(nn.Module):
    """The network without its classifier; `fc` of a checkpoint is left unread."""

    def __init__(self, layers: tuple[int, int, int, int] = LAYERS) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 7, stride=(1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.layer1 = _layer(64, 128, layers[0], 1)
        self.layer2 = _layer(256, 256, layers[1], 2)
        self.layer3 = _layer(512, 512, layers[2], 2)
        self.layer4 = _layer(1024, 1024, layers[3], 2)
        self.register_load_state_dict_pre_hook(_drop_classifier)

    def forward(self, clips: Tensor) -> Tensor:
        """Features (B, 2048) of clips (B, 3, T, H, W), RGB in 0 … 255 less the mean of each colour.

        The average goes over everything that is left of a clip, for 16 × 112 × 112 that is 1 × 4 × 4.
        """
        x = F.relu_(self.bn1(self.conv1(clips)))
        x = F.max_pool3d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return F.adaptive_avg_pool3d(x, 1).flatten(1)


def normalise(pixels: Tensor) -> Tensor:
    """Pixels (B, 3, T, h, w) in 0 … 255 as the network takes them."""
    return standardise(pixels, MEAN, STD, axis=1)


def _layer(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    """`blocks` bottlenecks of 2·width channels, the first one with the stride."""
    outputs = 2 * width
    rest = [Bottleneck(outputs, width, outputs, 1) for _ in range(blocks - 1)]
    return nn.Sequential(Bottleneck(inputs, width, outputs, stride), *rest)


def _drop_classifier(_net: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in ("fc.weight", "fc.bias"):
        state.pop(prefix + key, None)
