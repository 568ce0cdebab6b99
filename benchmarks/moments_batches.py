"""Sizes → generated batches of moment retrieval, as the data side would make them."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.moments.batch import Batch, Targets


class Sizes(NamedTuple):
    """Of a batch; pairs are ranges, both ends included.

    Attributes:
        pieces: QVHighlights: queries of a group belong to so many different videos at least; else to one.
        moments: of a query.
    """

    groups: int
    queries: tuple[int, int]
    rows: tuple[int, int]
    words: tuple[int, int]
    video_dim: int
    word_dim: int
    classes: int
    pieces: bool = False
    moments: tuple[int, int] = (1, 1)


def generate(sizes: Sizes, seed: int) -> Batch:
    """A batch with targets."""
    random = np.random.default_rng(seed)

    def between(limits: tuple[int, int], count: int) -> Tensor:
        return torch.from_numpy(random.integers(limits[0], limits[1] + 1, count))

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(random.normal(size=shape).astype(np.float32))

    groups = between(sizes.queries, sizes.groups)
    group = torch.repeat_interleave(groups)
    count = len(group)
    of_video = group
    if sizes.pieces:  # a video each, but for the second query of every third group
        first = groups.cumsum(0) - groups
        slot = torch.arange(count) - first[group]
        of_video = (~((slot == 1) & (group % 3 == 0))).long().cumsum(0) - 1
    videos = int(of_video.max()) + 1
    lengths = between(sizes.rows, videos)
    video_mask = torch.arange(int(lengths.max())) < lengths[:, None]
    word_counts = between(sizes.words, count)
    words_mask = torch.arange(int(word_counts.max())) < word_counts[:, None]
    words = F.normalize(normal(*words_mask.shape, sizes.word_dim), dim=-1) * words_mask[..., None]
    video = torch.cat((F.normalize(normal(*video_mask.shape, sizes.video_dim - 2), dim=-1), ends(lengths)), -1)
    targets = draw_targets(sizes, random, lengths[of_video], words_mask, group)
    sentences = F.normalize(words.sum(1) / word_counts[:, None], dim=-1)
    return Batch(video * video_mask[..., None], video_mask, of_video, groups, words, words_mask, sentences, targets)


def ends(lengths: Tensor) -> Tensor:
    """Temporal endpoint features (V, L, 2)."""
    start = torch.arange(int(lengths.max())) / lengths[:, None]
    return torch.stack((start, start + 1 / lengths[:, None]), -1)


def draw_targets(
    sizes: Sizes, random: np.random.Generator, lengths: Tensor, words_mask: Tensor, group: Tensor
) -> Targets:
    """Moments in different parts of the video, masked words and words of other videos."""
    count, longest = len(lengths), int(lengths.max())
    most = sizes.moments[1]
    moments = torch.zeros(count, most, 2)
    moments_mask = torch.zeros(count, most, dtype=torch.bool)
    inside = torch.zeros(count, longest, dtype=torch.bool)
    saliency = torch.zeros(count, longest)
    masked = torch.zeros_like(words_mask)
    positive, negative = torch.zeros(2, count, 2, dtype=torch.int64)
    others = torch.zeros(count, dtype=torch.int64)
    for i in range(count):
        length = int(lengths[i])
        many = int(random.integers(sizes.moments[0], most + 1))
        cuts = torch.from_numpy(np.sort(random.choice(np.arange(length + 1), 2 * many, replace=False))).float()
        moments[i, :many] = cuts.view(-1, 2) / length
        moments_mask[i, :many] = True
        for start, end in cuts.view(-1, 2).long():
            inside[i, start:end] = True
        high = 12 if most > 1 else 1
        saliency[i, inside[i]] = torch.from_numpy(random.integers(1, high + 1, int(inside[i].sum()))).float()
        positive[i] = torch.from_numpy(random.choice(inside[i].nonzero()[:, 0].numpy(), 2))
        outside = (~inside[i, :length]).nonzero()[:, 0].numpy()
        negative[i] = torch.from_numpy(random.choice(outside if len(outside) else np.array([0]), 2))
        there = int(words_mask[i].sum())
        if there > 1:
            masked[i, random.choice(there, max(there // 3, 1), replace=False)] = True
        others[i] = int(random.choice((group != group[i]).nonzero()[:, 0].numpy()))
    if len(moments) > 1 and group[0] == group[1]:
        moments[1] = moments[0]  # a moment with two sentences, which share their words as positives
        moments_mask[1], inside[1], saliency[1] = moments_mask[0], inside[0], saliency[0]
    labels = torch.from_numpy(random.integers(0, sizes.classes, words_mask.shape)) * words_mask
    unknown = torch.from_numpy(random.random(words_mask.shape) < 0.1) & words_mask
    return Targets(moments, moments_mask, inside, saliency, positive, negative, labels, unknown, masked, others)
