"""Clips (RGB, 0 … 1) → S3D-G embeddings, with the parameter names of the published HowTo100M checkpoint.

The network is S3D with self-gating (Xie et al. 2018, arXiv:1712.04851) as trained by MIL-NCE (Miech et al. 2020,
arXiv:1912.06430) and published in antoine77340/S3D_HowTo100M (s3dg.py). Module names follow that checkpoint, so that it
loads with strict=True. Sentences go through the text tower, in s3d_text.py.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.features.nets.s3d_text import TextTower

FEATURES = 1024  # channels of mixed_5c

Triple = tuple[int, int, int]  # over time, height, width


def space_to_depth(video: Tensor) -> Tensor:
    """Every 2 × 2 × 2 block of pixels as channels: (B, C, T, H, W) → (B, 8·C, T/2, H/2, W/2).

    Channel ((dt·2 + dh)·2 + dw)·C + c holds channel c at offset (dt, dh, dw) of the block.
    """
    batch, channels, time, height, width = video.shape
    blocks = video.reshape(batch, channels, time // 2, 2, height // 2, 2, width // 2, 2)
    blocks = blocks.permute(0, 3, 5, 7, 1, 2, 4, 6)
    return blocks.reshape(batch, 8 * channels, time // 2, height // 2, width // 2)


def max_pool(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Max-pool of (B, C, T, H, W) after zeros are added as upstream's imitation of TensorFlow's SAME does it.

    Each side gets half of max(kernel - stride, 0), the end the odd one; a window that begins inside the padded input
    counts, which makes 13 out of 25 where TensorFlow would place the windows one pixel earlier.
    """
    padding: list[int] = []
    for size, step in zip(reversed(kernel), reversed(stride), strict=True):  # F.pad starts at the last axis
        total = max(size - step, 0)
        padding += [total // 2, total - total // 2]
    return F.max_pool3d(F.pad(x, padding), kernel, stride, ceil_mode=True)


class Convolution(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: Triple = (1, 1, 1), stride: int = 1, padding: Triple = (0, 0, 0)
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.bn1(self.conv1(x)))


class SeparableConvolution(nn.Module):
    """A 3 × 3 × 3 convolution taken apart: 1 × 3 × 3 over space, then 3 × 1 × 1 over time, each with norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.bn1(self.conv1(x)))
        return F.relu_(self.bn2(self.conv2(x)))


class SelfGating(nn.Module):
    """Every channel times a weight in 0 … 1 that the clip's mean activations decide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.fc(x.mean(dim=(2, 3, 4))))
        return x * gate[:, :, None, None, None]


class Inception(nn.Module):
    """Four gated branches side by side: 1³, 1³ then 3³ (twice), and max-pool then 1³.

    `b0`, `b1` (reduce, outputs), `b2` (reduce, outputs), `b3` are the branches' channels.
    """

    def __init__(self, inputs: int, b0: int, b1: tuple[int, int], b2: tuple[int, int], b3: int) -> None:
        super().__init__()
        self.conv_b0 = Convolution(inputs, b0)
        self.conv_b1_a = Convolution(inputs, b1[0])
        self.conv_b1_b = SeparableConvolution(*b1)
        self.conv_b2_a = Convolution(inputs, b2[0])
        self.conv_b2_b = SeparableConvolution(*b2)
        self.conv_b3_b = Convolution(inputs, b3)
        self.gating_b0 = SelfGating(b0)
        self.gating_b1 = SelfGating(b1[1])
        self.gating_b2 = SelfGating(b2[1])
        self.gating_b3 = SelfGating(b3)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool3d(x, 3, stride=1, padding=1)
        branches = (
            self.gating_b0(self.conv_b0(x)),
            self.gating_b1(self.conv_b1_b(self.conv_b1_a(x))),
            self.gating_b2(self.conv_b2_b(self.conv_b2_a(x))),
            self.gating_b3(self.conv_b3_b(pooled)),
        )
        return torch.cat(branches, dim=1)


class S3D(nn.Module):
    """The video tower, with the text tower as `text_module`.

    Args:
        dictionary: `s3d_dict.npy` or its words in order, for the text tower; None when only videos are embedded.
        num_classes: dimension of the joint space of videos and sentences.
        space_to_depth: False for MIL-NCE_HowTo100M's own checkpoints, which begin with a 3 × 7 × 7 convolution.
    """

    def __init__(
        self,
        dictionary: Path | str | Sequence[str] | None,
        num_classes: int = 512,
        space_to_depth: bool = True,
    ) -> None:
        super().__init__()
        self.space_to_depth = space_to_depth
        # Registered in the checkpoint's order; pools hold no parameters.
        if space_to_depth:
            self.conv1 = Convolution(24, 64, (2, 4, 4), padding=(1, 2, 2))
        else:
            self.conv1 = Convolution(3, 64, (3, 7, 7), stride=2, padding=(1, 3, 3))
        self.conv_2b = Convolution(64, 64)
        self.conv_2c = SeparableConvolution(64, 192)
        self.gating = SelfGating(192)
        self.mixed_3b = Inception(192, 64, (96, 128), (16, 32), 32)
        self.mixed_3c = Inception(256, 128, (128, 192), (32, 96), 64)
        self.mixed_4b = Inception(480, 192, (96, 208), (16, 48), 64)
        self.mixed_4c = Inception(512, 160, (112, 224), (24, 64), 64)
        self.mixed_4d = Inception(512, 128, (128, 256), (24, 64), 64)
        self.mixed_4e = Inception(512, 112, (144, 288), (32, 64), 64)
        self.mixed_4f = Inception(528, 256, (160, 320), (32, 128), 128)
        self.mixed_5b = Inception(832, 256, (160, 320), (32, 128), 128)
        self.mixed_5c = Inception(832, 384, (192, 384), (48, 128), 128)
        self.fc = nn.Linear(FEATURES, num_classes)
        self.text_module = TextTower(dictionary, num_classes)

    def forward(self, video: Tensor) -> dict[str, Tensor]:
        """Embed clips (B, 3, T, H, W): RGB in 0 … 1, no mean taken off; T, H and W even.

        Returns:
            mixed_5c (B, 1024), the usual feature of a clip, and video_embedding (B, num_classes), whose dot product
            with a sentence's text_embedding is their similarity. Neither is normalised.

        Raises:
            ValueError: a shape the network doesn't take.
        """
        if video.ndim != 5 or video.shape[1] != 3 or any(size % 2 for size in video.shape[2:]):
            raise ValueError(f"clips of shape {tuple(video.shape)}; expected (B, 3, T, H, W), the last three even")
        x = space_to_depth(video) if self.space_to_depth else video
        x = self.conv1(x)
        if self.space_to_depth:
            # An even kernel padded alike on both sides gives one row too many: SAME is the padding less the first one.
            x = x[:, :, 1:, 1:, 1:]
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self.gating(self.conv_2c(self.conv_2b(x)))
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self.mixed_3c(self.mixed_3b(x))
        x = max_pool(x, (3, 3, 3), (2, 2, 2))
        for mixed in (self.mixed_4b, self.mixed_4c, self.mixed_4d, self.mixed_4e, self.mixed_4f):
            x = mixed(x)
        x = max_pool(x, (2, 2, 2), (2, 2, 2))
        x = self.mixed_5c(self.mixed_5b(x))
        features = x.mean(dim=(2, 3, 4))
        return {"video_embedding": self.fc(features), "mixed_5c": features}
