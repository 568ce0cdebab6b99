"""Rows of items of different lengths: one after the other, as most layers compute them, or padded, as attention wants them."""

from typing import NamedTuple

from torch import Tensor


class Ragged(NamedTuple):
    """Which entries of a padded tensor (n, L) there are."""

    items: int
    width: int
    places: Tensor  # (N,) int64, into n · L

    @classmethod
    def of(cls, mask: Tensor) -> "Ragged":
        """Those that a mask (n, L) says."""
        items, width = mask.shape
        return cls(items, width, mask.flatten().nonzero()[:, 0])

    def pad(self, x: Tensor) -> Tensor:
        """(N, …) → (n, L, …), 0 elsewhere."""
        empty = x.new_zeros(self.items * self.width, *x.shape[1:])
        return empty.index_copy(0, self.places, x).unflatten(0, (self.items, self.width))

    def take(self, x: Tensor) -> Tensor:
        """(n, L, …) → (N, …)."""
        return x.flatten(0, 1).index_select(0, self.places)
