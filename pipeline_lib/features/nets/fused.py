"""Convolutions, norms and residual blocks of a ResNet → one operator per convolution, for inference.

A norm whose statistics are fixed is a factor and a shift per channel: both go into the convolution before it. On a CPU
ReLU and residual sum are done by oneDNN's convolution itself, over weights in the layout that it likes best.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.features.nets.winograd import Winograd, WinogradTiles

LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by number of axes
WIDE = 256  # channels from which the products that Winograd saves outweigh its copies, on maps of any size


def fold(convolution: nn.Conv2d | nn.Conv3d, norm: Any) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that does what a convolution and its norm do."""
    factor = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return convolution.weight * factor.view(
        -1, *[1] * (convolution.weight.ndim - 1)
    ), norm.bias - norm.running_mean * factor


def folded(block: Any, number: int) -> tuple[Tensor, Tensor]:
    """`fold` of a residual block's convolution 1, 2 or 3, or of its shortcut, which is number 0.

    Blocks are torchvision's, or as detectron2's (`resnet_d2`), which have `shortcut` and norms within their convolutions.
    """
    if hasattr(block, "shortcut"):
        convolution: Any = getattr(block, f"conv{number}" if number else "shortcut")
        return fold(convolution, convolution.norm)
    if number == 0:
        return fold(*block.downsample)
    return fold(getattr(block, f"conv{number}"), getattr(block, f"bn{number}"))


class Fused(nn.Module):
    """ReLU of a convolution over two or three dimensions, or of its sum with something else."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        stride: int,
        dtype: torch.dtype,
        padding: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().to(dtype).contiguous(memory_format=LAST[weight.ndim]))
        self.register_buffer("bias", bias.detach().to(dtype))
        self.stride = stride
        self.padding = padding or tuple(size // 2 for size in weight.shape[2:])
        self._packed: Tensor | None = None

    def forward(self, x: Tensor, plus: Tensor | None = None, relu: bool = True) -> Tensor:
        """relu(convolution(x) + plus); `plus` may be overwritten."""
        if not _ONEDNN or x.device.type != "cpu" or x.dtype == torch.float16 or torch.compiler.is_compiling():
            convolve = F.conv2d if self.weight.ndim == 4 else F.conv3d
            out = convolve(x, self.weight, self.bias, self.stride, self.padding)
            out = out if plus is None else out.add_(plus)
            return out.relu_() if relu else out
        if self._packed is None:
            self._packed = self._pack(x)
        after = "relu" if relu else "none"
        if plus is None:
            alone: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, self._packed, self.bias, *self._geometry(), after, [], ""
            )
            return alone
        summed: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            plus, x, self._packed, self.bias, *self._geometry(), "add", 1.0, after if relu else None, [], ""
        )
        return summed

    def _geometry(self) -> tuple[list[int], list[int], list[int], int]:
        """Padding, stride, dilation and groups, as oneDNN's operators take them."""
        axes = self.weight.ndim - 2
        return list(self.padding), [self.stride] * axes, [1] * axes, 1

    def _pack(self, x: Tensor) -> Tensor:
        """The weight in oneDNN's layout for inputs like `x`; others work, too."""
        operators: Any = torch._C._nn
        reorder = operators.mkldnn_reorder_conv2d_weight if x.ndim == 4 else operators.mkldnn_reorder_conv3d_weight
        packed: Tensor = reorder(self.weight.to_mkldnn(), *self._geometry(), list(x.shape))
        return packed


def _has_onednn() -> bool:
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise_")
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
        and hasattr(torch._C._nn, "mkldnn_reorder_conv3d_weight")
    )


_ONEDNN = _has_onednn()


def square(weight: Tensor, bias: Tensor, cells: int | None, dtype: torch.dtype) -> nn.Module:
    """relu(3 × 3 convolution) for maps of `cells` per side, or of any size; oneDNN has no Winograd for float32 any more."""
    if dtype == torch.float32 and weight.device.type == "cpu":
        if cells:
            return Winograd(weight, bias, cells)
        if len(weight) >= WIDE:
            return WinogradTiles(weight, bias)
    return Fused(weight, bias, 1, dtype)


class FusedBlock(nn.Module):
    """A residual block of three convolutions, and a fourth on the shortcut where it has one; `cells` as for `square`."""

    def __init__(self, block: nn.Module, dtype: torch.dtype, cells: int | None = None) -> None:
        super().__init__()
        strided: Any = block
        first, second = strided.conv1.stride[0], strided.conv2.stride[0]  # Caffe's family strides in the first one
        self.first = Fused(*folded(block, 1), first, dtype)
        if second == 1:
            self.second = square(*folded(block, 2), cells, dtype)
        else:
            self.second = Fused(*folded(block, 2), second, dtype)
        self.third = Fused(*folded(block, 3), 1, dtype)
        has_shortcut = (strided.shortcut if hasattr(block, "shortcut") else strided.downsample) is not None
        self.shortcut = Fused(*folded(block, 0), first * second, dtype) if has_shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        """`x` may be overwritten."""
        aside = x if self.shortcut is None else self.shortcut(x, relu=False)
        out: Tensor = self.third(self.second(self.first(x)), aside)
        return out


class FusedTrunk(nn.Module):
    """Images (B, 3, H, W) float32 → maps (B, channels, h, w) of `dtype`, channels last."""

    def __init__(
        self, stem: tuple[Tensor, Tensor], pool: nn.Module, blocks: list[nn.Module], dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.dtype = dtype
        self.stem = Fused(*stem, 2, dtype)
        self.pool = pool
        self.blocks = nn.Sequential(*(FusedBlock(block, dtype) for block in blocks))

    def forward(self, images: Tensor) -> Tensor:
        x = images.to(self.dtype).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.blocks(self.pool(self.stem(x)))
        return maps
