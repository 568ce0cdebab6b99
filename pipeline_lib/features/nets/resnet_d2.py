"""Image (B, 3, H, W) → C4 features (B, 1024, H/16, W/16): ResNet-101 with the module names of detectron2."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

STRIDE = 16  # image pixels per cell of the output
TRUNK_CHANNELS = 1024
HEAD_CHANNELS = 2048

Norm = Callable[[int], nn.Module]


class FrozenNorm(FrozenBatchNorm2d):
    """torchvision's, calculated by the operator that detectron2 uses (layers/batch_norm.py).

    The other order of operations would only round otherwise, but that swaps proposals of nearly equal objectness.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class Convolution(nn.Conv2d):
    """A convolution without bias whose norm is its child (detectron2's layers/wrappers.py), so `conv1.norm.weight`."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, norm: Norm) -> None:
        super().__init__(inputs, outputs, size, stride, padding=size // 2, bias=False)
        self.norm = norm(outputs)

    def forward(self, input: Tensor) -> Tensor:
        normed: Tensor = self.norm(super().forward(input))
        return normed


class Bottleneck(nn.Module):
    """A residual block that halves the resolution, if at all, in its first convolution (STRIDE_IN_1X1)."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        middle = outputs // 4
        self.shortcut = Convolution(inputs, outputs, 1, stride, norm) if inputs != outputs else None
        self.conv1 = Convolution(inputs, middle, 1, stride, norm)
        self.conv2 = Convolution(middle, middle, 3, 1, norm)
        self.conv3 = Convolution(middle, outputs, 1, 1, norm)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv2(self.conv1(x).relu_()).relu_()
        out: Tensor = self.conv3(inner)
        return out.add_(x if self.shortcut is None else self.shortcut(x)).relu_()


class Stem(nn.Module):
    """Image (B, 3, H, W) → (B, 64, H/4, W/4)."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.conv1 = Convolution(3, 64, 7, 2, norm)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(self.conv1(x).relu_())
        return pooled


def stage(inputs: int, outputs: int, blocks: int, stride: int, norm: Norm = FrozenNorm) -> nn.Sequential:
    """`blocks` residual blocks, the first of which changes channels and resolution."""
    first = Bottleneck(inputs, outputs, stride, norm)
    return nn.Sequential(first, *(Bottleneck(outputs, outputs, 1, norm) for _ in range(blocks - 1)))


class Backbone(nn.Module):
    """The stem and the stages up to res4."""

    def __init__(self, norm: Norm = FrozenNorm) -> None:
        super().__init__()
        self.stem = Stem(norm)
        self.res2 = stage(64, 256, 3, 1, norm)
        self.res3 = stage(256, 512, 4, 2, norm)
        self.res4 = stage(512, TRUNK_CHANNELS, 23, 2, norm)

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.res4(self.res3(self.res2(self.stem(x))))
        return maps
