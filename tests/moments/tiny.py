"""A small network of MESM and a batch for it: two videos, a group of two sentences and one of one."""

import torch

from pipeline_lib.config.moments_model import Model
from pipeline_lib.moments.batch import Batch, Targets

VIDEO, WORD, CLASSES = 6, 5, 9
OPTIONS = Model(dimension=16, heads=4, feedforward=24, queries=3, max_words=4)
NO_DROPOUT = OPTIONS.model_copy(update={"dropout": 0.0, "input_dropout": 0.0})


def mask(lengths, width):
    return torch.arange(width) < torch.tensor(lengths)[:, None]


def padded(lengths, width, dimension):
    """Random numbers, those of an item the same whatever the others are."""
    found = torch.zeros(len(lengths), width, dimension)
    for i, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(100 * i + dimension)
        found[i, :length] = torch.randn(length, dimension, generator=generator)
    return found


def batch(rows=(5, 3), words=(4, 2, 3), width=None, moments=1):
    """Random numbers; `width`: of the padded rows."""
    video_mask, words_mask = mask(rows, width or max(rows)), mask(words, max(words))
    video, text = padded(rows, video_mask.shape[1], VIDEO), padded(words, words_mask.shape[1], WORD)
    of_video = torch.tensor([0, 0, 1])
    starts = torch.tensor([[0.0, 0.4], [0.4, 1.0], [0.0, 2 / 3]])
    spread = torch.zeros(3, moments, 2)
    spread[:, 0] = starts
    there = torch.zeros(3, moments, dtype=torch.bool)
    there[:, 0] = True
    if moments > 1:
        spread[0, 1], there[0, 1] = torch.tensor([0.6, 0.8]), True
    place = (torch.arange(video_mask.shape[1]) + 0.5) / torch.tensor(rows)[of_video, None]
    inside = ((place[:, None] >= spread[..., :1]) & (place[:, None] < spread[..., 1:])).any(1) & video_mask[of_video]
    targets = Targets(
        moments=spread,
        moments_mask=there,
        inside=inside,
        saliency=inside.float(),
        positive=inside.byte().argmax(1)[:, None].repeat(1, 2),
        negative=inside.byte().argmin(1)[:, None].repeat(1, 2),
        labels=torch.arange(words_mask.numel()).view(words_mask.shape) % CLASSES * words_mask,
        unknown=torch.zeros_like(words_mask),
        masked=torch.arange(words_mask.shape[1]).eq(1).expand(words_mask.shape) & words_mask,
        others=torch.tensor([2, 2, 0]),
    )
    sentences = text.sum(1) / words_mask.sum(1, keepdim=True)
    return Batch(video, video_mask, of_video, torch.tensor([2, 1]), text, words_mask, sentences, targets)
