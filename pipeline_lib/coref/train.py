"""Captions and features of training videos → a MILO network, chosen by its F1 on val (§3–5)."""

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from torch import Tensor

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import arguments, cli, device
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.fingerprint import fingerprint
from pipeline_lib.coref import losses, operating_point, training_items
from pipeline_lib.coref.checkpoint import Checkpoint, dimensions, options_of
from pipeline_lib.coref.entries import untrainable
from pipeline_lib.coref.evaluation_items import Item, items
from pipeline_lib.coref.inputs import Inputs, Moments
from pipeline_lib.coref.metrics import flatten, measure
from pipeline_lib.coref.model import Net, initial_network
from pipeline_lib.coref.names import PROTOCOLS, WITHOUT
from pipeline_lib.coref.scoring import KINDS, score
from pipeline_lib.training import command
from pipeline_lib.training.loop import Fitted, fit
from pipeline_lib.training.ranks import Ranks, together

log = logging.getLogger(__name__)

Captions = Annotated[Path, typer.Option(help="vid2article_master_filtered.json")]
Annotations = Annotated[Path, typer.Option(help="annotations.json")]
Objects = Annotated[Path, typer.Option(help="objects.hdf5")]
Features = Annotated[list[Path], typer.Option(help="HDF5 of clip features; several are concatenated")]
Words = Annotated[Path, typer.Option(help="word vectors")]

METRIC = f"val_f1_{WITHOUT}"  # chooses the epoch
CURVES = {f"val_f1_{protocol}": f"F1 {protocol.replace('_', ' ')}" for protocol in PROTOCOLS}


def usable(inputs: Inputs) -> list[str]:
    """Training videos with features and captions; the others are named in the log."""
    videos = []
    for video_id in inputs.videos("train"):
        reason = inputs.why_not(video_id) or untrainable(inputs.captions[video_id])
        if reason is None:
            videos.append(video_id)
        else:
            log.info("%s is not trained on: %s", video_id, reason)
    if not videos:
        raise UserError("no training video has captions and features; look into the ledgers of the stages before")
    return videos


class Batch(NamedTuple):
    """Pairs of some videos; a sentence or object that several pairs have stands once."""

    clips: Tensor  # (n, clip dim)
    words: Tensor  # (sentences, words, word dim)
    of_words: Tensor  # (n,) which sentence each pair has
    objects: Tensor  # (objects, object dim)
    of_objects: Tensor  # (n, candidates) which objects each pair has
    videos: Tensor  # (n,) index of the video of each pair


