"""A seed → colourful moving textures, which stand for real clips where a network's statistics are to be measured."""

import torch
import torch.nn.functional as F
from torch import Tensor

PATCHES = 12
SCALES = (3, 7, 17, 43)  # cells of noise across a picture
_MARGIN = 8  # the camera moves over a canvas that is larger than the picture by size / _MARGIN


def textures(n: int, frames: int, size: int, seed: int) -> Tensor:
    """Clips (n, 3, frames, size, size) float32 in 0 … 1: gradient, noise at several scales, moving patches, a pan.

    One frame makes a picture. Clip i is the same whatever n is.
    """
    return torch.stack([_clip(frames, size, torch.Generator().manual_seed(seed * 1_000_003 + i)) for i in range(n)])


def _clip(frames: int, size: int, source: torch.Generator) -> Tensor:
    """One clip (3, frames, size, size)."""
    canvas = _background(size + 2 * (size // _MARGIN), source)
    pan = _path(frames, 2 * (size // _MARGIN), source).round().int().tolist()
    clip = torch.stack([canvas[:, y : y + size, x : x + size] for x, y in pan], dim=1)
    for _ in range(PATCHES):
        width, height = (int(side) for side in (_uniform(2, source) * 0.35 + 0.05) * size)
        colour = _uniform(3, source)[:, None, None]
        solidity = (0.5 + _uniform(1, source)).clamp(max=1)
        for frame, (x, y) in enumerate(_path(frames, size - 1, source).int().tolist()):
            patch = clip[:, frame, y : y + height, x : x + width]
            patch.lerp_(colour.expand_as(patch), solidity)
    return clip


def _background(size: int, source: torch.Generator) -> Tensor:
    """A gradient between four colours under noise, anything from none (as in a drawing) to plenty, (3, size, size)."""
    canvas = _stretch(_uniform((1, 3, 2, 2), source), size)
    strength = 2.0 * _uniform(1, source) ** 3
    for cells in SCALES:
        noise = _stretch(_uniform((1, 3, cells, cells), source) - 0.5, size)
        canvas = canvas + strength * _uniform(1, source) * noise
    return canvas[0].clamp(0, 1)


def _path(frames: int, room: int, source: torch.Generator) -> Tensor:
    """A straight walk between two places, (frames, 2) in 0 … room."""
    start, end = _uniform((2, 2), source) * room
    return start + torch.linspace(0, 1, frames)[:, None] * (end - start)


def _stretch(cells: Tensor, size: int) -> Tensor:
    return F.interpolate(cells, (size, size), mode="bilinear", align_corners=True)


def _uniform(shape: int | tuple[int, ...], source: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=source)
