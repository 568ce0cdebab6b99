"""S3D-G → the same network, rearranged to be several times faster; its results differ by rounding only.

Clips lie in memory as (B, T, H, W, C), so that every convolution is one of two dimensions for oneDNN: 1 × 3 × 3 over single
frames, 3 × 1 × 1 over a picture of T rows, 1 × 1 × 1 over anything. Norms are folded into convolutions. A maximum over a
window is taken axis by axis. Gates, which are positive, are applied after pooling, and while branches are put side by side.
"""

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn

from pipeline_lib.features.nets.fused import Fused, fold
from pipeline_lib.features.nets.s3d import S3D, Convolution, Inception, SelfGating, SeparableConvolution

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@torch.no_grad()
def optimise(net: S3D, precision: str = "fp32", compile: bool = False) -> nn.Module:
    """A faster S3D-G for inference with the weights that `net` has now; `net` stays as it is.

    Args:
        net: in evaluation mode, on the device that it is to run on.
        precision: fp32 | bf16 | fp16 of the convolutions; means and the last layer are always computed in float32.
        compile: let torch.compile translate it as well, which takes minutes once per process and needs a C++ compiler.

    Returns:
        A module that takes clips (B, 3, T, H, W) in 0 … 1 and gives what `net` gives, in float32.
    """
    fast = FastS3D(net, PRECISIONS[precision]).eval()
    return cast(nn.Module, torch.compile(fast, dynamic=False)) if compile else fast


class FastS3D(nn.Module):
    """See `optimise`. Inside, activations x are contiguous (B, T, H, W, C)."""

    def __init__(self, net: S3D, dtype: torch.dtype) -> None:
        super().__init__()
        if not net.space_to_depth:
            raise ValueError("only S3D with space_to_depth is rearranged; use the network itself")
        self.stem = Stem(net.conv1, dtype)
        self.conv_2b = Pointwise(net.conv_2b, dtype)
        self.conv_2c = Separable(net.conv_2c, dtype)
        self.gate_2c = Gate(net.gating)
        mixed = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
        self.mixed = nn.ModuleDict({name: Mixed(getattr(net, f"mixed_{name}"), dtype) for name in mixed})
        self.fc = copy.deepcopy(net.fc).float()

    def forward(self, video: Tensor) -> dict[str, Tensor]:
        """As S3D.forward."""
        if video.ndim != 5 or video.shape[1] != 3 or any(size % 2 for size in video.shape[2:]):
            raise ValueError(f"clips of shape {tuple(video.shape)}; expected (B, 3, T, H, W), the last three even")
        x = pooled(self.stem(video), (2, 3), 3)
        x = self.conv_2c(self.conv_2b(x))
        gate = self.gate_2c(x)
        x = pooled(x, (2, 3), 3).mul_(gate)
        x = pooled(self.mixed["3c"](self.mixed["3b"](x)), (1, 2, 3), 3)
        for name in ("4b", "4c", "4d", "4e", "4f"):
            x = self.mixed[name](x)
        x = pooled(x, (1, 2, 3), 2)
        x = self.mixed["5c"](self.mixed["5b"](x))
        features = x.mean(dim=(1, 2, 3), dtype=torch.float32)
        return {"video_embedding": self.fc(features), "mixed_5c": features}