class MILO:
    """Training of a MILO network as `training.loop` wants it.

    Args:
        inputs: opened files.
        where: device of the network.
    """

    metric = METRIC

    def __init__(self, inputs: Inputs, options: Coref, where: torch.device) -> None:
        self.inputs, self.options, self.where = inputs, options, where
        self.videos = usable(inputs)
        sizes = dimensions(inputs, self.videos[0])
        moments = training_items.statistics(inputs, self.videos) if options.data.standardise else None
        self.moments = moments or Moments.identity(sizes.video, sizes.objects)
        self.net, report = initial_network(options.model, sizes, options.training.seed)
        if report:
            log.info("%s: %s", options.model.pretrained, report)
        self.net.to(where)
        wanted = options.evaluation
        self.val = {protocol: items(inputs, "val", protocol, self.moments, wanted)[0] for protocol in PROTOCOLS}
        if not any(item.labels.any() for item in self.val[WITHOUT]):
            raise UserError(
                "val has no pair of an event and a sentence that corefer, so no epoch or threshold can be chosen; "
                "give val videos (split: val) with event_coreference in the annotations"
            )
        self._order = lru_cache(2)(self._shuffled)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.options.training.seed, epoch]).permutation(len(self.videos))

    def batches(self, epoch: int) -> int:
        """Batches of `batch_videos` videos; those left over are dropped, as upstream, unless they are all there are."""
        return max(len(self.videos) // self.options.training.batch_videos, 1)

    def batch(self, epoch: int, index: int) -> Batch:
        """Pairs drawn from the next `batch_videos` videos of the epoch's random order."""
        size = self.options.training.batch_videos
        chosen = self._order(epoch)[index * size : (index + 1) * size]
        rng = np.random.default_rng([self.options.training.seed, epoch, index])
        drawn = [training_items.draw(self.inputs, self.videos[i], self.moments, rng) for i in chosen]
        clips, words, regions = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        videos = np.repeat(np.arange(len(drawn)), [len(pairs.clips) for pairs in drawn])
        sentences, of_words = training_items.distinct(training_items.without_padding(words))
        objects, of_objects = training_items.distinct(regions.reshape(-1, regions.shape[-1]))
        parts = (clips, sentences, of_words, objects, of_objects.reshape(regions.shape[:2]), videos)
        return Batch(*(torch.from_numpy(part) for part in parts))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss, computed in float32 from embeddings of whatever precision."""
        *given, videos = (part.to(self.where, non_blocking=True) for part in batch)
        video, text, regions = (embedding.float() for embedding in self.net.pairs(*given))
        with torch.autocast(self.where.type, enabled=False):
            return losses.terms(video, text, regions, videos, self.options.training)

    def validate(self) -> dict[str, float]:
        """F1 on val and its threshold, per protocol."""
        found = validate(self.net, self.val, self.options, self.where)
        return {
            f"val_{name}_{protocol}": values[name] for protocol, values in found.items() for name in ("f1", "threshold")
        }


def validate(net: Net, val: dict[str, list[Item]], options: Coref, where: torch.device) -> dict[str, dict[str, float]]:
    """Best F1 on val and its threshold, per protocol; see `operating_point.best`."""
    found = {}
    for protocol, entries in val.items():
        scores = score(net, entries, options.evaluation, where)
        labels, missed = [s.labels for s in scores], [s.missed for s in scores]
        by_kind = {kind: flatten([s.by_kind[kind] for s in scores], labels, missed) for kind in KINDS}
        point = operating_point.best(by_kind, options.evaluation)
        found[protocol] = {"threshold": point.threshold, **measure(by_kind[point.similarity], point.threshold)}
    return found


def train(
    inputs: Inputs,
    options: Coref,
    where: torch.device,
    folder: Path,
    key: Mapping[str, Any] = {},
    ranks: Ranks = Ranks(),  # noqa: B008 (immutable)
) -> tuple[Checkpoint, Fitted]:
    """Train, and return the epoch with the best F1 on val without proposals, and what `training.loop.fit` gave.

    Epoch 0 is the network before training; the last epoch is evaluated too (upstream evaluates before each epoch and
    never sees its last weights).

    Args:
        folder: of the state that a killed run resumes from.
        key: what the inputs are, so that a state of others isn't resumed from.
    """
    task = MILO(inputs, options, where)
    about = options_of(options)
    others = {name: value for name, value in about.items() if name != "training"}
    key = {**key, **others, "code": fingerprint("pipeline_lib.coref.train")}
    fitted = fit(task, options.training, where, folder, key, ranks)
    chosen = fitted.rows[fitted.epoch]
    val = {protocol: {name: chosen[f"val_{name}_{protocol}"] for name in ("f1", "threshold")} for protocol in PROTOCOLS}
    about = {"epoch": fitted.epoch, "val": val, "options": about, "videos": len(task.videos)}
    return Checkpoint(fitted.state, task.moments, about), fitted


def key_of(captions: Path, annotations: Path, objects: Path, features: list[Path], words: Path) -> dict[str, Any]:
    """What stands in the inputs, for `train`."""
    return command.key_of((captions, annotations, words), (objects, *features))


def main(
    captions: Captions,
    annotations: Annotations,
    objects: Objects,
    features: Features,
    words: Words,
    out: command.Out,
    training_log: command.Log,
    plot: command.Plot = None,
    state: command.State = None,
    options: arguments.Options = "{}",
    where: arguments.Device = "auto",
) -> None:
    """Train MILO on the captions of the training videos; epoch and thresholds are chosen on val.

    Killed, it goes on where it was. For several GPUs: torchrun --nproc-per-node 4 -m pipeline_lib.coref.train …
    """
    wanted = cli.parse_options(Coref, options)
    device.deterministic(wanted.training.threads)
    key = key_of(captions, annotations, objects, features, words)
    folder = command.folder_of(state, out)
    with (
        together(where) as (ranks, target),
        Inputs(captions, annotations, objects, features, words, wanted.data) as inputs,
    ):
        checkpoint, fitted = train(inputs, wanted, target, folder, key, ranks)
        if ranks.first:
            command.write(fitted, training_log, plot, CURVES, "MILO")
            checkpoint.save(out)


if __name__ == "__main__":
    cli.run(main)
