"""Clip features, word vectors and object features → embeddings in one joint space: the MILO network (§2).

The entries of the state dict are those of upstream's `milo_model.Net`, so `howto100m_pt_model.pth` and MILO checkpoints
load. `batch_norm` is among them and never computed with, as upstream.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline_lib.config.coref import CorefModel
from pipeline_lib.core import checkpoint
from pipeline_lib.core.errors import UserError

Normalise = Literal["candidate_axis", "embedding"]


class Dimensions(NamedTuple):
    """Lengths of the network's input vectors."""

    video: int
    words: int
    objects: int


class ContextGating(nn.Module):
    """y → y · sigmoid(fc(y)), over the last axis."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dimension, dimension)
        self.batch_norm = nn.BatchNorm1d(dimension)

    def forward(self, y: Tensor) -> Tensor:
        return y * torch.sigmoid(self.fc(y))


class GatedEmbeddingUnit(nn.Module):
    """(…, in) → (…, out), gated and of norm 1 along `axis`."""

    def __init__(self, in_dimension: int, out_dimension: int, axis: int = -1) -> None:
        super().__init__()
        self.fc = nn.Linear(in_dimension, out_dimension)
        self.cg = ContextGating(out_dimension)
        self.axis = axis

    def gated(self, x: Tensor) -> Tensor:
        """What `forward` gives before it is normalised."""
        return self.cg(self.fc(x))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.gated(x), dim=self.axis)


class SentenceMaxpool(nn.Module):
    """Word vectors (B, words, in) → sentences (B, out): linear, ReLU, maximum over words, padding included."""

    def __init__(self, word_dimension: int, dimension: int) -> None:
        super().__init__()
        self.fc = nn.Linear(word_dimension, dimension)

    def forward(self, words: Tensor) -> Tensor:
        return F.relu(self.fc(words)).amax(dim=1)


class Net(nn.Module):
    """MILO: three gated towers over clips, sentences and objects.

    Args:
        normalise: axis along which object embeddings (B, K, D) have norm 1. `candidate_axis` is axis 1, as published:
            upstream normalises all towers along it, which for objects is the candidates, so that their dot products are
            no cosines (§ trap 1). `embedding` is the last.
    """

    def __init__(self, inputs: Dimensions, dimension: int = 6144, normalise: Normalise = "embedding") -> None:
        super().__init__()
        self.text_pooling = SentenceMaxpool(inputs.words, dimension)
        self.GU_text = GatedEmbeddingUnit(dimension, dimension)
        self.GU_video = GatedEmbeddingUnit(inputs.video, dimension)
        self.GU_obj = GatedEmbeddingUnit(inputs.objects, dimension, axis=1 if normalise == "candidate_axis" else -1)

    def embed_text(self, words: Tensor) -> Tensor:
        """Word vectors (B, words, word dim) → (B, D)."""
        return self.GU_text(self.text_pooling(words))

    def forward(self, video: Tensor, words: Tensor, objects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Clips (B, video dim), words (B, words, word dim), objects (B, K, object dim) → (B, D), (B, D), (B, K, D)."""
        return self.GU_video(video), self.embed_text(words), self.GU_obj(objects)

    def pairs(
        self, video: Tensor, words: Tensor, of_words: Tensor, objects: Tensor, of_objects: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` gives, each sentence and object computed once although several pairs have it.

        Args:
            words: (S, words, word dim) distinct sentences. of_words: (B,) which of them each pair has.
            objects: (O, object dim) distinct objects. of_objects: (B, K) which of them each pair has.
        """
        regions = F.normalize(self.GU_obj.gated(objects)[of_objects], dim=self.GU_obj.axis)
        return self.GU_video(video), self.embed_text(words)[of_words], regions


@dataclass(frozen=True)
class LoadReport:
    """Which entries of a checkpoint went where."""

    loaded: list[str]
    missing: list[str]  # of the network, not in the checkpoint: keep their values
    misshapen: list[str]  # in both, but of another shape: keep their values
    unused: list[str]  # of the checkpoint, not in the network

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} entries loaded"]
        for what, names in (
            ("missing", self.missing),
            ("of another shape", self.misshapen),
            ("unused", self.unused),
        ):
            if names:
                parts.append(f"{len(names)} {what} ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})")
        return ", ".join(parts)


def load_matching(net: nn.Module, state: Mapping[str, Tensor]) -> LoadReport:
    """Copy the entries of `state` whose name and shape the network has, as upstream does, and say what didn't match."""
    own = net.state_dict()
    shared = [name for name in own if name in state]
    loaded = [name for name in shared if own[name].shape == state[name].shape]
    with torch.no_grad():
        for name in loaded:
            own[name].copy_(state[name])
    return LoadReport(
        loaded=loaded,
        missing=[name for name in own if name not in state],
        misshapen=[name for name in shared if name not in loaded],
        unused=[name for name in state if name not in own],
    )


def initial_network(options: CorefModel, inputs: Dimensions, seed: int) -> tuple[Net, LoadReport | None]:
    """The network before training: a function of options, input sizes, seed and the pretrained file, if one is named."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Net(inputs, options.dimension, options.normalise)
    if options.pretrained is None:
        return net, None
    report = load_matching(net, checkpoint.read(Path(options.pretrained)))
    if not report.loaded:
        raise UserError(
            f"{options.pretrained}: no entry fits a MILO network of dimension {options.dimension}; {report}"
        )
    return net, report