class Stem(nn.Module):
    """Space to depth, and the 2 × 4 × 4 convolution less its first row on every axis: no row too many is computed."""

    def __init__(self, convolution: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.convolution = Fused(*fold(convolution.conv1, convolution.bn1), 1, dtype, padding=(0, 0, 0))
        self.dtype = dtype

    def forward(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) → (B, T/2, H/2, W/2, 64)."""
        batch, _, time, height, width = video.shape
        t, h, w = time // 2, height // 2, width // 2
        blocks = video.permute(0, 2, 3, 4, 1).to(self.dtype).contiguous().view(batch, t, 2, h, 2, w, 6)
        x = blocks.new_zeros(batch, t + 1, h + 3, w + 3, 2, 2, 6)
        x[:, :t, 1 : h + 1, 1 : w + 1] = blocks.permute(0, 1, 3, 5, 2, 4, 6)
        found: Tensor = self.convolution(x.flatten(4).permute(0, 4, 1, 2, 3))
        return found.permute(0, 2, 3, 4, 1)


class Pointwise(nn.Module):
    """1 × 1 × 1 convolutions of the same input, their outputs side by side."""

    def __init__(self, convolutions: Convolution | list[Convolution], dtype: torch.dtype) -> None:
        super().__init__()
        several = convolutions if isinstance(convolutions, list) else [convolutions]
        parts = [fold(one.conv1, one.bn1) for one in several]
        weight, bias = (torch.cat(part) for part in zip(*parts, strict=True))
        self.convolution = Fused(weight.squeeze(2), bias, 1, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return frames(self.convolution, x)


class Separable(nn.Module):
    """1 × 3 × 3, then 3 × 1 × 1."""

    def __init__(self, convolution: SeparableConvolution, dtype: torch.dtype) -> None:
        super().__init__()
        weight, bias = fold(convolution.conv1, convolution.bn1)
        self.space = Fused(weight.squeeze(2), bias, 1, dtype)
        weight, bias = fold(convolution.conv2, convolution.bn2)
        self.time = Fused(weight.squeeze(4), bias, 1, dtype)  # (out, in, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = frames(self.space, x)
        batch, time, height, width, channels = x.shape
        rows = x.view(batch, time, height * width, channels).permute(0, 3, 1, 2)
        return self.time(rows).permute(0, 2, 3, 1).view(batch, time, height, width, -1)


class Gate(nn.Module):
    """(B, T, H, W, C) → a weight in 0 … 1 per channel, (B, 1, 1, 1, C)."""

    def __init__(self, gating: SelfGating) -> None:
        super().__init__()
        self.fc = copy.deepcopy(gating.fc).float()

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(1, 3)
        if x.dtype == torch.float32:
            mean = places.mean(dim=1)
        else:  # a sum that would first copy everything to float32; a product adds up in float32 as it goes
            mean = (places.new_ones(1, places.shape[1]) @ places).squeeze(1).float() / places.shape[1]
        return torch.sigmoid(self.fc(mean)).to(x.dtype)[:, None, None, None]


class Mixed(nn.Module):
    """An inception block."""

    def __init__(self, block: Inception, dtype: torch.dtype) -> None:
        super().__init__()
        firsts = [block.conv_b0, block.conv_b1_a, block.conv_b2_a]
        self.sizes = [one.conv1.out_channels for one in firsts]
        self.first = Pointwise(firsts, dtype)
        self.branch_1 = Separable(block.conv_b1_b, dtype)
        self.branch_2 = Separable(block.conv_b2_b, dtype)
        self.branch_3 = Pointwise(block.conv_b3_b, dtype)
        gates = (block.gating_b0, block.gating_b1, block.gating_b2, block.gating_b3)
        self.gates = nn.ModuleList(Gate(gate) for gate in gates)
        self.outputs = [gate.fc.out_features for gate in gates]

    def forward(self, x: Tensor) -> Tensor:
        b0, b1, b2 = self.first(x).split(self.sizes, dim=4)
        branches = (
            b0,
            self.branch_1(b1.contiguous()),
            self.branch_2(b2.contiguous()),
            self.branch_3(smoothed(x)),
        )
        out = x.new_empty(*x.shape[:4], sum(self.outputs))
        for branch, gate, part in zip(branches, self.gates, out.split(self.outputs, dim=4), strict=True):
            torch.mul(branch, gate(branch), out=part)
        return out


def frames(convolution: nn.Module, x: Tensor) -> Tensor:
    """A convolution of two dimensions over every frame of (B, T, H, W, C)."""
    found = convolution(x.flatten(0, 1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return found.unflatten(0, x.shape[:2])


def pooled(x: Tensor, axes: tuple[int, ...], kernel: int) -> Tensor:
    """Maximum over windows of 2 or 3 at every second place of some axes; x is nowhere negative.

    That makes the zeros that S3D pads with as good as nothing, so windows are just cut off at the end.
    """
    for axis in reversed(axes):
        size = x.shape[axis]
        places = (size + 1) // 2
        even, odd = _every_second(x, axis, 0), _every_second(x, axis, 1)
        if odd.shape[axis] == places:
            out = torch.maximum(even, odd)
        else:
            out = even.contiguous()
            part = out.narrow(axis, 0, places - 1)
            torch.maximum(part, odd, out=part)
        if kernel == 3 and places > 1:
            part = out.narrow(axis, 0, places - 1)
            torch.maximum(part, even.narrow(axis, 1, places - 1), out=part)
        x = out
    return x


def _every_second(x: Tensor, axis: int, start: int) -> Tensor:
    where: list[slice] = [slice(None)] * x.ndim
    where[axis] = slice(start, None, 2)
    return x[tuple(where)]


def smoothed(x: Tensor) -> Tensor:
    """Maximum over the 3 × 3 × 3 neighbourhood of every place."""
    for axis in (3, 2, 1):
        size = x.shape[axis]
        if size == 1:
            continue
        out = torch.empty_like(x)
        inner = out.narrow(axis, 0, size - 1)
        torch.maximum(x.narrow(axis, 0, size - 1), x.narrow(axis, 1, size - 1), out=inner)
        out.select(axis, size - 1).copy_(x.select(axis, size - 1))
        rest = out.narrow(axis, 1, size - 1)
        torch.maximum(rest, x.narrow(axis, 0, size - 1), out=rest)
        x = out
    return x
