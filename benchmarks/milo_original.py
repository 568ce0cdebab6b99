"""Checkouts of Video-M2E2 and howto100m, unchanged → their loaders, losses and training script, running here on small data.

Changed while they run: `.cuda()` stays on the CPU; pandas, which only unused loaders want, is a stand-in; gensim 4 gets
`vocab` back; and with one video per batch MaxMarginRankingLoss is told of two, because it divides by batch_size - 1 for a
mask that is not used then.
"""

import contextlib
import io
import random
import re
import runpy
import sys
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from gensim.models import KeyedVectors

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "coref"))
from original import Original

from pipeline_lib.text import vectors

WIDTH, WORDS = 2048, 300  # of features and of word vectors, as published
TEXT = "the The fire trucks burn in Beirut don't Crowd of people march through A town and storm boats float unknownword"
LINE = re.compile(r"Threshold: (\S+), Sim Type: (\w+), Acc: (\S+), Pre: (\S+), Recall: (\S+), F1: (\S+), Sup")
KINDS = {"avg": "combined", "global": "global", "regional": "regional"}


class Choices:
    """What upstream's loader drew, to be drawn again by ours.

    Attributes:
        made: (a, result) of each call, in order.
        videos: whose pairs were drawn, in order.
    """

    def __init__(self) -> None:
        self.made: list[tuple[str, Any]] = []
        self.videos: list[str] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Note every choice that numpy's and Python's global generators make."""
        of_numpy, of_python = np.random.choice, random.choice

        def numpy_choice(a: Any, size: int, replace: bool) -> np.ndarray:
            assert not replace
            self.made.append(("places", of_numpy(a, size, replace=False)))
            return self.made[-1][1]

        def python_choice(a: list[int]) -> int:
            self.made.append(("value", of_python(a)))
            return self.made[-1][1]

        with mock.patch.object(np.random, "choice", numpy_choice), mock.patch.object(random, "choice", python_choice):
            yield

    def choice(self, a: Any, size: int | None = None, replace: bool = True) -> Any:
        """The next choice, in place of `numpy.random.Generator.choice`."""
        kind, result = self.made.pop(0)
        assert kind == ("value" if size is None else "places") and (size is None or len(result) == size)
        return result if kind == "value" or isinstance(a, int) else np.asarray(a)[result]


@contextlib.contextmanager
def importable(m2e2: Path, howto100m: Path) -> Iterator[None]:
    """Both checkouts on the path of modules, as their own scripts have it, and what they need and is not here."""
    here = {name: sys.modules.pop(name) for name in ("args", "loss", "metrics") if name in sys.modules}
    with (
        mock.patch.object(sys, "path", [str(m2e2 / "mm_coref"), str(howto100m), *sys.path]),
        mock.patch.object(torch.Tensor, "cuda", lambda tensor, *_: tensor),
        mock.patch.object(torch.nn.Module, "cuda", lambda module, *_: module),
        mock.patch.object(KeyedVectors, "vocab", property(lambda vectors: vectors.key_to_index)),
    ):
        import loss  # of howto100m

        with mock.patch.dict(sys.modules, {"pandas": ModuleType("pandas")}):  # others ask whether it is there
            loaders = module("m2e2_dataloader")
        sys.modules["m2e2_dataloader"] = loaders
        built = loss.MaxMarginRankingLoss.__init__

        def guarded(self: Any, margin: float, negative_weighting: int, batch_size: int, **rest: Any) -> None:
            built(self, margin, negative_weighting, batch_size if negative_weighting else 2, **rest)

        with mock.patch.object(loss.MaxMarginRankingLoss, "__init__", guarded):
            yield
    for name in ("args", "loss", "metrics"):
        sys.modules.pop(name, None)
    sys.modules.update(here)


def module(name: str) -> Any:
    """A module of upstream's, inside `importable`."""
    return __import__(name)


