"""A network and evaluation items → similarity of every clip with every sentence (§5)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.coref.evaluation_items import Item
from pipeline_lib.coref.model import Net

KINDS = ("combined", "global", "regional")


class Scores(NamedTuple):
    """Similarities of one item by kind, each (clips, sentences).

    Attributes:
        by_object: (clips, sentences, objects), text · object; None of a system without objects.
    """

    video_id: str
    by_kind: dict[str, np.ndarray]
    labels: np.ndarray
    missed: int
    by_object: np.ndarray | None = None


def score(net: Net, items: list[Item], options: CorefEvaluation, where: torch.device) -> list[Scores]:
    """text · clip (global) and the mean over a clip's objects of text · object (regional), each normalised as
    `options.softmax` says, and a·global + (1-a)·regional (combined)."""
    net.eval()
    found = []
    with torch.inference_mode():
        for item in items:
            clips, words, objects = (torch.from_numpy(a).to(where) for a in (item.clips, item.words, item.objects))
            video, regions, text = net.GU_video(clips), net.GU_obj(objects), net.embed_text(words)
            by_object = torch.einsum("nkd,sd->nsk", regions, text)
            by_clip = normalise(video @ text.T, options.softmax, options.temperature)
            by_region = normalise(by_object.mean(dim=2), options.softmax, options.temperature)
            combined = options.weight_global * by_clip + (1 - options.weight_global) * by_region
            kinds = zip(KINDS, map(_array, (combined, by_clip, by_region)), strict=True)
            found.append(Scores(item.video_id, dict(kinds), item.labels, item.missed, _array(by_object)))
    return found


def normalise(similarity: Tensor, softmax: str, temperature: float) -> Tensor:
    """Similarities (clips, sentences) of a video as scores.

    Args:
        softmax: per_clip: over the sentences, as published | per_video: over all pairs | none: they stay as they are,
            and the temperature has no effect.
    """
    if softmax == "none":
        return similarity
    if softmax == "per_video":
        return (similarity.flatten() / temperature).softmax(dim=0).reshape(similarity.shape)
    return (similarity / temperature).softmax(dim=1)


def alike(item: Item, values: np.ndarray) -> Scores:
    """Scores of a system that knows one kind of similarity."""
    return Scores(item.video_id, dict.fromkeys(KINDS, values), item.labels, item.missed)


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy().astype(np.float64)
