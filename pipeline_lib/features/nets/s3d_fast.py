"""S3D-G → the same network, rearranged to be several times faster; its results differ by rounding only.

Clips lie in memory as (B, T, H, W, C), so that every convolution is one of two dimensions for oneDNN: 1 × 3 × 3 over single
frames, 3 × 1 × 1 over a picture of T rows, 1 × 1 × 1 over anything. Norms are folded into convolutions, and those that share
an input are one. A maximum over a window is taken axis by axis. Gates, which are positive, are applied after pooling. The
wide maps at the beginning are computed a few frames at a time, so that they stay in the cache.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.core import device
from pipeline_lib.features.nets import fused
from pipeline_lib.features.nets.fused import Fused, fold
from pipeline_lib.features.nets.s3d import S3D, Convolution, Inception, SelfGating, SeparableConvolution

STEP = 4  # frames at a time, at least 2: more leave the cache, fewer are copied more often


@torch.no_grad()
def optimise(net: S3D, precision: str = "fp32", compile: bool = False) -> nn.Module:
    """A faster S3D-G for inference with the weights that `net` has now; `net` stays as it is.

    Args:
        net: in evaluation mode, on the device that it is to run on.
        precision: fp32 | bf16 | fp16 of the convolutions; gates and the last layer are always computed in float32.
        compile: let torch.compile translate it as well, which takes minutes once per process and needs a C++ compiler.

    Returns:
        A module that takes clips (B, 3, T, H, W) in 0 … 1 and gives what `net` gives, in float32.
    """
    fast = FastS3D(net, device.dtype(precision, net.fc.weight.device)).eval().requires_grad_(False)
    if compile:
        fast.tower.compile(dynamic=False)
    return fast


class FastS3D(nn.Module):
    """See `optimise`."""

    def __init__(self, net: S3D, dtype: torch.dtype) -> None:
        super().__init__()
        self.tower = Tower(net, dtype)

    def forward(self, video: Tensor) -> dict[str, Tensor]:
        """As S3D.forward."""
        if video.ndim != 5 or video.shape[1] != 3 or any(size % 2 for size in video.shape[2:]):
            raise ValueError(f"clips of shape {tuple(video.shape)}; expected (B, 3, T, H, W), the last three even")
        # One by one a CPU is as fast, and a clip's values don't depend on how many there are: sums keep their order.
        parts = [self.tower(some) for some in (video.split(1) if video.device.type == "cpu" else [video])]
        embedding, features = (torch.cat(part) for part in zip(*parts, strict=True))
        return {"video_embedding": embedding, "mixed_5c": features}


class Tower(nn.Module):
    """Clips (B, 3, T, H, W) → embeddings (B, num_classes) and features (B, 1024). Inside, x is (B, T, H, W, C)."""

    def __init__(self, net: S3D, dtype: torch.dtype) -> None:
        super().__init__()
        self.stem = Stem(net, dtype)
        self.conv_2b = Pointwise([net.conv_2b], dtype)
        self.conv_2c = Separable(net.conv_2c, dtype, padding=0)
        self.gating = Gate(net.gating)
        self.mixed_3 = nn.Sequential(*(Mixed(block, dtype) for block in (net.mixed_3b, net.mixed_3c)))
        fourth = (net.mixed_4b, net.mixed_4c, net.mixed_4d, net.mixed_4e, net.mixed_4f)
        self.mixed_4 = nn.Sequential(*(Mixed(block, dtype) for block in fourth))
        self.mixed_5 = nn.Sequential(*(Mixed(block, dtype) for block in (net.mixed_5b, net.mixed_5c)))
        self.fc = copy.deepcopy(net.fc).float()

    def forward(self, video: Tensor) -> tuple[Tensor, Tensor]:
        x = self.mixed_3(self._begin(video))
        x = self.mixed_4(pooled(x, (1, 2, 3), 3))
        x = self.mixed_5(pooled(x, (1, 2, 3), 2))
        features = x.float().mean(dim=(1, 2, 3))
        return self.fc(features), features

    def _begin(self, video: Tensor) -> Tensor:
        """Everything before mixed_3b: (B, 3, T, H, W) → (B, T/2, ⌈H/8⌉, ⌈W/8⌉, 192)."""
        padded, time = self.stem.pad(video), video.shape[2] // 2
        step = STEP if video.device.type == "cpu" else time
        total, outputs, window = torch.zeros((), device=video.device), [], None
        for start in range(0, time, step):
            x = pooled(self.stem(padded, start, min(start + step, time)), (2, 3), 3).relu_()
            x = self.conv_2c.space(self.conv_2b(x))
            nothing = torch.zeros_like(x[:, :1])  # what the convolution over time sees before and after the clip
            before = nothing if window is None else window[:, -2:]
            window = torch.cat([before, x] if start + step < time else [before, x, nothing], dim=1)
            y = self.conv_2c.time(window)
            total = total + mean(y) * (y.shape[1] / time)
            outputs.append(pooled(y, (2, 3), 3))
        return torch.cat(outputs, dim=1).mul_(self.gating(total, video.new_empty(0, dtype=padded.dtype)))


def _bias(bias: Tensor, dtype: torch.dtype) -> Tensor:
    """A convolution's bias: float32 where oneDNN computes in bf16, as rounding biases would make half of the error."""
    exact = dtype == torch.bfloat16 and bias.device.type == "cpu" and fused._ONEDNN
    return bias.detach().to(torch.float32 if exact else dtype)


