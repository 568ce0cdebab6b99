"""Nodes of role graphs and their edges → nodes that know their neighbours: the graph network of HGR (specs: ranp §3).

Entries of the state dict are those of upstream's t2vretrieval.encoders.graph.
"""

import math

import torch
from torch import Tensor, nn


class GCNLayer(nn.Module):
    """x → LayerNorm(x + dropout(W · neighbours)), neighbours averaged by `weights`."""

    def __init__(self, dimension: int, dropout: float) -> None:
        super().__init__()
        self.ctx_layer = nn.Linear(dimension, dimension, bias=False)
        self.layernorm = nn.LayerNorm(dimension)
        self.dropout = nn.Dropout(dropout)

    def weights(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """(B, N, N): how much of node `source` node `target` takes; all neighbours alike."""
        return edges / edges.sum(2, keepdim=True).clamp(min=1)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Nodes (B, N, D), edges (B, N, N) of 0 and 1 as [target, source] → (B, N, D)."""
        context = torch.bmm(self.weights(nodes, edges).to(nodes.dtype), nodes)
        return self.layernorm(nodes + self.dropout(self.ctx_layer(context)))


class AttnGCNLayer(GCNLayer):
    """The same with neighbours weighted by attention; a node without any takes nothing."""

    def __init__(self, dimension: int, dropout: float) -> None:
        super().__init__(dimension, dropout)
        self.edge_attn_query = nn.Linear(dimension, dimension // 2)
        self.edge_attn_key = nn.Linear(dimension, dimension // 2)
        self.scale = math.sqrt(dimension // 2)

    def weights(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """(B, N, N): softmax over the neighbours of each node."""
        scores = torch.bmm(self.edge_attn_query(nodes), self.edge_attn_key(nodes).transpose(1, 2)).float() / self.scale
        none = edges == 0
        return scores.masked_fill(none, -1e18).softmax(2).masked_fill(none, 0)


class GCNEncoder(nn.Module):
    """Some layers, one after the other."""

    def __init__(self, dimension: int, layers: int, attention: bool, dropout: float) -> None:
        super().__init__()
        kind = AttnGCNLayer if attention else GCNLayer
        self.layers = nn.ModuleList(kind(dimension, dropout) for _ in range(layers))

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Nodes (B, N, D), edges (B, N, N) → (B, N, D)."""
        for layer in self.layers:
            nodes = layer(nodes, edges)
        return nodes
