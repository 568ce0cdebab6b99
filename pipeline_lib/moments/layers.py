"""Layers that several parts of MESM are made of; parameter names are upstream's."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Dropout; on a CPU out of uniform numbers, in half the time that torch's own takes there."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.share)
        kept = torch.rand(x.shape).ge_(self.share).mul_(1 / (1 - self.share))
        return x * kept.to(x.dtype)


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(one, other) for one, other in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        *first, last = self.layers
        for layer in first:
            x = layer(x).relu()
        found: Tensor = last(x)
        return found


class InputLayer(nn.Module):
    """Layer norm, dropout, a linear layer, and maybe ReLU."""

    def __init__(self, incoming: int, outgoing: int, dropout: float, relu: bool) -> None:
        super().__init__()
        self.relu = relu
        self.LayerNorm = nn.LayerNorm(incoming)
        self.net = nn.Sequential(Dropout(dropout), nn.Linear(incoming, outgoing))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(self.LayerNorm(x))
        return found.relu() if self.relu else found


def projection(incoming: int, dimension: int, dropout: float, layers: int, *, relu_at_end: bool) -> nn.Sequential:
    """Input layers, ReLU between them."""
    sizes = (incoming, *[dimension] * (layers - 1))
    return nn.Sequential(
        *(InputLayer(size, dimension, dropout, relu_at_end or i < layers - 1) for i, size in enumerate(sizes))
    )


def placed(x: Tensor, position: Tensor | None) -> Tensor:
    """`x` with its position added, if it has any."""
    return x if position is None else x + position


def feed(
    x: Tensor, widen: nn.Module, activation: Callable[[Tensor], Tensor], dropout: nn.Module, narrow: nn.Module
) -> Tensor:
    """A feed-forward with dropout of its hidden layer."""
    found: Tensor = narrow(dropout(activation(widen(x))))
    return found


def xavier(module: nn.Module) -> None:
    """Draw every weight matrix anew, as upstream does for its encoders and transformer."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
