"""Saliency of rows → its loss: relevant rows above others, and above a video's rows under another video's sentence."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.config.moments_model import Loss

LEVELS = 11  # of relevance, 1 to 11; labels are sums of three annotators' 0 to 4 (QVHighlights), or 0 and 1
TEMPERATURE = 0.5
_ABSENT = -2e3  # score of a row that isn't there


def ranks(scores: Tensor, others: Tensor, labels: Tensor, mask: Tensor, divisor: float) -> Tensor:
    """Rank-contrastive: for each level, rows labelled as high against all of the video's rows, of both sentences.

    A query without a row as high adds nothing to that level. Sum over the levels, mean over the queries, / `divisor`.

    Args:
        scores: (n, L), with the video's own sentence.
        others: (n, L), with another's.
        labels: (n, L).
        mask: (2, n, L): which of either there are.
    """
    there = torch.cat(tuple(mask), 1)
    both = (torch.cat((scores, others), 1) / TEMPERATURE).masked_fill(~there, _ABSENT)
    likely = both.log_softmax(1)[:, : scores.shape[1]]
    level = torch.arange(1, LEVELS + 1, device=labels.device)[:, None, None]
    high = (labels >= level) & mask[0]  # (levels, n, L)
    mean = (likely * high).sum(-1) / high.sum(-1).clamp(min=1)
    return -mean.mean(1).sum() / divisor


def unlike(others: Tensor, mask: Tensor) -> Tensor:
    """Rows shall not be salient for another video's sentence: -log(1 - sigmoid), summed over rows, mean over queries."""
    return (F.softplus(others) * mask).sum(1).mean()


def triplets(scores: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Drawn rows (n, P) shall score above others by the margin; twice the mean, as published."""
    return 2 * (margin + scores.gather(1, negative) - scores.gather(1, positive)).clamp(min=0).mean()


def loss(
    scores: Tensor, others: Tensor, mask: Tensor, other_mask: Tensor, labels: Tensor, drawn: tuple[Tensor, Tensor],
    options: Loss,
) -> Tensor:  # fmt: skip
    """The sum of the three.

    Args:
        other_mask: (n, L): rows that have a score with another sentence; none where the batch has no other video.
        drawn: rows (n, P) of triplets, positive and negative.
    """
    found = ranks(scores, others, labels, torch.stack((mask, other_mask)), options.rank_coef) + unlike(
        others, other_mask
    )
    return found + triplets(scores, *drawn, options.margin) if options.triplet else found
