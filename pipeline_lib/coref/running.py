"""Rows of features, some at a time → their mean and deviation per dimension, without holding them all.

Parts are joined as in Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
(1979), in float64.
"""

import numpy as np


class Running:
    """Moments of all rows that were added.

    Attributes:
        mean: (dim,) float64.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self._squares = np.zeros(0)  # sum of squared differences from the mean

    def add(self, rows: np.ndarray) -> None:
        """Add rows (n, dim)."""
        if not len(rows):
            return
        mean = rows.mean(axis=0, dtype=np.float64)
        squares = np.square(rows - mean).sum(axis=0)
        if not self.count:
            self.count, self.mean, self._squares = len(rows), mean, squares
            return
        total = self.count + len(rows)
        apart = mean - self.mean
        self._squares = self._squares + squares + apart**2 * (self.count * len(rows) / total)
        self.mean = self.mean + apart * (len(rows) / total)
        self.count = total

    def deviation(self) -> np.ndarray:
        """(dim,) float32; 1 of a dimension that never varies, so that dividing by it changes nothing."""
        deviation = np.sqrt(self._squares / self.count)
        return np.where(deviation > 1e-6 * np.abs(self.mean) + 1e-12, deviation, 1.0).astype(np.float32)