class Rectified(Fused):
    """relu(convolution of two dimensions) of stride 1, with `_bias`."""

    def __init__(
        self, weight: Tensor, bias: Tensor, dtype: torch.dtype, padding: tuple[int, int] | None = None
    ) -> None:
        super().__init__(weight, bias, 1, dtype, padding)
        self.bias = _bias(bias, dtype)

    def forward(self, x: Tensor, plus: Tensor | None = None, relu: bool = True) -> Tensor:
        if self.bias.dtype != x.dtype and torch.compiler.is_compiling():
            return F.conv2d(x, self.weight, self.bias.to(x.dtype), padding=self.padding).relu_()
        return super().forward(x, plus, relu)


class Stem(nn.Module):
    """The first convolution less ReLU, on pixels: 4 × 8 × 8 of stride 2 does what 2 × 4 × 4 does after space to depth.

    Of both, no row is computed that is cropped. Pairs of neighbouring pixels count as one of 6 channels.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, net: S3D, dtype: torch.dtype) -> None:
        super().__init__()
        weight, bias = fold(net.conv1.conv1, net.conv1.bn1)
        if net.space_to_depth:
            blocks = weight.unflatten(1, (2, 2, 2, 3)).permute(0, 4, 5, 1, 6, 2, 7, 3)  # (64, 3, 2, 2, 4, 2, 4, 2)
            weight = blocks.flatten(6, 7).flatten(4, 5).flatten(2, 3)
            self.margins = ((0, 2), (2, 4), (2, 4))  # before and after, over time, height, width
        else:
            weight = F.pad(weight, (1, 0))  # 3 × 7 × 7; with an even margin pairs stay together
            self.margins = ((1, 0), (3, 2), (4, 2))
        pairs = weight.unflatten(4, (-1, 2)).permute(0, 5, 1, 2, 3, 4).flatten(1, 2)
        self.register_buffer("weight", pairs.to(dtype).contiguous(memory_format=torch.channels_last_3d))
        self.register_buffer("bias", _bias(bias, dtype))

    def pad(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) → with zeros around it, (B, T', H', W'/2, 6)."""
        sizes = [size + sum(margin) for size, margin in zip(video.shape[2:], self.margins, strict=True)]
        out = video.new_zeros(len(video), *sizes, 3, dtype=self.weight.dtype)
        inner = out
        for axis, (before, _) in enumerate(self.margins):
            inner = inner.narrow(axis + 1, before, video.shape[axis + 2])
        inner.copy_(video.permute(0, 2, 3, 4, 1).contiguous())  # first in one type: both at once is slow
        return out.unflatten(3, (-1, 2)).flatten(4)

    def forward(self, padded: Tensor, start: int, end: int) -> Tensor:
        """Outputs start … end - 1 over time, (B, end - start, H/2, W/2, 64)."""
        x, stride = padded[:, 2 * start : 2 * (end - 1) + self.weight.shape[2]].permute(0, 4, 1, 2, 3), (2, 2, 1)
        if self.bias.dtype == x.dtype or torch.compiler.is_compiling():
            out = F.conv3d(x, self.weight, self.bias.to(x.dtype), stride)
        else:  # what the former calls, but it insists on one type
            convolve: Any = torch.ops.aten.mkldnn_convolution
            out = convolve(x, self.weight, self.bias, (0, 0, 0), stride, (1, 1, 1), 1)
        return out.permute(0, 2, 3, 4, 1)


