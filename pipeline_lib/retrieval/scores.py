"""Embedded videos and captions → how well each goes with each, (videos, captions), per level (specs: ranp §3)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pipeline_lib.retrieval.encoders import Texts, Videos

TINY = 1e-18  # added to squared lengths, as upstream
Fusion = Literal["embed", "sim"]


class Scores(NamedTuple):
    """Similarities of three levels, each (videos, captions)."""

    sentence: Tensor
    verbs: Tensor
    nouns: Tensor

    @property
    def fused(self) -> Tensor:
        """Their mean, which ranks."""
        return (self.sentence + self.verbs + self.nouns) / 3


def score(videos: Videos, texts: Texts, sharpness: float, fusion: Fusion) -> Scores:
    """All levels, in float32 whatever the precision of the embeddings."""
    with torch.autocast(videos.sentence.device.type, enabled=False):
        return Scores(
            cosines(videos.sentence.float(), texts.sentence.float()),
            phrases(videos.verbs.float(), videos.mask, texts.verbs.float(), texts.verb_mask, sharpness, fusion),
            phrases(videos.nouns.float(), videos.mask, texts.nouns.float(), texts.noun_mask, sharpness, fusion),
        )


def lengths(rows: Tensor) -> Tensor:
    """Euclidean length of each row, never 0."""
    return (rows.square().sum(-1) + TINY).sqrt()


def cosines(rows: Tensor, columns: Tensor) -> Tensor:
    """(n, D) and (m, D) → (n, m)."""
    return rows @ columns.T / (lengths(rows)[:, None] * lengths(columns))


def phrases(
    frames: Tensor, frame_mask: Tensor, nodes: Tensor, node_mask: Tensor, sharpness: float, fusion: Fusion = "embed"
) -> Tensor:
    """Mean over a caption's phrases of how well the video shows each.

    A phrase attends to the frames like it; `embed` compares it with their weighted sum Σ aᵢ xᵢ. Its dot product with the phrase
    is Σ aᵢ (xᵢ · p) and its squared length aᵀ X Xᵀ a, so that the sums themselves, (videos, captions, phrases, D), are never
    made: upstream's step spends most of its time on them. Phrases that aren't there aren't scored.

    Args:
        frames: (V, F, D); frame_mask: (V, F).
        nodes: (C, P, D); node_mask: (C, P).

    Returns:
        (V, C); 0 for captions without phrases.
    """
    count, size, _ = frames.shape
    owner = node_mask.nonzero()[:, 0]
    if not len(owner):
        return frames.new_zeros(count, len(nodes))
    found = nodes[node_mask]  # (n, D)
    dots = (frames.flatten(0, 1) @ found.T).view(count, size, -1)
    cosine = dots / (lengths(frames)[..., None] * lengths(found))
    pad = ~frame_mask[..., None]
    like = cosine.masked_fill(pad, 0).clamp(min=0)
    like = like / torch.linalg.vector_norm(like, dim=1, keepdim=True).clamp(min=1e-10)
    attention = (sharpness * like).masked_fill(pad, -1e18).softmax(1)
    if fusion == "sim":
        shown = (cosine * attention).sum(1)
    else:
        squared = (attention * torch.bmm(torch.bmm(frames, frames.transpose(1, 2)), attention)).sum(1)
        norms = squared.clamp(min=1e-20).sqrt() * torch.linalg.vector_norm(found, dim=1).clamp(min=1e-10)
        shown = (attention * dots).sum(1) / norms
    mean = torch.zeros(len(found), len(nodes), device=frames.device)
    mean[torch.arange(len(found), device=frames.device), owner] = 1 / node_mask.sum(1).float()[owner]
    return shown @ mean
