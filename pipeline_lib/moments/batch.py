"""What data and network of moment retrieval agree on: queries of some videos, and what training wants of them.

V: videos, n: queries, G: groups, Lv: rows of the longest video, Lw: words of the longest sentence, M: most moments of a query.
"""

from typing import NamedTuple

from torch import Tensor


class Targets(NamedTuple):
    """What the queries of a batch should find, and what was drawn for this step."""

    moments: Tensor  # (n, M, 2) float32: start and end, fractions of the video; rows beyond a query's moments are 0
    moments_mask: Tensor  # (n, M) bool
    inside: Tensor  # (n, Lv) bool: rows of the video that belong to a moment
    saliency: Tensor  # (n, Lv) float32: 0 or 1, or QVHighlights' sum over annotators, 0 to 12
    positive: Tensor  # (n, 2) int64: rows that should be more salient than …
    negative: Tensor  # (n, 2) int64: … these, for the triplet loss
    labels: Tensor  # (n, Lw) int64: class of each word for masked-word reconstruction
    unknown: Tensor  # (n, Lw) bool: words without a class of their own, replaced by a learned vector
    masked: Tensor  # (n, Lw) bool: words to be reconstructed
    others: Tensor  # (n,) int64: a query of another group for each query, whose words don't fit the video; -1: there is none


class Batch(NamedTuple):
    """Queries, grouped: those of a group belong to one video (QVHighlights: to pieces of one film) and stand in order of time."""

    video: Tensor  # (V, Lv, video dim) float32, each video once; 0 beyond its end
    video_mask: Tensor  # (V, Lv) bool
    of_video: Tensor  # (n,) int64: the video of each query
    groups: Tensor  # (G,) int64: how many queries, one after the other, each group has; sums to n
    words: Tensor  # (n, Lw, word dim) float32, 0 beyond the end
    words_mask: Tensor  # (n, Lw) bool
    sentences: Tensor  # (n, word dim) float32: mean of the words
    targets: Targets | None = None  # only in training