class Pointwise(nn.Module):
    """1 × 1 × 1 convolutions of the same input, their outputs side by side."""

    def __init__(self, convolutions: list[Convolution], dtype: torch.dtype) -> None:
        super().__init__()
        parts = [fold(one.conv1, one.bn1) for one in convolutions]
        weight, bias = (torch.cat(part) for part in zip(*parts, strict=True))
        self.convolution = Rectified(weight.squeeze(2), bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return over_frames(self.convolution, x)


class Separable(nn.Module):
    """1 × 3 × 3, then 3 × 1 × 1; `padding` is that over time."""

    def __init__(self, convolution: SeparableConvolution, dtype: torch.dtype, padding: int = 1) -> None:
        super().__init__()
        weight, bias = fold(convolution.conv1, convolution.bn1)
        self.spatial = Rectified(weight.squeeze(2), bias, dtype)
        weight, bias = fold(convolution.conv2, convolution.bn2)
        self.temporal = Rectified(weight.squeeze(4), bias, dtype, padding=(padding, 0))

    def space(self, x: Tensor) -> Tensor:
        return over_frames(self.spatial, x)

    def time(self, x: Tensor) -> Tensor:
        rows: Tensor = self.temporal(x.flatten(2, 3).permute(0, 3, 1, 2))
        return rows.permute(0, 2, 3, 1).unflatten(2, x.shape[2:4])

    def forward(self, x: Tensor) -> Tensor:
        return self.time(self.space(x))


class Gate(nn.Module):
    """Means (B, C) → a weight in 0 … 1 per channel, (B, 1, 1, 1, C), of the type of `like`."""

    def __init__(self, gating: SelfGating) -> None:
        super().__init__()
        self.fc = copy.deepcopy(gating.fc).float()

    def forward(self, means: Tensor, like: Tensor) -> Tensor:
        return torch.sigmoid(self.fc(means)).to(like.dtype)[:, None, None, None]


class Mixed(nn.Module):
    """An inception block."""

    def __init__(self, block: Inception, dtype: torch.dtype) -> None:
        super().__init__()
        firsts = [block.conv_b0, block.conv_b1_a, block.conv_b2_a]
        self.sizes = [one.conv1.out_channels for one in firsts]
        self.first = Pointwise(firsts, dtype)
        self.branch_1 = Separable(block.conv_b1_b, dtype)
        self.branch_2 = Separable(block.conv_b2_b, dtype)
        self.branch_3 = Pointwise([block.conv_b3_b], dtype)
        gates = (block.gating_b0, block.gating_b1, block.gating_b2, block.gating_b3)
        self.gates = nn.ModuleList(Gate(gate) for gate in gates)
        self.outputs = [gate.fc.out_features for gate in gates]

    def forward(self, x: Tensor) -> Tensor:
        b0, b1, b2 = self.first(x).split(self.sizes, dim=4)
        branches = (b0, self.branch_1(b1.contiguous()), self.branch_2(b2.contiguous()), self.branch_3(smoothed(x)))
        out = x.new_empty(*x.shape[:4], sum(self.outputs))
        for branch, gate, part in zip(branches, self.gates, out.split(self.outputs, dim=4), strict=True):
            _into(part, torch.mul, branch, gate(mean(branch), x))
        return out


def over_frames(convolution: nn.Module, x: Tensor) -> Tensor:
    """A convolution of two dimensions over every frame of (B, T, H, W, C)."""
    found = convolution(x.flatten(0, 1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return found.unflatten(0, x.shape[:2])


def mean(x: Tensor) -> Tensor:
    """Means (B, C) float32 of (B, T, H, W, C)."""
    if x.dtype != torch.bfloat16:
        return x.mean(dim=(1, 2, 3), dtype=torch.float32)
    places = x.flatten(1, 3)  # torch would copy all of it to float32; a product adds up in float32 as it goes
    ones = places.new_ones(1, 1, 1).expand(len(x), 1, places.shape[1])
    return torch.bmm(ones, places).squeeze(1).float() / places.shape[1]


def pooled(x: Tensor, axes: tuple[int, ...], kernel: int) -> Tensor:
    """Maximum over windows of 2 or 3 at every second place of some axes, where it is not negative.

    S3D pads with zeros, and ReLU has come before or comes next, so windows are just cut off at the end.
    """
    out = _comparable(x)
    for axis in axes:
        places = (out.shape[axis] + 1) // 2
        even, odd = _every_second(out, axis, 0), _every_second(out, axis, 1)
        out = torch.maximum(even.narrow(axis, 0, odd.shape[axis]), odd)
        if out.shape[axis] < places:
            out = torch.cat([out, even.narrow(axis, places - 1, 1)], dim=axis)
        if kernel == 3 and places > 1:
            part = out.narrow(axis, 0, places - 1)
            _into(part, torch.maximum, part, even.narrow(axis, 1, places - 1))
    return out.view(x.dtype)


def smoothed(x: Tensor) -> Tensor:
    """Maximum over the 3 × 3 × 3 neighbourhood of every place; x is nowhere negative."""
    out = _comparable(x)
    for axis in (3, 2, 1):
        size = out.shape[axis]
        if size > 1:
            before, after = out.narrow(axis, 0, size - 1), out.narrow(axis, 1, size - 1)
            out = torch.cat([torch.maximum(before, after), out.narrow(axis, size - 1, 1)], dim=axis)
            rest = out.narrow(axis, 1, size - 1)
            _into(rest, torch.maximum, rest, before)
    return out.view(x.dtype)


def _into(out: Tensor, function: Callable[..., Tensor], a: Tensor, b: Tensor) -> None:
    """function(a, b), written to `out`, a part of another tensor; torch.compile takes that in two steps only."""
    if torch.compiler.is_compiling():
        out.copy_(function(a, b))
    else:
        function(a, b, out=out)


def _comparable(x: Tensor) -> Tensor:
    """Half-precision numbers as integers: unless both are negative, they are ordered alike, and compared faster."""
    return x.view(torch.int16) if x.dtype.itemsize == 2 else x


def _every_second(x: Tensor, axis: int, start: int) -> Tensor:
    where: list[slice] = [slice(None)] * x.ndim
    where[axis] = slice(start, None, 2)
    return x[tuple(where)]
