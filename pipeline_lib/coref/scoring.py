"""A network and evaluation items → similarity of every clip with every sentence (§5)."""

from typing import NamedTuple

import numpy as np
import torch

from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.coref.evaluation_items import Item
from pipeline_lib.coref.model import Net

KINDS = ("combined", "global", "regional")


class Scores(NamedTuple):
    """Similarities of one item by kind, each (clips, sentences)."""

    video_id: str
    by_kind: dict[str, np.ndarray]
    labels: np.ndarray
    missed: int


def score(net: Net, items: list[Item], options: CorefEvaluation, where: torch.device) -> list[Scores]:
    """Per clip a softmax over the article's sentences of text · clip (global) and of the mean over its objects of
    text · object (regional), and a·global + (1-a)·regional (combined)."""
    net.eval()
    found = []
    with torch.inference_mode():
        for item in items:
            clips, words, objects = (torch.from_numpy(a).to(where) for a in (item.clips, item.words, item.objects))
            video, regions = net.GU_video(clips), net.GU_obj(objects)
            text = net.embed_text(words)
            by_clip = (video @ text.T / options.temperature).softmax(dim=1)
            by_object = (torch.einsum("nkd,sd->nks", regions, text).mean(dim=1) / options.temperature).softmax(dim=1)
            combined = options.weight_global * by_clip + (1 - options.weight_global) * by_object
            similarities = dict(zip(KINDS, (combined, by_clip, by_object), strict=True))
            arrays = {kind: values.cpu().numpy().astype(np.float64) for kind, values in similarities.items()}
            found.append(Scores(item.video_id, arrays, item.labels, item.missed))
    return found


def constant(items: list[Item], value: float) -> list[Scores]:
    """Every pair with the same score."""
    return [_same(item, np.full(item.labels.shape, value)) for item in items]


def random(items: list[Item], seed: int) -> list[Scores]:
    """Uniform scores, normalised over the sentences of a clip as a softmax's are."""
    rng = np.random.default_rng(seed)
    drawn = [rng.exponential(size=item.labels.shape) for item in items]
    return [_same(item, values / values.sum(axis=1, keepdims=True)) for item, values in zip(items, drawn, strict=True)]


def _same(item: Item, values: np.ndarray) -> Scores:
    return Scores(item.video_id, dict.fromkeys(KINDS, values), item.labels, item.missed)
