"""Similarities of a batch and how relevant its captions are to its videos → the loss (specs: ranp §2).

s[i, j] is the similarity of video i and caption j; (i, i) belong together; R their relevance, τ the threshold. Falcon et al.,
"Learning video retrieval models with relevance-aware online mining" (ICIAP 2022). For a query i, here a video:

    contrastive     the hardest of relu(m + s_ij - s_ii) over all j ≠ i
    ran             … over those with R_ij < τ: what is relevant is no negative
    ranp            ran + the hardest of relu(m⁺ + s_ij - p_i), p_i the lowest s_ij of those with R_ij ≥ τ, j ≠ i
    hard_positives  that second term alone

and the same with captions as queries. Upstream: t2vretrieval/models/criterion.py.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.config.retrieval import RetrievalTraining
from pipeline_lib.retrieval.scores import Scores

MINED = ("ran", "ranp", "hard_positives", "norm_softmax_ranp")  # losses that look at relevance


def terms(scores: Scores, relevance: dict[str, Tensor] | None, options: RetrievalTraining) -> dict[str, Tensor]:
    """The loss of a batch, and what it is made of.

    Args:
        relevance: (B, B) in [0, 1] of `both`, `verbs` and `nouns`; None with a loss that doesn't look at it.
    """

    def of(similarity: Tensor, name: str) -> dict[str, Tensor]:
        return level(similarity, None if relevance is None else relevance[name], options)

    fused = of(scores.fused, "both")
    if options.level_weights is None:
        return fused
    levels = (fused, of(scores.sentence, "both"), of(scores.verbs, "verbs"), of(scores.nouns, "nouns"))
    weighted = [weight * found["loss"] for weight, found in zip(options.level_weights, levels, strict=True)]
    names = ("loss_fused", "loss_sentence", "loss_verbs", "loss_nouns")
    parts = {name: found["loss"] for name, found in zip(names, levels, strict=True)}
    return {"loss": torch.stack(weighted).sum(), **parts}


def level(scores: Tensor, relevance: Tensor | None, options: RetrievalTraining) -> dict[str, Tensor]:
    """The loss of one matrix of similarities (B, B); `loss` is the sum of the others, where there are others."""
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    positives = own
    if options.loss in MINED:
        if relevance is None:
            raise ValueError(f"loss {options.loss} needs the relevance of the batch")
        positives = own | (relevance >= options.threshold)
    if options.loss == "norm_softmax":
        return {"loss": norm_softmax(scores, options.temperature)}
    if options.loss == "norm_softmax_ranp":
        return {"loss": norm_softmax_ranp(scores, positives, options)}
    if options.loss == "hard_positives":
        return {"loss": both_ways(hard_positive, scores, positives, options)}
    base = both_ways(contrastive, scores, positives, options)
    if options.loss != "ranp":
        return {"loss": base}
    mined = both_ways(hard_positive, scores, positives, options)
    return {"loss": base + mined, "loss_pairs": base, "loss_positives": mined}


OneWay = Callable[[Tensor, Tensor, RetrievalTraining], Tensor]


def both_ways(one: OneWay, scores: Tensor, positives: Tensor, options: RetrievalTraining) -> Tensor:
    """`one` of rows as queries, of columns, or their sum."""
    found = []
    if options.direction != "text_to_video":
        found.append(one(scores, positives, options))
    if options.direction != "video_to_text":
        found.append(one(scores.T, positives.T, options))
    return torch.stack(found).sum()


def contrastive(scores: Tensor, positives: Tensor, options: RetrievalTraining) -> Tensor:
    """Rows are queries; what is in `positives` (B, B), the pairs themselves included, is no negative."""
    pair = scores.diagonal()[:, None]
    left_out = positives | (scores > pair) if options.semi_hard else positives
    return reduce((options.margin + scores - pair).clamp(min=0).masked_fill(left_out, 0), options).sum()


def hard_positive(scores: Tensor, positives: Tensor, options: RetrievalTraining) -> Tensor:
    """Rows are queries: their hardest positives other than the pair shall score above every negative.

    With hard_topk = k the k hardest positives each meet the k hardest negatives, and the mean over those positives counts
    (upstream works for k = 1 only). A query with no such positive adds nothing, or counts as one whose positive scores 1
    (`published`).
    """
    hardest, there = hardest_positives(scores, positives, options.hard_topk)
    if options.without_positive == "published":
        first = torch.arange(hardest.shape[1], device=scores.device) == 0
        lonely = first & ~there[:, :1]
        hardest, there = hardest.masked_fill(lonely, 1), there | lonely
    cost = (options.margin_positive + scores[:, None] - hardest[..., None]).clamp(min=0)  # (B, k, B)
    found = reduce(cost.masked_fill(positives[:, None] | ~there[..., None], 0), options)
    return (found.sum(1) / there.sum(1).clamp(min=1)).sum()


def hardest_positives(scores: Tensor, positives: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The lowest scores of each row's positives other than the pair, (B, k), and which of them there are; others are 0."""
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    others = scores.masked_fill(~positives | own, torch.inf)
    found = others.topk(min(count, len(scores)), dim=1, largest=False).values
    there = found.isfinite()
    return found.masked_fill(~there, 0), there


def reduce(cost: Tensor, options: RetrievalTraining) -> Tensor:
    """Costs (B, …, B) of each query's negatives, in the last axis → their share of the batch's loss (B, …).

    The mean of the `hard_topk` highest, or of all; divided by the number of queries.
    """
    size = cost.shape[-1]
    if options.max_violation:
        count = min(size, options.hard_topk)
        return cost.topk(count, dim=-1).values.sum(-1) / (count * len(cost))
    return cost.sum(-1) / (len(cost) * max(size - 1, 1))


def norm_softmax(scores: Tensor, temperature: float) -> Tensor:
    """Cross entropy of each pair against the batch, in both directions."""
    return -(log_softmax(scores, temperature).diagonal().mean() + log_softmax(scores.T, temperature).diagonal().mean())


def norm_softmax_ranp(scores: Tensor, positives: Tensor, options: RetrievalTraining) -> Tensor:
    """The same with each query's hardest positive as a further target; the mean is over all targets there are.

    As published, video i is to be found by its hardest caption, among all videos; and caption hᵢ by video i, among all
    captions, where hᵢ is the number of the hardest video of caption i. The second is meant for relevance that is symmetric
    (a batch of captions among themselves, as EPIC-Kitchens'); else hᵢ may be irrelevant to i, and then isn't a target here.
    """
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    others = positives & ~own
    waiting = scores.masked_fill(~others, torch.inf)
    number = torch.arange(len(scores), device=scores.device)
    caption, video = waiting.argmin(1), waiting.argmin(0)
    found = []
    for log_probability, place, there in (
        (log_softmax(scores, options.temperature), (number, video), others.any(0) & others[number, video]),
        (log_softmax(scores.T, options.temperature), (caption, number), others.any(1)),
    ):
        mined = log_probability[place].masked_fill(~there, 0)
        found.append((log_probability.diagonal().sum() + mined.sum()) / (len(scores) + there.sum()))
    return -torch.stack(found).sum()


def log_softmax(scores: Tensor, temperature: float) -> Tensor:
    """Log probabilities over the columns of each row."""
    return F.log_softmax(scores / temperature, dim=1)
