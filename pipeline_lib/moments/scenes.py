"""Masked rows → packed rows, and what a sentence is reconstructed from: its video, or the pieces of its film."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pipeline_lib.moments.batch import Batch


class Packed(NamedTuple):
    """Which rows (n, K) of L there are, in order, and which of these entries count (n, K)."""

    places: Tensor
    mask: Tensor

    def take(self, x: Tensor) -> Tensor:
        """Of rows (n, L, …) those (n, K, …)."""
        return x[torch.arange(len(x), device=x.device)[:, None], self.places]


def pack(mask: Tensor) -> Packed:
    """The rows of each item that `mask` (n, L) keeps, moved to the front; at least one entry wide."""
    count = mask.sum(1)
    width = max(int(count.max()), 1)
    places = mask.byte().argsort(dim=1, descending=True, stable=True)[:, :width]
    return Packed(places, torch.arange(width, device=mask.device) < count[:, None])


class Queries(NamedTuple):
    """Where queries stand in their groups."""

    group: Tensor  # (n,) int64
    slot: Tensor  # (n,) int64: which of its group

    @classmethod
    def of(cls, groups: Tensor) -> "Queries":
        """Of groups of these sizes."""
        group = torch.repeat_interleave(groups)
        first = groups.cumsum(0) - groups
        return cls(group, torch.arange(len(group), device=groups.device) - first[group])


class Scenes(NamedTuple):
    """Rows that sentences are reconstructed from, S of them."""

    rows: Tensor  # (S, K) int64, into the rows of all videos one after the other
    mask: Tensor  # (S, K) bool
    of_query: Tensor  # (n,) int64


def scenes(batch: Batch, queries: Queries, context: Literal["video", "film"]) -> Scenes:
    """The scene of each query: its video; or the videos of its group's queries one after the other, once per query."""
    videos, length = batch.video_mask.shape
    places = torch.arange(videos * length, device=batch.video_mask.device).view(videos, length)
    if context == "video":
        return Scenes(places, batch.video_mask, batch.of_video)
    shape = (len(batch.groups), int(batch.groups.max()), length)
    rows = places.new_zeros(shape)
    mask = torch.zeros(shape, dtype=torch.bool, device=places.device)
    rows[queries.group, queries.slot] = places[batch.of_video]
    mask[queries.group, queries.slot] = batch.video_mask[batch.of_video]
    rows, mask = rows.flatten(1), mask.flatten(1)
    packed = pack(mask)
    return Scenes(packed.take(rows), packed.mask, queries.group)