def loaded(
    words: Path,
    n_pair: int,
    seed: int,
    train: Path,
    train_feats: Path,
    clip: Path,
    clip_feats: Path,
    video: Path,
    feats: Path,
) -> list[dict[str, Any]]:
    """All items of upstream's three loaders; inside `importable`."""
    loaders, vectors_ = module("m2e2_dataloader"), KeyedVectors.load_word2vec_format(str(words), binary=True)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (it is what upstream draws from)
    training = loaders.M2E2MILOVidSegDiscriminatorWithMultipleSamplingDataLoader
    found = [
        training(str(train), vectors_, n_pair=n_pair, vid_feat_dir=str(train_feats), look_window=2),
        loaders.M2E2MILOManualLabelsWithArticleDataLoader(str(clip), str(clip_feats), vectors_),
        loaders.M2E2MILOManualLabelsWithArticleAndProposalsDataLoader(str(video), str(feats), vectors_),
    ]
    return [loader[index] for loader in found for index in range(len(loader))]


def run_script(m2e2: Path, arguments: dict[str, Any], choices: Choices) -> SimpleNamespace:
    """Run the public training script whole.

    Returns:
        losses: of every step; sweeps: per evaluation {(threshold, kind): {metric: value}}; names: its functions.
    """
    loader = module("m2e2_dataloader").M2E2MILOVidSegDiscriminatorWithMultipleSamplingDataLoader
    loss = module("mil_loss_b").MILOLoss
    losses: list[float] = []
    get, forward = loader.__getitem__, loss.forward

    def noted_get(self: Any, index: int) -> Any:
        item = get(self, index)
        choices.videos.append(item["video_id"])
        return item

    def noted_loss(self: Any, *embeddings: torch.Tensor) -> torch.Tensor:
        value = forward(self, *embeddings)
        losses.append(value.item())
        return value

    argv = ["train.py", *(f"--{key}={value}" for key, value in arguments.items())]
    printed = io.StringIO()
    with (
        warnings.catch_warnings(
            action="ignore"
        ),  # of pinned memory without a GPU, and of precision without predictions
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(loader, "__getitem__", noted_get),
        mock.patch.object(loss, "forward", noted_loss),
        choices.recording(),
        contextlib.redirect_stdout(printed),
    ):
        names = runpy.run_path(str(m2e2 / "mm_coref/m2e2_train_milo_eval_coref_multi.py"), run_name="__main__")
    return SimpleNamespace(losses=losses, sweeps=_sweeps(printed.getvalue()), names=names)


def _sweeps(printed: str) -> list[dict[tuple[float, str], dict[str, float]]]:
    parts = printed.split("Evaluating Event Coreference Matching")[1:]
    names = ("accuracy", "precision", "recall", "f1")
    return [
        {
            (float(line[0]), KINDS[line[1]]): dict(zip(names, map(float, line[2:]), strict=True))
            for line in LINE.findall(part)
        }
        for part in parts
    ]


def data_set(folder: Path, seed: int) -> tuple[Original, dict[str, Path]]:
    """Files in the original's shapes, and a word2vec .bin."""
    rng = np.random.default_rng(seed)
    original = Original(folder, WIDTH, seed)
    edges = np.cumsum(rng.choice([0.35, 1.5, 2.0, 3.0, 4.5, 7.1], 14))
    segments = [(float(a), float(b) + 0.4 * (i % 3)) for i, (a, b) in enumerate(pairwise(edges))]
    articles = [[" ".join(rng.choice(TEXT.split(), 9)) + "." for _ in range(count)] for count in range(6, 13)]
    paths = {"train": original.training(5, segments)}
    paths |= {split: original.clips(split, articles) for split in ("val", "test")}
    paths["proposals"] = original.videos("val")
    words = [word for word in TEXT.split() if word != "unknownword"] + ["truck", "burns", "boats"]
    model = KeyedVectors(WORDS)
    model.add_vectors(words, rng.normal(size=(len(words), WORDS)).astype("f4"))
    paths["words"] = folder / "words.bin"
    model.save_word2vec_format(str(paths["words"]), binary=True)
    return original, paths


def converted(original: Original, folder: str, paths: dict[str, Path], **given: Any) -> Path:
    """Our files of the same data."""
    out = original.convert(**given)
    vectors.read(paths["words"]).save(out / "words.safetensors")
    return out.rename(original.folder / folder)
