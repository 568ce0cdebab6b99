"""Trained HGR networks and a split → results/retrieval_eval.json and .md: metrics of each, paired differences to the first."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline_lib.core import arguments, cli, device, files, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import data, directions, intervals, matrices, role_graphs
from pipeline_lib.retrieval.checkpoint import Checkpoint
from pipeline_lib.retrieval.intervals import Measured
from pipeline_lib.retrieval.matrices import Matrix
from pipeline_lib.retrieval.similarity import similarities

log = logging.getLogger(__name__)
CHANCE = "random"  # the system that ranks by chance


def systems(found: Mapping[str, Matrix], gold: Matrix, resamples: int, seed: int = 0) -> dict[str, Any]:
    """{results, differences, counts}: every system by direction, and those after the first minus the first.

    All draw the same queries, so that differences are paired: a resample compares both on the same queries.
    """
    measured: dict[str, dict[str, Measured]] = {}
    counts: dict[str, Any] = {}
    for name, matrix in found.items():
        queries = directions.measure(matrix.values, gold.values, gold.pairs)
        measured[name] = directions.summarise(queries, resamples, seed)
        counts[name] = directions.counts(queries, gold)
    first, *others = measured
    return {
        "results": {name: _report(by) for name, by in measured.items()},
        "baseline": first,
        "differences": {
            name: _report({way: one.minus(measured[first][way]) for way, one in measured[name].items()})
            for name in others
            if name != CHANCE
        },
        "counts": counts,
    }


def _report(by: Mapping[str, Measured]) -> dict[str, Any]:
    return {way: one.report() for way, one in by.items()}


def table(content: Mapping[str, Any]) -> str:
    """Markdown: a row per system, then per difference; means of both directions."""
    names = ("ndcg", "map", *intervals.DEPTHS, "rsum")
    heads = {"ndcg": "nDCG", "map": "mAP", "r1": "R@1", "r5": "R@5", "r10": "R@10", "rsum": "rsum"}
    lines = [f"| system | {' | '.join(heads[name] for name in names)} |", f"|---|{'---|' * len(names)}"]
    rows = [(name, by["mean"], "") for name, by in content["results"].items()]
    rows += [(f"{name} − {content['baseline']}", by["mean"], "+") for name, by in content["differences"].items()]
    for name, values, sign in rows:
        cells = [_cell(values[metric], 100 if metric in ("ndcg", "map") else 1, sign) for metric in names]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    about = content["split"]
    head = (
        f"# Text–video retrieval\n\n{about['videos']} videos × {about['captions']} captions; percent, means of both "
        "directions, 95 % intervals over queries; differences are paired.\n\n"
    )
    return head + "\n".join(lines) + f"\n\nWeights of the features: {content['features']}\n"


def _cell(report: Mapping[str, Any], factor: float, sign: str) -> str:
    shown = [f"{factor * value:{sign}.1f}" for value in (report["value"], *report.get("ci95", ()))]
    return shown[0] + (f" [{shown[1]}, {shown[2]}]" if len(shown) > 1 else "")


def check(checkpoints: Mapping[str, Checkpoint]) -> None:
    """Systems are compared that read the same; otherwise a UserError."""
    first, *others = checkpoints
    for name in others:
        for what in ("vocabulary", "data"):
            pair = [
                one.vocabulary if what == "vocabulary" else one.options.data
                for one in (checkpoints[first], checkpoints[name])
            ]
            if pair[0] != pair[1]:
                raise UserError(
                    f"{first} and {name} were trained with another {what}; train both again on the same splits"
                )


def main(
    checkpoints: Annotated[list[Path], typer.Argument(help="trained networks; differences are to the first")],
    split: Annotated[Path, typer.Option(help="split to measure on, as retrieval.prepare writes it")],
    graphs: Annotated[Path, typer.Option("--role-graphs", help="role graphs of its captions, JSON")],
    features: Annotated[list[Path], typer.Option(help="its features, HDF5 or HGR's .npy; side by side")],
    out: Annotated[Path, typer.Option(help="JSON of the metrics; the table beside it is called .md")],
    names: Annotated[Path | None, typer.Option(help="names of the rows of .npy features")] = None,
    relevance: Annotated[Path | None, typer.Option(help="matrix of the split; default: made from the classes")] = None,
    matrix_folder: Annotated[
        Path | None, typer.Option("--matrices", help="folder for relevance.hdf5 and similarities, SYSTEM.hdf5")
    ] = None,
    weights: Annotated[list[Path] | None, typer.Option(help="records of the weights behind the features")] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="resamples of queries; 0: no intervals")] = 1000,
    batch: Annotated[int, typer.Option(min=1, help="videos, and captions, scored at once")] = 300,
    seed: arguments.Seed = 0,
    where: arguments.Device = "auto",
) -> None:
    """Measure trained networks on a split, and how much better than the first the others are."""
    device.deterministic()
    target = device.choose(where)
    loaded = {}
    for path in checkpoints:
        one = Checkpoint.load(path)
        name = one.options.training.loss if one.options.training.loss not in loaded else str(path)
        loaded[name] = one
    check(loaded)
    options = next(iter(loaded.values()))
    part, _ = data.open_part(split, features, role_graphs.read(graphs), options.vocabulary, options.options.data, names)
    with part.frames:
        found = {}
        for name, one in loaded.items():
            one.require(part.columns, name)
            part.frames.moments = one.moments
            found[name] = part.matrix(similarities(one.network().to(target), part, target, batch))
    shape = next(iter(found.values()))
    chance = np.random.default_rng(seed).random(shape.values.shape)
    gold = shape._replace(values=part.gold(matrices.read(relevance) if relevance else None))
    content = systems({**found, CHANCE: shape._replace(values=chance)}, gold, bootstrap, seed)
    if matrix_folder is not None:
        for name, matrix in ({"relevance": gold} | found).items():
            _save(matrix_folder / f"{name.replace('/', '_')}.hdf5", matrix)
    kept = {name: files.read_json(path) for path in weights or [] for name in [path.stem]}
    said = sorted({f"{name} {record.get('name', record)}" for name, record in kept.items()})
    content = {
        "task": "text-video retrieval",
        **content,
        "split": {"videos": len(part.videos), "captions": len(part.encoded), "left_out": part.left_out},
        "checkpoints": {
            name: {key: one.about[key] for key in ("epoch", "val", "train")} for name, one in loaded.items()
        },
        "features": ", ".join(said) or "not recorded",
        "provenance": provenance.record(
            {name: one.about["options"] for name, one in loaded.items()},
            specs=part.frames.specs,
            weights=kept,
            device=str(target),
        ),
    }
    files.write_json(out, content, sort_keys=False)
    files.write_text(out.with_suffix(".md"), table(content))
    print(table(content), end="")


def _save(path: Path, matrix: Matrix) -> None:
    matrices.write(
        path,
        [matrix.values],
        matrix.values.shape,
        video_ids=matrix.video_ids,
        caption_ids=matrix.caption_ids,
        pairs=matrix.pairs,
        dtype=matrix.values.dtype,
    )


if __name__ == "__main__":
    cli.run(main)
