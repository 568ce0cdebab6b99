"""A moment-retrieval dataset and features → a MESM network, chosen on val by mAP, mIoU or R1 (specs: mesm §6)."""

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.moments import Moments
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.core import arguments, cli, device
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.fingerprint import fingerprint
from pipeline_lib.moments import inputs, losses, metrics, model
from pipeline_lib.moments.batch import Batch
from pipeline_lib.moments.checkpoint import Checkpoint
from pipeline_lib.moments.data import Part, moved
from pipeline_lib.moments.inputs import Files
from pipeline_lib.moments.order import Group
from pipeline_lib.moments.predict import predict
from pipeline_lib.training import command
from pipeline_lib.training.loop import Fitted, fit
from pipeline_lib.training.ranks import Ranks, together

log = logging.getLogger(__name__)

CURVES = {"val_R1@0.5": "R1@0.5", "val_R1@0.7": "R1@0.7", "val_miou": "mIoU", "val_mAP": "mAP"}
TITLES = {"own": "own videos"}
_VAL = MomentsEvaluation(recall_at=[0.3, 0.5, 0.7], ranges={}, bootstrap=0)
# What decides the result, beside training.
_USED = ("dataset", "own_queries", "splits", "data", "model", "loss", "prediction")


class Grounding:
    """Training of MESM as `training.loop` wants it.

    Args:
        train, val: opened splits, of the same opened files.
        where: device of the network.
    """

    def __init__(self, train: Part, val: Part, options: Moments, where: torch.device) -> None:
        self.train, self.val, self.options, self.where = train, val, options, where
        if len(train.groups) < 2:
            raise UserError("a single video to train on has no sentences of another to be told from; give more")
        if options.data.standardise:
            names = sorted({train.moments[number].video_id for group in train.groups for number in group})
            train.videos.scales = train.videos.measure(names)
        for part in (train, val):
            if secret := [one.query_id for one in part.moments if not one.windows]:
                raise UserError(
                    f"{part.name}: qid {secret[0]} and {len(secret) - 1} more have no moments to learn from"
                )
        if train.dim != val.dim:
            raise UserError(
                f"features of train have {train.dim} columns, of val {val.dim}; give the same kind for both"
            )
        said = train.sentences
        self.net = model.initial(options.model, train.dim, said.dim, said.classes, options.training.seed).to(where)
        self.metric = f"val_{options.training.choose_by}"
        self._order = lru_cache(2)(self._drawn)

    def _drawn(self, epoch: int) -> list[list[Group]]:
        return self.train.training(epoch)

    def batches(self, epoch: int) -> int:
        """Batches of `batch_videos` videos; the last is smaller."""
        return len(self._order(epoch))

    def batch(self, epoch: int, index: int) -> Batch:
        """The next groups of the epoch's random order."""
        rng = np.random.default_rng([self.options.training.seed, epoch, index])
        return self.train.batch(self._order(epoch)[index], rng)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss, computed in float32 from outputs of whatever precision."""
        held = moved(batch, self.where)
        outputs = self.net(held)
        with torch.autocast(self.where.type, enabled=False):
            return losses.terms(outputs, held, self.options.loss)

    def validate(self) -> dict[str, float]:
        """Scores on val, in percent; `r1` is the mean of R1 at 0.5 and 0.7."""
        found = metrics.measure(predict(self.net, self.val, self.where), self.val.moments, _VAL)
        values = found.by_range[metrics.FULL].values
        scores = {"mAP": values["mAP"], "miou": values["mIoU"], "r1": (values["R1@0.5"] + values["R1@0.7"]) / 2}
        return {f"val_{name}": value for name, value in scores.items()} | {
            f"val_R1@{at:g}": values[f"R1@{at:g}"] for at in _VAL.recall_at
        }


def train(
    task: Grounding,
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
    key = {**key, **{name: about[name] for name in _USED}, "code": fingerprint("pipeline_lib.moments.train")}
    fitted = fit(task, task.options.training, task.where, folder, key, ranks)
    chosen = fitted.rows[fitted.epoch]
    val = {name: value for name, value in chosen.items() if name.startswith("val_")}
    counts = {
        part.name: {"queries": len(part.moments), "left_out": len(part.left_out), "groups": len(part.groups)}
        for part in (task.train, task.val)
    }
    scales = [
        {name: values.tolist() for name, values in one._asdict().items()} for one in task.train.videos.scales or []
    ]
    told = {"epoch": fitted.epoch, "val": val, "options": about, "parts": counts, "scales": scales}
    return Checkpoint(fitted.state, told), fitted


def main(
    out: command.Out,
    training_log: command.Log,
    features: inputs.Features = None,
    vocabulary: inputs.Vocabulary = None,
    words: inputs.Words = None,
    annotations: inputs.Annotations = None,
    captions: inputs.Captions = None,
    plot: command.Plot = None,
    state: command.State = None,
    options: arguments.Options = "{}",
    where: arguments.Device = "auto",
) -> None:
    """Train MESM on a dataset's sentences and their moments.

    Killed, it goes on where it was. For several GPUs: torchrun --nproc-per-node 4 -m pipeline_lib.moments.train …
    """
    wanted = cli.parse_options(Moments, options)
    device.deterministic(wanted.training.threads)
    files = Files.of(wanted, features, vocabulary, words, annotations, captions)
    splits = [wanted.splits.train, wanted.splits.val]
    with inputs.open_videos(wanted, files) as videos, together(where) as (ranks, target):
        first, second = inputs.open_parts(wanted, files, videos, splits, target).values()
        key = command.key_of(files.small(wanted, splits), files.large())
        checkpoint, fitted = train(Grounding(first, second, wanted, target), command.folder_of(state, out), key, ranks)
        if ranks.first:
            command.write(fitted, training_log, plot, CURVES, f"MESM, {TITLES.get(wanted.dataset, wanted.dataset)}")
            checkpoint.save(out)


if __name__ == "__main__":
    cli.run(main)
