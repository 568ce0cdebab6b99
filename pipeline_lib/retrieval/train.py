"""Splits to learn from and to choose by, role graphs, features → an HGR network, best by rsum or nDCG on val (specs: ranp §4)."""

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.retrieval import Retrieval
from pipeline_lib.core import arguments, cli, device
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.fingerprint import fingerprint
from pipeline_lib.retrieval import data, directions, losses, matrices, model, role_graphs, texts
from pipeline_lib.retrieval.checkpoint import Checkpoint
from pipeline_lib.retrieval.data import Batch, Part
from pipeline_lib.retrieval.matrices import Matrix
from pipeline_lib.retrieval.similarity import similarities
from pipeline_lib.retrieval.texts import Vocabulary
from pipeline_lib.training import command
from pipeline_lib.training.loop import Fitted, fit
from pipeline_lib.training.ranks import Ranks, together

log = logging.getLogger(__name__)

NAMES = ("rsum", "ndcg", "map")
CURVES = {"val_ndcg": "nDCG (× 100)", "val_map": "mAP (× 100)", "val_rsum_mean": "mean recall (rsum / 6)"}


class Mining:
    """Training of HGR as `training.loop` wants it.

    Args:
        train, val: opened splits.
        where: device of the network.
        words: file of word vectors to start from.
        relevance: matrix of val in place of one made from the classes.
    """

    def __init__(
        self,
        train: Part,
        val: Part,
        known: Vocabulary,
        options: Retrieval,
        where: torch.device,
        words: Path | None = None,
        relevance: Matrix | None = None,
    ) -> None:
        self.train, self.val, self.options, self.where = train, val, options, where
        sizes = train.columns, val.columns
        if sizes[0] != sizes[1]:
            raise UserError(
                f"features of train have {sizes[0]} columns, of val {sizes[1]}; give the same kind for both"
            )
        self.moments = None
        if options.data.standardise:
            self.moments = train.frames.measure([train.corpus.videos[i] for i in train.videos.tolist()])
            train.frames.moments = val.frames.moments = self.moments
        wanted = options.training
        self.net = model.initial(sizes[0], texts.size(known), options.model, wanted.seed)
        if words is not None and options.model.pretrained is None:
            count = texts.put_vectors(self.net.text_encoder.embedding.we.weight, known, words)
            log.info("%d of %d words start from %s", count, len(known), words)
        self.net.to(where)
        self.metric = f"val_{wanted.choose_by}"
        if len(train.pairs) < 2:
            raise UserError("one pair of a video and a caption has nothing to be told from; give more")
        self._gold = val.gold(relevance)
        self._order = lru_cache(2)(self._shuffled)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.options.training.seed, epoch]).permutation(len(self.train.pairs))

    def batches(self, epoch: int) -> int:
        """Batches of `batch_pairs`; the last is smaller, and left out if it is a single pair."""
        whole, rest = divmod(len(self.train.pairs), self.options.training.batch_pairs)
        return whole + (rest > 1)

    def batch(self, epoch: int, index: int) -> Batch:
        """The next pairs of the epoch's random order."""
        size = self.options.training.batch_pairs
        return self.train.batch(self._order(epoch)[index * size : (index + 1) * size])

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss, computed in float32."""
        clips, words, relevance = batch
        scores = self.net(clips.frames.to(self.where), clips.lengths.to(self.where), words.to(self.where))
        with torch.autocast(self.where.type, enabled=False):
            moved = {name: values.to(self.where) for name, values in relevance.items()}
            return losses.terms(scores, moved, self.options.training)

    def validate(self) -> dict[str, float]:
        """Scores on val, means of both directions: rsum, the sum of six recalls, and nDCG and mAP in percent."""
        found = self.val.matrix(similarities(self.net, self.val, self.where, self.options.evaluation.batch))
        queries = directions.measure(found.values, self._gold, found.pairs)
        values = directions.summarise(queries, resamples=0)["mean"].values
        scores = {"rsum": values["rsum"], "ndcg": 100 * values["ndcg"], "map": 100 * values["map"]}
        return {f"val_{name}": scores[name] for name in NAMES} | {"val_rsum_mean": values["rsum"] / 6}


def train(
    task: Mining,
    known: Vocabulary,
    folder: Path,
    key: Mapping[str, Any] = {},
    ranks: Ranks = Ranks(),  # noqa: B008 (immutable)
) -> tuple[Checkpoint, Fitted]:
    """Train, and return the best epoch on val and what `training.loop.fit` gave.

    Args:
        folder: of the state that a killed run resumes from.
        key: what the inputs are, so that a state of others isn't resumed from.
    """
    about = as_dict(task.options)
    kept = {name: about[name] for name in ("data", "model")}
    key = {**key, **kept, "code": fingerprint("pipeline_lib.retrieval.train")}
    fitted = fit(task, task.options.training, task.where, folder, key, ranks)
    chosen = fitted.rows[fitted.epoch]
    val = {name: chosen[f"val_{name}"] for name in NAMES}
    counts = {"videos": len(task.train.videos), "pairs": len(task.train.pairs), "left_out": len(task.train.left_out)}
    return Checkpoint(
        fitted.state, known, task.moments, {"epoch": fitted.epoch, "val": val, "options": about, "train": counts}
    ), fitted


def main(
    train_split: Annotated[Path, typer.Option("--train", help="split to learn from, as retrieval.prepare writes it")],
    val_split: Annotated[Path, typer.Option("--val", help="split that chooses the epoch")],
    graphs: Annotated[Path, typer.Option("--role-graphs", help="role graphs of all captions, JSON")],
    train_features: Annotated[list[Path], typer.Option(help="features of train, HDF5 or HGR's .npy; side by side")],
    out: command.Out,
    training_log: command.Log,
    val_features: Annotated[list[Path] | None, typer.Option(help="features of val; default: those of train")] = None,
    train_names: Annotated[Path | None, typer.Option(help="names of the rows of .npy features of train")] = None,
    val_names: Annotated[Path | None, typer.Option(help="the same of val")] = None,
    relevance: Annotated[Path | None, typer.Option(help="matrix of val; default: made from the classes")] = None,
    words: Annotated[
        Path | None, typer.Option(help="word vectors to start from, .txt, .bin, .pkl, .safetensors")
    ] = None,
    vocabulary: Annotated[Path | None, typer.Option(help="upstream's word2int; default: words of train")] = None,
    plot: command.Plot = None,
    state: command.State = None,
    options: arguments.Options = "{}",
    where: arguments.Device = "auto",
) -> None:
    """Train HGR on pairs of videos and captions.

    Killed, it goes on where it was. For several GPUs: torchrun --nproc-per-node 4 -m pipeline_lib.retrieval.train …
    """
    wanted = cli.parse_options(Retrieval, options)
    device.deterministic(wanted.training.threads)
    known = texts.read_vocabulary(vocabulary) if vocabulary else None
    found = role_graphs.read(graphs)
    first, known = data.open_part(train_split, train_features, found, known, wanted.data, train_names)
    second, _ = data.open_part(val_split, val_features or train_features, found, known, wanted.data, val_names)
    key = command.key_of(
        (train_split, val_split, graphs, words, vocabulary, relevance), (*train_features, *(val_features or []))
    )
    with first.frames, second.frames, together(where) as (ranks, target):
        matrix = matrices.read(relevance) if relevance else None
        task = Mining(first, second, known, wanted, target, words, matrix)
        checkpoint, fitted = train(task, known, command.folder_of(state, out), key, ranks)
        if ranks.first:
            command.write(fitted, training_log, plot, CURVES, f"HGR, {wanted.training.loss}")
            checkpoint.save(out)


if __name__ == "__main__":
    cli.run(main)
