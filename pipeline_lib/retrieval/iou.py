"""Sets of classes of n rows and m columns → their intersection over union, (n, m), exact."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pipeline_lib.retrieval.labels import Label


@dataclass(frozen=True)
class Sets:
    """Sets as rows of zeros and ones, (sets, classes); `encode` makes them."""

    ones: sparse.csr_array
    sizes: np.ndarray  # (sets,) float64

    def __getitem__(self, rows: slice | np.ndarray) -> "Sets":
        """Some of the sets."""
        return Sets(self.ones[rows], self.sizes[rows])


def encode(*groups: Sequence[Iterable[Label]]) -> list[Sets]:
    """Groups of sets that are to be compared with each other, over one vocabulary; repeats in a set count once."""
    vocabulary: dict[Label, int] = {}
    found = []
    for group in groups:
        members = [sorted({vocabulary.setdefault(label, len(vocabulary)) for label in one}) for one in group]
        found.append(members)
    return [_sets(members, len(vocabulary)) for members in found]


def _sets(members: Sequence[Collection[int]], classes: int) -> Sets:
    sizes = np.fromiter(map(len, members), dtype=np.int64, count=len(members))
    columns = np.fromiter((one for some in members for one in some), dtype=np.int32, count=int(sizes.sum()))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    ones = np.ones(len(columns), np.float32)  # whole numbers below 2²⁴ are exact
    return Sets(sparse.csr_array((ones, columns, starts), shape=(len(members), max(classes, 1))), sizes.astype(float))


def iou(rows: Sets, columns: Sets) -> np.ndarray:
    """|A ∩ B| / |A ∪ B| of every row A and column B, (n, m) float64; two empty sets have 0, as upstream."""
    common = (rows.ones @ columns.ones.T).toarray().astype(np.float64)
    union = rows.sizes[:, None] + columns.sizes[None, :]
    union -= common
    np.maximum(union, 1.0, out=union)
    common /= union
    return common


def mean_iou(rows: Sequence[Sets], columns: Sequence[Sets]) -> np.ndarray:
    """Mean over parts of speech (verbs and nouns, or words alone) of the IoU, (n, m) float64."""
    found = iou(rows[0], columns[0])
    for own, other in zip(rows[1:], columns[1:], strict=True):
        found += iou(own, other)
    found /= len(rows)
    return found
