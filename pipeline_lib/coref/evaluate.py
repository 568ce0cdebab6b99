"""A trained MILO network and val and test videos → coref_eval.json: its scores beside baselines, in one protocol."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer

from pipeline_lib.config import Config
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.coref import Coref, CorefEvaluation
from pipeline_lib.core import arguments, cli, device, files, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import measuring, prediction_entries, train
from pipeline_lib.coref.baselines import JointSpace
from pipeline_lib.coref.checkpoint import Checkpoint
from pipeline_lib.coref.evaluation_items import Item, items
from pipeline_lib.coref.inputs import Inputs
from pipeline_lib.coref.names import CLIP, MIL_NCE, MILO, PROTOCOLS
from pipeline_lib.coref.systems import BaselineFiles, Systems, joint_spaces

log = logging.getLogger(__name__)

TASK = "multimodal event coreference"
SPLITS = ("val", "test")
#: Baselines with networks of their own: system, network in the weights' records, name.
NETWORKS = ((CLIP, "clip", "CLIP"), (MIL_NCE, "s3d", "MIL-NCE"))


class Evaluation(NamedTuple):
    """What an evaluation found.

    Attributes:
        results: {protocol: {val | test: {counts, left_out, systems, …}}}.
        skipped: protocols that could not be evaluated, and why.
        predictions: {protocol: {threshold, videos}}, of MILO.
    """

    results: dict[str, Any]
    skipped: dict[str, str]
    predictions: dict[str, Any]


NOTHING = Evaluation({}, {}, {})


def evaluate(inputs: Inputs, checkpoint: Checkpoint, options: Coref, where: torch.device) -> dict[str, Any]:
    """The results of `assess`, for who has no further baselines."""
    return assess(inputs, checkpoint, options, where).results


def assess(
    inputs: Inputs,
    checkpoint: Checkpoint,
    options: Coref,
    where: torch.device,
    spaces: Mapping[str, JointSpace] = {},
) -> Evaluation:
    """Score val and test without and with proposals.

    Args:
        spaces: the baselines that have networks of their own (see `systems.joint_spaces`).

    Raises:
        UserError: neither protocol can be evaluated.
    """
    systems = Systems(inputs, checkpoint, options, where, spaces)
    found = Evaluation({}, {}, {})
    for protocol in PROTOCOLS:
        try:
            found.results[protocol], found.predictions[protocol] = _protocol(systems, protocol)
        except UserError as error:
            found.skipped[protocol] = str(error)
            log.warning("%s is not evaluated: %s", protocol.replace("_", " "), error)
    if not found.results:
        raise UserError("; ".join(dict.fromkeys(found.skipped.values())))
    return found


def _protocol(systems: Systems, protocol: str) -> tuple[dict[str, Any], dict[str, Any]]:
    inputs, options = systems.inputs, systems.options
    entries: dict[str, list[Item]] = {}
    left_out: dict[str, dict[str, str]] = {}
    for split in SPLITS:
        found, left_out[split] = items(inputs, split, protocol, systems.checkpoint.moments, options.evaluation)
        left_out[split] |= {item.video_id: why for item in found if (why := systems.why_not(item.video_id))}
        entries[split] = [item for item in found if item.video_id not in left_out[split]]
        for video_id, reason in sorted(left_out[split].items()):
            log.info("%s of %s is left out: %s", video_id, split, reason)
        if split == "test" or options.evaluation.protocol != "fixed":
            _require(split, protocol, entries[split], left_out[split])
    scores = {split: systems.score(entries[split]) for split in SPLITS if entries[split]}
    of_val = {system: measuring.pairs(own) for system, own in scores.get("val", scores["test"]).items()}
    points = measuring.points(of_val, options)
    result = {
        split: {**measuring.split_report(entries[split], own, of_val, points, options), "left_out": left_out[split]}
        for split, own in scores.items()
    }
    shown = [
        prediction_entries.entry(inputs, split, item, own)
        for split in scores
        for item, own in zip(entries[split], scores[split][MILO], strict=True)
    ]
    point = points[MILO]
    return result, {"threshold": point.threshold, "similarity": point.similarity, "videos": shown}


def _require(split: str, protocol: str, entries: list[Item], left_out: dict[str, str]) -> None:
    if not entries and not left_out:
        raise UserError(f"there are no {split} videos; give some entries of the annotations the split {split}")
    if not entries:
        video_id, reason = min(left_out.items())
        raise UserError(f"all {len(left_out)} videos of {split} are left out, for example {video_id}: {reason}")
    if not any(item.labels.any() for item in entries):
        raise UserError(
            f"{split} has no positive pair ({protocol.replace('_', ' ')}); give it videos with event_coreference"
            + (" and temporal_proposals that stand for their events" if protocol == "with_proposals" else "")
        )


def notes(weights: dict[str, Any], config: Config, found: Evaluation = NOTHING) -> list[str]:
    """What a reader must know before quoting the numbers.

    Args:
        weights: of each feature network, what its weights are.
    """
    said = []
    untrained = sorted(name for name, about in weights.items() if not about["trained"])
    of_milo = [name for name in untrained if name in ("objects", *config.coref.features)]
    if of_milo:
        said.append(
            f"Features come from untrained networks ({', '.join(of_milo)}): these numbers say nothing of MILO on real data."
        )
    scored = {system for result in found.results.values() for system in result["test"]["systems"]}
    chance = [name for system, network, name in NETWORKS if system in scored and network in untrained]
    if chance:
        said.append(f"Baselines with untrained weights are at chance; that says nothing of {' and '.join(chance)}.")
    if config.source.kind == "demo":
        said.append("The videos, texts and labels are generated.")
    said += [f"Not evaluated {protocol.replace('_', ' ')}: {reason}." for protocol, reason in found.skipped.items()]
    shares = [result["test"]["sentences_per_article"]["one_sentence_share"] for result in found.results.values()]
    if any(shares) and config.coref.evaluation.softmax == "per_clip":
        said.append(
            f"{max(shares):.0%} of the test articles have one sentence: a softmax over it is 1, so MILO and all baselines "
            "that take one say yes for each of their clips."
        )
    return said


def settings(options: CorefEvaluation) -> dict[str, Any]:
    """The protocol as the result states it, without what has no effect on it."""
    unused = {
        "chosen_on_val": {"sim_threshold"},
        "fixed": {"thresholds"},
        "as_published": {"thresholds", "sim_threshold"},
    }
    unused_rules = {"iou": {"min_overlap"}, "centre_inside": {"min_iou", "min_overlap"}, "overlap": {"min_iou"}}
    left_out = unused[options.protocol] | unused_rules[options.matching]
    return {key: value for key, value in as_dict(options).items() if key not in left_out}


def main(
    checkpoint: Annotated[Path, typer.Option(help="made by pipeline_lib.coref.train")],
    captions: train.Captions,
    annotations: train.Annotations,
    objects: train.Objects,
    features: train.Features,
    words: train.Words,
    out: Annotated[Path, typer.Option(help="coref_eval.json")],
    weights: Annotated[
        list[Path] | None, typer.Option(help="JSON files that say what the feature networks are")
    ] = None,
    config: Annotated[str, typer.Option(help="the whole configuration as JSON")] = "{}",
    where: arguments.Device = "auto",
    predictions_out: Annotated[
        Path | None, typer.Option("--predictions", help="JSON of every clip's objects and scores, for the report")
    ] = None,
    clip: Annotated[Path | None, typer.Option(help="clip.hdf5, for the baseline clip")] = None,
    clip_weights: Annotated[Path | None, typer.Option(help="weights that clip.hdf5 was made with")] = None,
    s3d: Annotated[Path | None, typer.Option(help="s3d.hdf5, for the baseline mil_nce")] = None,
    s3d_weights: Annotated[Path | None, typer.Option(help="weights that s3d.hdf5 was made with")] = None,
) -> None:
    """Score val and test without and with proposals, MILO beside the baselines of coref.evaluation.baselines."""
    whole = cli.parse_options(Config, config, "--config")
    device.deterministic()
    target = device.choose(where)
    about = {path.stem: files.read_json(path) for path in weights or []}
    trained = Checkpoint.load(checkpoint)
    with Inputs(captions, annotations, objects, features, words, whole.coref.data) as inputs:
        spaces = joint_spaces(inputs, BaselineFiles(clip, clip_weights, s3d, s3d_weights), whole, target)
        found = assess(inputs, trained, whole.coref, target, spaces)
        specs = {name: json.loads(spec) for name, spec in inputs.specs.items()}
        specs |= {space.file.path.name: json.loads(space.file.spec) for space in spaces.values()}
    said = notes({key: value for key, value in about.items() if "network" in value}, whole, found)
    about["milo"] = {"sha256": files.sha256(checkpoint), "trained": True, "epoch": trained.about["epoch"]}
    about["words"] = {"name": whole.weights.words, "sha256": files.sha256(words)}
    if predictions_out:
        content = {"task": TASK, "notes": said, "system": MILO, "protocols": found.predictions}
        files.write_json(predictions_out, content, indent=None)
    files.write_json(
        out,
        {
            "task": TASK,
            "notes": said,
            "protocol": settings(whole.coref.evaluation),
            "results": found.results,
            "skipped": found.skipped,
            "provenance": provenance.record(as_dict(whole), specs=specs, weights=about, device=str(target)),
        },
    )


if __name__ == "__main__":
    cli.run(main)
