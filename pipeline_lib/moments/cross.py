"""A sequence that reads another by attention: rows read words, words read rows, a sentence reads a video."""

from typing import Any

from torch import Tensor, nn

from pipeline_lib.config.moments_model import Model
from pipeline_lib.moments.attention import Attention
from pipeline_lib.moments.layers import Dropout, feed, placed, xavier
from pipeline_lib.moments.ragged import Ragged


class CrossLayer(nn.Module):
    """Attention without self-attention: each query is read for itself, whatever the others are."""

    def __init__(self, options: Model, two: bool) -> None:
        super().__init__()
        d, wide = options.dimension, options.feedforward
        self.self_attn = Attention(d, options.heads, options.dropout)  # upstream's name
        self.dropout = Dropout(options.dropout)
        self.activation = nn.PReLU()
        self.linear1, self.linear2 = nn.Linear(d, wide), nn.Linear(wide, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        if two:
            self.linear1_1, self.linear2_1 = nn.Linear(d, wide), nn.Linear(wide, d)
            self.norm1_1, self.norm2_1 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.two = two

    def forward(
        self,
        x: Tensor,
        other: Tensor,
        seen: Tensor,
        position: Tensor | None,
        other_position: Tensor | None,
        words_read: bool,
        ragged: Ragged | None,
    ) -> Tensor:
        found = self.self_attn(placed(x, position), placed(other, other_position), other, seen, ragged)
        x = x + self.dropout(found)
        if words_read and self.two:
            norm1, widen, narrow, norm2 = self.norm1_1, self.linear1_1, self.linear2_1, self.norm2_1
        else:
            norm1, widen, narrow, norm2 = self.norm1, self.linear1, self.linear2, self.norm2
        y: Tensor = norm2(x + self.dropout(feed(norm1(x), widen, self.activation, self.dropout, narrow)))
        return y


class CrossLayers(nn.Module):
    """Layers, one after the other, that read the same.

    Args:
        two: with a second feed-forward for words that read rows.
    """

    def __init__(self, options: Model, layers: int, two: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CrossLayer(options, two) for _ in range(layers))

    def forward(
        self,
        x: Tensor,
        other: Tensor,
        other_mask: Tensor,
        position: Tensor | None = None,
        other_position: Tensor | None = None,
        hidden: Tensor | None = None,
        words_read: bool = False,
        ragged: Ragged | None = None,
    ) -> Tensor:
        """Read `other` (n, K, d), of which `other_mask` (n, K) is there, by `x` (n, Q, d).

        Args:
            hidden: (n, h, Q, K) bool, what is hidden besides.
            words_read: the queries are words, the keys rows.
            ragged: how x, and its position, would be padded, if they come one after the other (N, d).
        """
        seen = other_mask[:, None, None]
        if hidden is not None:
            seen = seen & ~hidden
        for layer in self.layers:
            x = layer(x, other, seen, position, other_position, words_read, ragged)
        return x


class CrossEncoder(nn.Module):
    """Such layers under the name that upstream gives them, drawn as it draws them."""

    def __init__(self, options: Model, layers: int, two: bool = False) -> None:
        super().__init__()
        self.t2v_encoder = CrossLayers(options, layers, two)
        xavier(self)

    def forward(self, *given: Any, **named: Any) -> Tensor:
        """As CrossLayers."""
        found: Tensor = self.t2v_encoder(*given, **named)
        return found
