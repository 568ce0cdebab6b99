"""The processes that torchrun started → who does which batch, and sums over all of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pipeline_lib.core import device
from pipeline_lib.core.errors import UserError

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # how long processes wait for the one that validates


@dataclass(frozen=True)
class Ranks:
    """This process's number among `size` processes that train together."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that validates, logs and writes."""
        return self.rank == 0

    def mine(self, batches: range) -> range:
        """The part of an optimiser step's batches that this process does."""
        return batches[self.rank :: self.size]

    def sum_gradients(self, net: nn.Module) -> None:
        """Replace every gradient by its sum over the processes; one that a process has none of counts as zero."""
        if self.size == 1:
            return
        for parameter in net.parameters():
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                dist.all_reduce(parameter.grad)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def same_start(self, net: nn.Module) -> None:
        """Give every process the first one's parameters and buffers."""
        if self.size > 1:
            for value in net.state_dict().values():
                dist.broadcast(value, 0)

    def share(self, value: T) -> T:
        """The first process's value, in every process."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, 0)
        return box[0]


@contextmanager
def together(wanted: str) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the processes that torchrun started, if it did, and yield this one's number and device.

    Under torchrun every process takes the GPU of its local number; with `wanted` = cpu they meet over gloo.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield Ranks(), device.choose(wanted)
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = wanted.startswith("cuda") or (wanted == "auto" and torch.cuda.is_available())
    if on_gpu and local >= torch.cuda.device_count():
        raise UserError(
            f"{os.environ.get('LOCAL_WORLD_SIZE', local + 1)} training processes but {torch.cuda.device_count()} GPUs "
            "here; lower training.processes or set features.device: cpu"
        )
    where = device.choose(f"cuda:{local}" if on_gpu else "cpu")
    if on_gpu:
        torch.cuda.set_device(where)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size()), where
    finally:
        dist.destroy_process_group()
