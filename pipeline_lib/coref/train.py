"""Captions and features of training videos → a MILO network, chosen by its F1 on val (§3–5)."""

import csv
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import arguments, cli, device, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track
from pipeline_lib.coref import losses, training_items
from pipeline_lib.coref.checkpoint import Checkpoint, dimensions, options_of
from pipeline_lib.coref.evaluation_items import PROTOCOLS, WITHOUT, Item, items
from pipeline_lib.coref.inputs import Inputs, Moments
from pipeline_lib.coref.metrics import best_threshold, flatten, measure
from pipeline_lib.coref.model import Net, initial_network
from pipeline_lib.coref.scoring import score

log = logging.getLogger(__name__)

Captions = Annotated[Path, typer.Option(help="vid2article_master_filtered.json")]
Annotations = Annotated[Path, typer.Option(help="annotations.json")]
Objects = Annotated[Path, typer.Option(help="objects.hdf5")]
Features = Annotated[list[Path], typer.Option(help="HDF5 of clip features; several are concatenated")]
Words = Annotated[Path, typer.Option(help="word vectors")]


def usable(inputs: Inputs) -> list[str]:
    """Training videos with features and captions; the others are named in the log."""
    videos = []
    for video_id in inputs.videos("train"):
        reason = inputs.why_not(video_id)
        if reason is None and not inputs.captions[video_id]["captions"]:
            reason = "no captions"
        if reason is None:
            videos.append(video_id)
        else:
            log.info("%s is not trained on: %s", video_id, reason)
    if not videos:
        raise UserError("no training video has captions and features; look into the ledgers of the stages before")
    return videos


def steps(
    inputs: Inputs, videos: list[str], moments: Moments, batch_videos: int, rng: np.random.Generator
) -> Iterator[tuple[training_items.Pairs, np.ndarray]]:
    """The steps of one epoch: pairs of `batch_videos` videos in random order, and the video each pair is of.

    Videos left over at the end are dropped, as upstream, unless they are all there are.
    """
    order = rng.permutation(len(videos))
    size = min(batch_videos, len(videos))
    for first in range(0, len(order) - size + 1, size):
        drawn = [training_items.draw(inputs, videos[i], moments, rng) for i in order[first : first + size]]
        pairs = training_items.Pairs(*(np.concatenate(parts) for parts in zip(*drawn, strict=True)))
        yield pairs, np.repeat(np.arange(size), [len(one.clips) for one in drawn])


def validate(net: Net, val: dict[str, list[Item]], options: Coref, where: torch.device) -> dict[str, dict[str, float]]:
    """Best F1 on val and its threshold, per protocol, by combined similarity."""
    found = {}
    for protocol, entries in val.items():
        scores = score(net, entries, options.evaluation, where)
        pairs = flatten([s.by_kind["combined"] for s in scores], [s.labels for s in scores], [s.missed for s in scores])
        threshold = best_threshold(pairs, options.evaluation.thresholds)
        found[protocol] = {"threshold": threshold, **measure(pairs, threshold)}
    return found


def train(inputs: Inputs, options: Coref, where: torch.device) -> tuple[Checkpoint, list[dict[str, Any]]]:
    """Train, and return the epoch with the best F1 on val without proposals, and a log row per epoch.

    Epoch 0 is the network before training; the last epoch is evaluated too (upstream evaluates before each epoch and
    never sees its last weights).
    """
    wanted = options.training
    videos = usable(inputs)
    sizes = dimensions(inputs, videos[0])
    moments = training_items.statistics(inputs, videos) if options.data.standardise else None
    moments = moments or Moments.identity(sizes.video, sizes.objects)
    net, report = initial_network(options.model, sizes, wanted.seed)
    if report:
        log.info("%s: %s", options.model.pretrained, report)
    net.to(where)
    val = {protocol: items(inputs, "val", protocol, moments, options.evaluation.min_iou)[0] for protocol in PROTOCOLS}
    if not any(item.labels.any() for item in val[WITHOUT]):
        raise UserError(
            "val has no pair of an event and a sentence that corefer, so no epoch or threshold can be chosen; "
            "give val videos (split: val) with event_coreference in the annotations"
        )
    optimiser = torch.optim.Adam(net.parameters(), lr=wanted.learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, wanted.decay)
    best: Checkpoint | None = None
    best_f1 = -1.0
    rows = []
    for epoch in track(range(wanted.epochs + 1), "training", unit="epochs"):
        rng = np.random.default_rng([wanted.seed, epoch])
        lost = []
        if epoch > 0:
            net.train()
            for pairs, of_video in steps(inputs, videos, moments, wanted.batch_videos, rng):
                clips, words, objects = (torch.from_numpy(part).to(where) for part in pairs)
                video, text, regions = net(clips, words, objects)
                loss = losses.total(video, text, regions, torch.from_numpy(of_video).to(where), wanted)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                lost.append(float(loss.detach()))
            schedule.step()
        results = validate(net, val, options, where)
        rows.append({"epoch": epoch, "loss": np.mean(lost) if lost else None, **_row(results)})
        log.info(
            "epoch %d: loss %s, val F1 %.3f", epoch, f"{np.mean(lost):.4f}" if lost else "-", results[WITHOUT]["f1"]
        )
        if results[WITHOUT]["f1"] > best_f1 and (epoch > 0 or wanted.epochs == 0):
            best_f1 = results[WITHOUT]["f1"]
            state = {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}
            about = {"epoch": epoch, "val": results, "options": options_of(options), "videos": len(videos)}
            best = Checkpoint(state, moments, about)
    assert best is not None
    return best, rows


def _row(results: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        f"val_{name}_{protocol}": values[name] for protocol, values in results.items() for name in ("f1", "threshold")
    }


def write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    """One CSV line per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    files.write_text(path, text.getvalue())


def main(
    captions: Captions,
    annotations: Annotations,
    objects: Objects,
    features: Features,
    words: Words,
    out: Annotated[Path, typer.Option(help="checkpoint to write, .safetensors")],
    training_log: Annotated[Path, typer.Option("--log", help="CSV of loss and val scores per epoch")],
    options: arguments.Options = "{}",
    where: arguments.Device = "auto",
) -> None:
    """Train MILO on the captions of the training videos; epoch and thresholds are chosen on val."""
    wanted = cli.parse_options(Coref, options)
    device.deterministic()
    with Inputs(captions, annotations, objects, features, words, wanted.data) as inputs:
        checkpoint, rows = train(inputs, wanted, device.choose(where))
    write_log(training_log, rows)
    checkpoint.save(out)


if __name__ == "__main__":
    cli.run(main)
