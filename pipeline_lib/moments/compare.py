"""A trained MESM and a split → results/moments_eval.json and .md: its metrics beside baselines that look at no video."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.base import as_dict
from pipeline_lib.core import arguments, cli, device, files, provenance
from pipeline_lib.moments import baselines, evaluate, inputs, predict, queries, submission, tables
from pipeline_lib.moments.checkpoint import Checkpoint
from pipeline_lib.moments.inputs import Files

log = logging.getLogger(__name__)
SYSTEM = "mesm"
FIRST = "constant"  # the system that differences are to


def write_gold(path: Path, moments: Sequence[Moment]) -> None:
    """Queries as QVHighlights writes them, for `moments.evaluate` and `moments.report`."""
    lines = []
    for one in moments:
        line = {"qid": one.query_id, "query": one.sentence, "duration": one.duration, "vid": one.video_id}
        ends = [[start, min(end, one.duration)] for start, end in one.windows]
        scores = {"relevant_clip_ids": one.clips, "saliency_scores": one.saliency} if one.clips else {}
        lines.append(json.dumps(line | {"relevant_windows": ends} | scores, ensure_ascii=False))
    files.write_text(path, "".join(f"{line}\n" for line in lines))


def _secret(split: str, folder: Path) -> str:
    """The page of a split that can't be measured here."""
    return (
        f"# Moment retrieval\n\nThe moments of {split} are secret; {folder / SYSTEM}.jsonl is what the dataset's evaluation "
        "server takes.\n"
    )


def main(
    checkpoint: Annotated[Path, typer.Option(help="made by pipeline_lib.moments.train")],
    split: Annotated[str, typer.Option(help="as the dataset calls it")],
    out: Annotated[Path, typer.Option(help="JSON of the metrics; the tables beside it are called .md")],
    predictions: Annotated[Path, typer.Option(help="folder for gold.jsonl and a predictions file per system")],
    features: inputs.Features = None,
    vocabulary: inputs.Vocabulary = None,
    words: inputs.Words = None,
    annotations: inputs.Annotations = None,
    captions: inputs.Captions = None,
    weights: Annotated[list[Path] | None, typer.Option(help="records of the weights behind the features")] = None,
    options: Annotated[
        str,
        typer.Option(
            help="section moments, as JSON; default: that of the checkpoint, whose data and model always hold"
        ),
    ] = "{}",
    where: arguments.Device = "auto",
) -> None:
    """Predict a split, and measure that and the baselines on it; a split whose moments are secret is only predicted."""
    trained = Checkpoint.load(checkpoint)
    wanted = predict.options_for(trained, options)
    device.deterministic(wanted.training.threads)
    target = device.choose(where)
    given = Files.of(wanted, features, vocabulary, words, annotations, captions)
    with inputs.open_videos(wanted, given) as videos:
        part = predict.open_part(trained, wanted, given, videos, split, target)
        found = {SYSTEM: predict.predict(trained.network().to(target), part, target)}
        specs = videos.specs
    known = queries.read(wanted, wanted.splits.train, given.own)
    without = baselines.predictions(known, part.moments, wanted.training.seed)
    systems = {FIRST: without.pop(FIRST), **found, **without}
    for name, one in systems.items():
        submission.write(predictions / f"{name}.jsonl", one)
    write_gold(predictions / "gold.jsonl", part.moments)
    secret = any(not one.windows for one in part.moments)
    kept = {path.stem: files.read_json(path) for path in weights or []}
    content = {
        "task": "moment retrieval",
        "dataset": wanted.dataset if wanted.dataset != "own" else "this pipeline's videos",
        "split": split,
        **({} if secret else evaluate.compare(systems, part.moments, wanted.evaluation)),
        "left_out": {"queries": len(part.left_out)},
        "training": {key: trained.about[key] for key in ("epoch", "val", "parts")},
        "weights": kept,
        "options": as_dict(wanted.evaluation),
        "provenance": provenance.record(as_dict(wanted), specs=specs, weights=kept, device=str(target)),
    }
    files.write_json(out, content, sort_keys=False)
    told = sorted({f"{name}: {record.get('name', record)}" for name, record in kept.items()})
    table = _secret(split, predictions) if secret else tables.markdown(content)
    table += f"\nWeights behind the features: {', '.join(told)}.\n" if told else ""
    files.write_text(out.with_suffix(".md"), table)
    print(table, end="")


if __name__ == "__main__":
    cli.run(main)
