"""A task small enough to follow: a line with dropout, fitted to points that are functions of (seed, epoch, index)."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline_lib.core import device


class Line:
    """y = 3 x₀ - 2 x₁; eight batches of four points an epoch; val_score is minus the squared error of the weights."""

    metric = "val_score"

    def __init__(self, at_batch=lambda epoch, index: None) -> None:
        torch.manual_seed(5)
        self.net = nn.Sequential(nn.Dropout(0.25), nn.Linear(2, 1))
        self.at_batch = at_batch  # what happens while a batch is made
        self.made: list[tuple[int, int]] = []

    def batches(self, epoch):
        return 8

    def batch(self, epoch, index):
        self.made.append((epoch, index))
        self.at_batch(epoch, index)
        x = np.random.default_rng([epoch, index]).normal(size=(4, 2)).astype("f4")
        return torch.from_numpy(x), torch.from_numpy(x @ np.array([[3.0], [-2.0]], "f4"))

    def losses(self, batch):
        x, y = batch
        loss = (self.net(x) - y).square().mean()
        return {"loss": loss, "loss_half": loss / 2}

    def validate(self):
        weights = self.net[1].weight.detach()[0]
        return {"val_score": -float((weights - torch.tensor([3.0, -2.0])).square().sum())}


@pytest.fixture(autouse=True)
def one_thread():
    device.deterministic()


@pytest.fixture
def line():
    return Line
