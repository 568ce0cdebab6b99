"""Where a row, an anchor or a word stands → a vector for attention to add."""

import math

import torch
from torch import Tensor, nn

from pipeline_lib.moments.layers import Dropout


def sines(places: Tensor, dimension: int) -> Tensor:
    """Places (…) in radians → (…, dimension): sin and cos in turns, wavelengths from 2π to 2π · 10⁴."""
    exponent = 2 * (torch.arange(dimension, device=places.device) // 2) / dimension
    angles = places[..., None] / 10000**exponent
    return torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), -1).flatten(-2)


def of_rows(mask: Tensor, dimension: int) -> Tensor:
    """Rows of videos, mask (V, L) → (V, L, dimension); a video's rows share one turn, whatever its length."""
    count = mask.cumsum(1, dtype=torch.get_default_dtype())
    return sines(count / (count[:, -1:] + 1e-6) * (2 * math.pi), dimension)


def of_anchors(anchors: Tensor, dimension: int) -> Tensor:
    """Anchors (…, 2), centre and width → (…, dimension), a half for each."""
    return sines(anchors * (2 * math.pi), dimension // 2).flatten(-2)


class WordPositions(nn.Module):
    """Learned places of words: what is added to a word is made of both (n, L, dimension)."""

    def __init__(self, words: int, dimension: int, dropout: float) -> None:
        super().__init__()
        self.position_embeddings = nn.Embedding(words, dimension)
        self.LayerNorm = nn.LayerNorm(dimension)
        self.dropout = Dropout(dropout)

    def forward(self, words: Tensor) -> Tensor:
        placed: Tensor = self.dropout(self.LayerNorm(words + self.position_embeddings.weight[: words.shape[1]]))
        return placed
