"""Embeddings of matching clips, sentences and objects → the loss that pulls them together (§4).

Row i of every input belongs to pair i. The pairs of a step come from one video (as published) or from several; all other
pairs of the step are negatives.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.config.coref import CorefTraining


def mil_nce(anchors: Tensor, candidates: Tensor, temperature: float = 1.0) -> Tensor:
    """MIL-NCE (Miech et al., CVPR 2020): any of the K candidates of a pair may be the match.

    With x[i,j,k] = anchor_i · candidate_jk / temperature, the mean over i of
    logsumexp_{j,k}(x[i,j,k], x[j,i,k]) - logsumexp_k x[i,i,k]; the positives stand twice in the first term, as upstream.

    Args:
        anchors: (B, D).
        candidates: (B, K, D).
    """
    x = torch.einsum("id,jkd->ijk", anchors, candidates) / temperature
    both_ways = torch.cat([x, x.transpose(0, 1)], dim=1).flatten(1)
    positive = x.diagonal().T  # (B, K)
    return (both_ways.logsumexp(1) - positive.logsumexp(1)).mean()


def max_margin(similarity: Tensor, margin: float, weights: Tensor | None = None) -> Tensor:
    """Max-margin ranking loss, mean over all B² entries; the diagonal adds the constant 2·margin/B, as upstream.

    Args:
        similarity: (B, B), sentence i with clip j.
        weights: (B, B) of the entries, see `negative_weights`.
    """
    positive = similarity.diagonal()
    loss = F.relu(margin + similarity - positive[:, None]) + F.relu(margin + similarity - positive[None, :])
    return (loss if weights is None else loss * weights).mean()


def negative_weights(videos: Tensor, hard_negative_rate: float) -> Tensor | None:
    """Weights (B, B) that make pairs of the same video a share `hard_negative_rate` of all negatives' weight.

    With b videos and h the rate: b·h within a video, b·h·a between videos, a = (1-h) / ((b-1)·h). None for a single video,
    where upstream divides by zero (§ trap 3).

    Args:
        videos: (B,) index of the video of each pair.
    """
    b = len(videos.unique())
    if b < 2:
        return None
    a = (1 - hard_negative_rate) / ((b - 1) * hard_negative_rate)
    same = (videos[:, None] == videos[None, :]).to(torch.float32)
    return b * hard_negative_rate * (same + a * (1 - same))


def terms(video: Tensor, text: Tensor, objects: Tensor, videos: Tensor, options: CorefTraining) -> dict[str, Tensor]:
    """The loss of one step and its two terms: sentences with objects by MIL-NCE, sentences with clips as `options.loss` says.

    The temperature divides the logits of MIL-NCE; the margin is in units of cosine and knows none.

    Args:
        video, text: (B, D). objects: (B, K, D).
        videos: (B,) index of the video of each pair.
    """
    text_object = mil_nce(text, objects, options.temperature)
    if options.loss == "nce_video_text+nce_text_object":  # upstream's public mil_loss_b.py
        text_video = mil_nce(video, text[:, None], options.temperature)
    else:
        weights = negative_weights(videos, options.hard_negative_rate) if options.negative_weighting else None
        text_video = max_margin(text @ video.T, options.margin, weights)
    total = options.weight_video * text_video + options.weight_objects * text_object
    return {"loss": total, "loss_text_video": text_video, "loss_text_object": text_object}
