"""Evaluation items → scores of systems that MILO is compared with, in the same protocol (§7).

random, all_positive      know nothing
clip                      mean of CLIP's frame embeddings of a clip · sentence, cosines
mil_nce                   mean of S3D's video embeddings of a clip · its own text tower, dot products as it was trained
The network before training is the fifth; it is scored as MILO is, by `scoring.score`.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.config.features import CLIP
from pipeline_lib.core import checkpoint, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import rows
from pipeline_lib.coref.evaluation_items import Item
from pipeline_lib.coref.scoring import Scores, alike, normalise
from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.features.nets.s3d_text import VOCABULARY
from pipeline_lib.store.reader import FeatureFile


def all_positive(items: Sequence[Item]) -> list[Scores]:
    """Score 1 for every pair."""
    return [alike(item, np.ones(item.labels.shape)) for item in items]


def random(items: Sequence[Item], softmax: str, seed: int) -> list[Scores]:
    """Uniform draws; with a softmax normalised as it normalises, to a sum of 1 per clip or per video."""
    rng = np.random.default_rng(seed)
    found = []
    for item in items:
        drawn = rng.exponential(size=item.labels.shape)
        if softmax == "none":
            drawn = 1 - np.exp(-drawn)
        else:
            drawn /= drawn.sum(axis=1, keepdims=True) if softmax == "per_clip" else drawn.sum()
        found.append(alike(item, drawn))
    return found


class JointSpace:
    """A network with a video and a text side, and its stored features.

    Args:
        file: features that `video` takes.
        video: stored rows (n, dim) float32 → embeddings (n, d).
        text: sentences → embeddings (s, d).
        unit: clips get unit length after their rows are averaged, so that scores are cosines; else dot products.
    """

    def __init__(
        self,
        file: FeatureFile,
        video: Callable[[Tensor], Tensor],
        text: Callable[[list[str]], Tensor],
        unit: bool,
        temperature: float,
    ) -> None:
        self.file, self.video, self.unit, self.temperature = file, video, unit, temperature
        self._text = lru_cache(maxsize=None)(lambda sentences: text(list(sentences)))  # both protocols ask for them

    def why_not(self, video_id: str) -> str | None:
        """Why a video can't be scored, or None."""
        if video_id not in self.file:
            return f"no features in {self.file.path.name}"
        if not np.isfinite(self.file.rows(video_id)).all():
            return (
                f"{self.file.path}: features of {video_id} hold NaN or Inf; delete its artefact and run its stage again"
            )
        return None

    def score(self, items: Sequence[Item], options: CorefEvaluation) -> list[Scores]:
        """A clip is the mean of its rows, those that MILO's clip features are pooled from (see `rows.clip`)."""
        found = []
        with torch.inference_mode():
            for item in items:
                stored = self.file.rows(item.video_id).astype(np.float32)
                places = [rows.clip(a, b, self.file.step, self.file.start, len(stored)) for a, b in item.intervals]
                text = self._text(tuple(item.sentences))
                embedded = self.video(torch.from_numpy(stored).to(text.device))
                clips = torch.stack([embedded[place].mean(dim=0) for place in places])
                similarity = (F.normalize(clips) if self.unit else clips) @ text.T
                scores = normalise(similarity, options.softmax, self.temperature)
                found.append(alike(item, scores.cpu().numpy().astype(np.float64)))
        return found


def clip(features: Path, weights: Path, options: CLIP, temperature: float, where: torch.device) -> JointSpace:
    """CLIP: clip.hdf5 and the text side of the network that made it."""
    from pipeline_lib.features.nets import clip as clip_nets  # here, because open_clip takes seconds

    file = _made_with(features, weights, "clip")
    net = checkpoint.load(clip_nets.build(options.model), weights).to(where)
    tokenise = clip_nets.tokeniser(options.model)

    def text(sentences: list[str]) -> Tensor:
        batches = tokenise(sentences).to(where).split(options.batch)
        return F.normalize(torch.cat([net.encode_text(batch) for batch in batches]).float())  # type: ignore[operator]

    return JointSpace(file, lambda stored: stored, text, unit=True, temperature=temperature)


def mil_nce(
    features: Path, weights: Path, dictionary: Path | Sequence[str], temperature: float, where: torch.device
) -> JointSpace:
    """MIL-NCE: s3d.hdf5 and the text tower of the network that made it.

    Embeddings are 512-d. Stored 1024-d rows (`features.s3d.output: mixed_5c`) go through the network's last layer here,
    which gives the same; of 1536-d rows (`both`) they are the last 512.

    Args:
        dictionary: s3d_dict.npy, or the words themselves.
    """
    file = _made_with(features, weights, "s3d")
    net = checkpoint.load(S3D(dictionary), weights).to(where)
    last, tower = net.fc, net.text_module

    def video(stored: Tensor) -> Tensor:
        if stored.shape[1] == last.in_features:
            return last(stored)
        return stored[:, -last.out_features :]

    def text(sentences: list[str]) -> Tensor:
        return tower(sentences)["text_embedding"]

    return JointSpace(file, video, text, unit=False, temperature=temperature)


def vocabulary(articles: Sequence[Sequence[str]]) -> list[str]:
    """A dictionary for a text tower without training: the words of these sentences, as many as its table holds."""
    words = {word for sentences in articles for text in sentences for word in re.findall(r"[\w']+", text.lower())}
    return sorted(words)[: VOCABULARY - 1]


def _made_with(features: Path, weights: Path, network: str) -> FeatureFile:
    """The features, if they were made with these weights: the two sides of a joint space belong together."""
    file = FeatureFile(features)
    made = json.loads(file.spec).get("weights")
    if made and made != files.sha256(weights):
        raise UserError(
            f"{features} was made with other weights of {network} than {weights}; make the features again with these"
        )
    return file
