"""Rows of a video and learned anchors → spans, refined layer by layer (DAB-DETR; Conditional DETR's cross-attention).

n: queries, L: rows, Q: spans of a query, d: dimension.
"""

import torch
from torch import Tensor, nn

from pipeline_lib.config.moments_model import Model
from pipeline_lib.moments import position
from pipeline_lib.moments.attention import ProjectedAttention
from pipeline_lib.moments.layers import MLP, Dropout, feed

MIN_WIDTH = 1e-6  # attention is scaled by 1 / width


def inverse_sigmoid(x: Tensor) -> Tensor:
    """Of probabilities kept 1e-3 from 0 and 1."""
    return (x.clamp(1e-3, 1) / (1 - x).clamp(1e-3, 1)).log()


class DecoderLayer(nn.Module):
    """Spans read each other, then the rows by content and by place.

    Args:
        first: with the anchors' own places in the queries of cross-attention.
    """

    def __init__(self, options: Model, first: bool) -> None:
        super().__init__()
        d, wide, heads = options.dimension, options.feedforward, options.heads
        self.heads, self.first = heads, first
        self.sa_qcontent_proj, self.sa_qpos_proj = nn.Linear(d, d), nn.Linear(d, d)
        self.sa_kcontent_proj, self.sa_kpos_proj = nn.Linear(d, d), nn.Linear(d, d)
        self.sa_v_proj = nn.Linear(d, d)
        self.self_attn = ProjectedAttention(d, heads, options.dropout)
        self.norm1 = nn.LayerNorm(d)
        self.ca_qcontent_proj = nn.Linear(d, d)
        if first:
            self.ca_qpos_proj = nn.Linear(d, d)
        self.ca_kcontent_proj, self.ca_kpos_proj = nn.Linear(d, d), nn.Linear(d, d)
        self.ca_v_proj, self.ca_qpos_sine_proj = nn.Linear(d, d), nn.Linear(d, d)
        self.cross_attn = ProjectedAttention(d, heads, options.dropout)
        self.linear1, self.linear2 = nn.Linear(d, wide), nn.Linear(wide, d)
        self.norm2, self.norm3 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.dropout = Dropout(options.dropout)
        self.activation = nn.PReLU()

    def forward(
        self, x: Tensor, place: Tensor, sine: Tensor, rows: Tensor, mask: Tensor, row_position: Tensor
    ) -> Tensor:
        """Spans x (n, Q, d) whose anchors stand at `place` and, for cross-attention, at `sine` (both (1 or n, Q, d))."""
        query = self.sa_qcontent_proj(x) + self.sa_qpos_proj(place)
        key = self.sa_kcontent_proj(x) + self.sa_kpos_proj(place)
        x = self.norm1(x + self.dropout(self.self_attn(query, key, self.sa_v_proj(x))))

        query, key = self.ca_qcontent_proj(x), self.ca_kcontent_proj(rows)
        key_place = self.ca_kpos_proj(row_position)
        if self.first:
            query, key = query + self.ca_qpos_proj(place), key + key_place
        query = self._beside(query, self.ca_qpos_sine_proj(sine).expand_as(query))
        found = self.cross_attn(query, self._beside(key, key_place), self.ca_v_proj(rows), mask[:, None, None])
        x = self.norm2(x + self.dropout(found))
        y: Tensor = self.norm3(x + self.dropout(feed(x, self.linear1, self.activation, self.dropout, self.linear2)))
        return y

    def _beside(self, content: Tensor, place: Tensor) -> Tensor:
        """Content and place side by side in each head: (n, …, 2 d)."""
        split = [x.unflatten(-1, (self.heads, -1)) for x in (content, place)]
        return torch.cat(split, -1).flatten(-2)


class Decoder(nn.Module):
    """Decoder layers, and what turns their states into anchors for the next."""

    def __init__(self, options: Model) -> None:
        super().__init__()
        d = options.dimension
        self.layers = nn.ModuleList(DecoderLayer(options, i == 0) for i in range(options.decoder_layers))
        self.norm = nn.LayerNorm(d)
        self.query_scale = MLP((d, d, d))
        self.ref_point_head = MLP((d, d, d))
        self.bbox_embed = MLP((d, d, d, 2))
        self.ref_anchor_head = MLP((d, d, 1))
        nn.init.zeros_(self.bbox_embed.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, anchors: Tensor, rows: Tensor, mask: Tensor, row_position: Tensor) -> tuple[Tensor, Tensor]:
        """States (layers, n, Q, d) and the anchors (layers, n, Q, 2) that each layer started from.

        Args:
            anchors: (Q, 2), centre and width before the sigmoid.
        """
        n, d = len(rows), rows.shape[-1]
        anchor = anchors.sigmoid()[None]
        x = rows.new_zeros(n, len(anchors), d)
        states, starts, start = [], [], anchor
        for i, layer in enumerate(self.layers):
            sine = position.of_anchors(anchor, d)
            place = self.ref_point_head(sine)
            if i:
                sine = sine * self.query_scale(x)
            width = anchor[..., 1:].clamp(min=MIN_WIDTH)
            x = layer(x, place, sine * (self.ref_anchor_head(x).sigmoid() / width), rows, mask, row_position)
            states.append(self.norm(x))
            starts.append(start.expand(n, -1, -1))
            if i < len(self.layers) - 1:
                start = (self.bbox_embed(x) + inverse_sigmoid(anchor)).sigmoid()
                anchor = start.detach()
        return torch.stack(states), torch.stack(starts)
