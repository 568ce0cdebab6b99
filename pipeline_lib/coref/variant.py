"""The inputs of training with one option changed → test and val scores of MILO networks trained with several seeds."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import arguments, cli, device, files
from pipeline_lib.coref import train
from pipeline_lib.coref.ablation import METRICS
from pipeline_lib.coref.evaluate import SPLITS, evaluate
from pipeline_lib.coref.inputs import Inputs
from pipeline_lib.coref.names import MILO, PROTOCOLS


def scores(
    inputs: Inputs,
    options: Coref,
    where: torch.device,
    folder: Path,
    key: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """{seed, epoch, threshold, val and test scores per protocol} of one training; `folder` and `key` as in train.train."""
    checkpoint, fitted = train.train(inputs, options, where, folder, key)
    plain = options.evaluation.model_copy(update={"baselines": [], "bootstrap": 1})
    results = evaluate(inputs, checkpoint, options.model_copy(update={"evaluation": plain}), where)
    measured = [protocol for protocol in PROTOCOLS if protocol in results]
    systems = {(p, split): results[p][split]["systems"][MILO] for p in measured for split in SPLITS}
    return {
        "seed": options.training.seed,
        "epoch": fitted.epoch,
        "threshold": {protocol: systems[protocol, "val"]["threshold"] for protocol in measured},
        **{
            split: {
                protocol: {metric: systems[protocol, split][metric]["value"] for metric in METRICS}
                for protocol in measured
            }
            for split in SPLITS
        },
    }


def main(
    captions: train.Captions,
    annotations: train.Annotations,
    objects: train.Objects,
    features: train.Features,
    words: train.Words,
    factor: Annotated[str, typer.Option(help="what `options` differ in from the configuration; base: nothing")],
    value: Annotated[str, typer.Option(help="the factor's value in `options`")],
    out: Annotated[Path, typer.Option(help="JSON of the scores")],
    options: arguments.Options = "{}",
    where: arguments.Device = "auto",
) -> None:
    """Train and measure one variant of the ablation with every seed of coref.ablation.seeds."""
    wanted = cli.parse_options(Coref, options)
    device.deterministic(wanted.training.threads)
    target, folder = device.choose(where), out.parent / f".{out.stem}"
    key = train.key_of(captions, annotations, objects, features, words)
    with Inputs(captions, annotations, objects, features, words, wanted.data) as inputs:
        runs = []
        for seed in wanted.ablation.seeds:
            training = wanted.training.model_copy(update={"seed": seed})
            seeded = wanted.model_copy(update={"training": training})
            runs.append(scores(inputs, seeded, target, folder / str(seed), key))
    files.write_json(out, {"factor": factor, "value": value, "seeds": runs})
    shutil.rmtree(folder, ignore_errors=True)  # states to resume from


if __name__ == "__main__":
    cli.run(main)
