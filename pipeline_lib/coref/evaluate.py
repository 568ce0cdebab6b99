"""A trained MILO network and val and test videos → coref_eval.json: its scores beside baselines, in one protocol."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from pipeline_lib.config import Config, load
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.coref import Coref
from pipeline_lib.core import arguments, cli, device, files, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import scoring, train
from pipeline_lib.coref.checkpoint import Checkpoint, dimensions
from pipeline_lib.coref.evaluation_items import PROTOCOLS, Item, items
from pipeline_lib.coref.inputs import Inputs
from pipeline_lib.coref.metrics import Pairs, best_threshold, bootstrap, flatten, measure
from pipeline_lib.coref.model import initial_network
from pipeline_lib.coref.scoring import KINDS, Scores

log = logging.getLogger(__name__)

SPLITS = ("val", "test")
MILO, UNTRAINED, RANDOM, ALL_POSITIVE = "milo", "untrained_network", "random", "all_positive"


def evaluate(inputs: Inputs, checkpoint: Checkpoint, options: Coref, where: torch.device) -> dict[str, Any]:
    """{protocol: {val | test: {counts, left_out, systems}}}; every threshold is chosen on val."""
    return {protocol: _protocol(inputs, protocol, checkpoint, options, where) for protocol in PROTOCOLS}


def _protocol(
    inputs: Inputs, protocol: str, checkpoint: Checkpoint, options: Coref, where: torch.device
) -> dict[str, Any]:
    entries, left_out = {}, {}
    for split in SPLITS:
        entries[split], left_out[split] = items(inputs, split, protocol, checkpoint.moments, options.evaluation.min_iou)
        if not any(item.labels.any() for item in entries[split]):
            raise UserError(
                f"{split} has no positive pair ({protocol.replace('_', ' ')}); give it videos with event_coreference"
                + (" or temporal_proposals that meet events" if protocol == "with_proposals" else "")
            )
    scores = {split: _systems(inputs, entries[split], checkpoint, options, where) for split in SPLITS}
    result: dict[str, Any] = {
        split: {"counts": _counts(entries[split]), "left_out": left_out[split], "systems": {}} for split in SPLITS
    }
    for system in scores["val"]:
        threshold = _threshold(system, _pairs(scores["val"][system], "combined"), options)
        for split in SPLITS:
            result[split]["systems"][system] = _report(scores, split, system, threshold, options)
    return result


def _systems(
    inputs: Inputs, entries: list[Item], checkpoint: Checkpoint, options: Coref, where: torch.device
) -> dict[str, list[Scores]]:
    sizes = dimensions(inputs, entries[0].video_id)
    trained = checkpoint.network(options, sizes).to(where)
    before, _ = initial_network(options.model, sizes, options.training.seed)
    return {
        MILO: scoring.score(trained, entries, options.evaluation, where),
        UNTRAINED: scoring.score(before.to(where), entries, options.evaluation, where),
        RANDOM: scoring.random(entries, options.training.seed),
        ALL_POSITIVE: scoring.constant(entries, 1.0),
    }


def _report(
    scores: dict[str, dict[str, list[Scores]]], split: str, system: str, threshold: float, options: Coref
) -> dict[str, Any]:
    pairs = _pairs(scores[split][system], "combined")
    intervals = bootstrap(pairs, threshold, options.evaluation.bootstrap, options.training.seed)
    metrics = {
        name: {"value": round(value, 6), "ci95": [round(edge, 6) for edge in intervals[name]]}
        for name, value in measure(pairs, threshold).items()
    }
    report: dict[str, Any] = {"threshold": threshold, "threshold_from": "val", **metrics}
    if system in (MILO, UNTRAINED):
        report["f1_by_similarity"] = {}
        for kind in KINDS:
            own = _threshold(system, _pairs(scores["val"][system], kind), options)
            f1 = measure(_pairs(scores[split][system], kind), own)["f1"]
            report["f1_by_similarity"][kind] = {"threshold": own, "f1": round(f1, 6)}
    return report


def _threshold(system: str, val: Pairs, options: Coref) -> float:
    return 0.0 if system == ALL_POSITIVE else best_threshold(val, options.evaluation.thresholds)


def _pairs(scores: Sequence[Scores], kind: str) -> Pairs:
    return flatten([s.by_kind[kind] for s in scores], [s.labels for s in scores], [s.missed for s in scores])


def _counts(entries: list[Item]) -> dict[str, int]:
    return {
        "videos": len(entries),
        "clips": sum(len(item.intervals) for item in entries),
        "sentences": sum(len(item.sentences) for item in entries),
        "pairs": sum(item.labels.size for item in entries),
        "positive_pairs": int(sum(item.labels.sum() for item in entries)),
        "positive_pairs_without_clip": sum(item.missed for item in entries),
    }


def notes(weights: dict[str, Any], config: Config) -> list[str]:
    """What a reader must know before quoting the numbers."""
    found = []
    untrained = sorted(name for name, about in weights.items() if not about["trained"])
    if untrained:
        found.append(
            f"Features come from untrained networks ({', '.join(untrained)}): these numbers say nothing of MILO on real data."
        )
    if config.source.kind == "demo":
        found.append("The videos, texts and labels are generated.")
    return found


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
) -> None:
    """Score val and test without and with proposals, beside random, all-positive and untrained baselines."""
    whole = load(json.loads(config))
    device.deterministic()
    target = device.choose(where)
    about = {path.stem: files.read_json(path) for path in weights or []}
    trained = Checkpoint.load(checkpoint)
    with Inputs(captions, annotations, objects, features, words, whole.coref.data) as inputs:
        results = evaluate(inputs, trained, whole.coref, target)
        specs = {name: json.loads(spec) for name, spec in inputs.specs.items()}
    about["milo"] = {"sha256": files.sha256(checkpoint), "trained": True, "epoch": trained.about["epoch"]}
    about["words"] = {"name": whole.weights.words, "sha256": files.sha256(words)}
    files.write_json(
        out,
        {
            "task": "multimodal event coreference",
            "notes": notes({key: value for key, value in about.items() if "network" in value}, whole),
            "results": results,
            "provenance": provenance.record(as_dict(whole), specs=specs, weights=about, device=str(target)),
        },
    )


if __name__ == "__main__":
    cli.run(main)
