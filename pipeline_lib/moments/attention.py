"""Queries, keys and values → what each head of each query finds. n: items, h: heads, Q: queries, K: keys, d: dimension.

Masks say what may be seen: True is seen.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline_lib.moments.ragged import Ragged


def attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, seen: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Scaled dot-product attention of (n, Q, …), (n, K, …), (n, K, d) → (n, Q, d).

    Args:
        seen: (n, 1 or h, 1 or Q, K) bool. Who sees nothing gets 0.
    """
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    if seen is None:
        found = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    else:
        some = seen.any(-1, keepdim=True)
        found = F.scaled_dot_product_attention(query, key, value, seen | ~some, dropout_p=dropout) * some
    return found.transpose(1, 2).flatten(2)


def misassigned(query_mask: Tensor, key_mask: Tensor, heads: int) -> Tensor:
    """What upstream's code hides besides padding: (n, h, Q, K), True is hidden.

    It hides padded keys from padded queries, which would change nothing that counts. But the masks of the batch are
    stacked head by head, and read item by item: entry b·h + i, for item b and head i, is that of item (b·h + i) mod n.
    """
    items = len(query_mask)
    whose = torch.arange(items * heads, device=query_mask.device).view(items, heads) % items
    return ~query_mask[whose][..., None] & ~key_mask[whose][..., None, :]


class Attention(nn.Module):
    """Multi-head attention with the parameters of torch's MultiheadAttention."""

    def __init__(self, dimension: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dimension, dimension))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dimension))
        self.out_proj = nn.Linear(dimension, dimension)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        seen: Tensor,
        queries: Ragged | None = None,
        keys: Ragged | None = None,
    ) -> Tensor:
        """What queries (n, Q, d) find.

        Args:
            queries, keys: how these would be padded, if they come one after the other (N, d); so does what is found.
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        query, key, value = map(F.linear, (query, key, value), weights, biases)
        if queries is not None:
            query = queries.pad(query)
        if keys is not None:
            key, value = keys.pad(key), keys.pad(value)
        found = attend(query, key, value, self.heads, seen, self.dropout if self.training else 0.0)
        projected: Tensor = self.out_proj(found if queries is None else queries.take(found))
        return projected


class ProjectedAttention(nn.Module):
    """Attention of queries, keys and values that are projected already; query and key may be wider than value."""

    def __init__(self, dimension: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.out_proj = nn.Linear(dimension, dimension)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None = None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        found: Tensor = self.out_proj(attend(query, key, value, self.heads, seen, dropout))
        return found
