"""Rows that know their sentence → the video as a whole, and spans: encoder and DAB-DETR's decoder (Liu et al., ICLR 2022).

n: queries, L: rows, Q: spans of a query, d: dimension.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline_lib.config.moments_model import Model
from pipeline_lib.moments.attention import Attention
from pipeline_lib.moments.decoder import Decoder
from pipeline_lib.moments.layers import Dropout, feed, xavier
from pipeline_lib.moments.ragged import Ragged


class Memory(NamedTuple):
    """What the encoder makes of a video."""

    rows: Tensor  # (n, L, d)
    whole: Tensor  # (n, d)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each added and then normalised."""

    def __init__(self, options: Model) -> None:
        super().__init__()
        d, wide = options.dimension, options.feedforward
        self.self_attn = Attention(d, options.heads, options.dropout)
        self.dropout = Dropout(options.dropout)
        self.activation = nn.PReLU()
        self.linear1, self.linear2 = nn.Linear(d, wide), nn.Linear(wide, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x: Tensor, position: Tensor, seen: Tensor, ragged: Ragged) -> Tensor:
        """Rows x (N, d) of all items, one after the other."""
        with_position = x + position
        x = self.norm1(x + self.dropout(self.self_attn(with_position, with_position, x, seen, ragged, ragged)))
        found = feed(x, self.linear1, self.activation, self.dropout, self.linear2)
        y: Tensor = self.norm2(x + self.dropout(found))
        return y


class Encoder(nn.Module):
    """Encoder layers."""

    def __init__(self, options: Model) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(options) for _ in range(options.encoder_layers))


class Transformer(nn.Module):
    """Encoder and decoder; upstream's names."""

    def __init__(self, options: Model) -> None:
        super().__init__()
        self.encoder = Encoder(options)
        self.decoder = Decoder(options)
        xavier(self)

    def encode(self, rows: Tensor, mask: Tensor, position: Tensor, token: Tensor, token_position: Tensor) -> Memory:
        """Rows (n, L, d) and a token (d,) in front that reads them and that they don't read, as published."""
        ragged = Ragged.of(F.pad(mask, (1, 0), value=True))
        x = ragged.take(torch.cat((token.expand(len(rows), 1, -1), rows), 1))
        place = ragged.take(torch.cat((token_position.expand(len(rows), 1, -1), position), 1))
        seen = F.pad(mask, (1, 0), value=False)[:, None, None]
        for layer in self.encoder.layers:
            x = layer(x, place, seen, ragged)
        found = ragged.pad(x)
        return Memory(found[:, 1:], found[:, 0])
