"""The scores of a query's items → the ranks of those that count, without putting the others in order."""

import numpy as np

_CELLS = 2**22  # comparisons at once, in breaking ties


class Ranking:
    """Ranks from 0 by falling score; of equal scores the first item comes first, as in a stable sort.

    Sorting scores without their places is several times as fast as an argsort, and metrics ask for few places.
    """

    def __init__(self, scores: np.ndarray) -> None:
        """
        Args:
            scores: (items,) real numbers without NaN.
        """
        self.scores = scores
        self._rising = np.sort(scores)

    def of(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Items in the order of their ranks.

        Args:
            items: (k,) places, rising.

        Returns:
            items, their ranks rising, and those of the items whose score another item has too, each (k or fewer,) of int64.
        """
        own = self.scores[items]
        by = np.argsort(-own)
        above = np.searchsorted(self._rising, own[by], side="right")  # items with this score or a lower one
        shared = (above > 1) & (self._rising[above - 2] == own[by])
        ranks = len(self.scores) - above
        if not shared.any():
            return items[by], ranks, items[:0]
        group = by[shared]  # equal scores are neighbours, in any order
        by[shared] = group[np.lexsort((group, -own[group]))]
        tied = items[by[shared]]
        ranks[shared] += self._equal_before(tied)
        return items[by], ranks, tied

    def _equal_before(self, items: np.ndarray) -> np.ndarray:
        """How many items before each of these have the same score."""
        count = len(self.scores)
        if len(items) * count > _CELLS:
            order = np.argsort(-self.scores, kind="stable")
            places = np.empty(count, np.int64)
            places[order] = np.arange(count)
            first = count - np.searchsorted(self._rising, self.scores[items], side="right")
            return places[items] - first
        equal = self.scores[None, :] == self.scores[items, None]
        equal &= np.arange(count) < items[:, None]
        return np.count_nonzero(equal, axis=1)

    def mixed(self, tied: np.ndarray, values: np.ndarray) -> bool:
        """Whether items of equal score have different `values` (items,), given the tied ones with a value above 0."""
        return any((values[self.scores == self.scores[item]] != values[item]).any() for item in tied)
