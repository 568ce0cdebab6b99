"""A similarity matrix and a relevance matrix → M.json: nDCG, mAP, recalls and ranks in both directions, with intervals."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline_lib.core import cli, files, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import directions, intervals, matrices, names
from pipeline_lib.retrieval.alignment import align
from pipeline_lib.retrieval.directions import Positives
from pipeline_lib.retrieval.intervals import Measured
from pipeline_lib.retrieval.matrices import Matrix


class Rows(StrEnum):
    """What the rows of a similarity stand for."""

    VIDEOS = "videos"
    CAPTIONS = "captions"


def load(path: Path, video_ids: Path | None, caption_ids: Path | None, rows: Rows, key: str | None) -> Matrix:
    """A similarity with videos as rows, called as the lists say, or as its file does."""
    found = matrices.read(path, key)
    if rows == Rows.CAPTIONS:
        found = Matrix(found.values.T)
    called = []
    for given, own, count, what in zip(
        (video_ids, caption_ids), found[1:3], found.values.shape, ("videos", "captions"), strict=True
    ):
        ids = names.read(given) if given else own
        if given and ids is not None and len(ids) != count:
            raise UserError(f"{given} names {len(ids)} {what} but {path} has {count}; give the list of the same split")
        called.append(ids)
    return Matrix(found.values, called[0], called[1])


def table(found: Mapping[str, Measured], title: str) -> Table:
    """A row per metric, a column per direction."""
    shown = Table(title=title)
    shown.add_column("")
    for direction in found:
        shown.add_column(direction.replace("_", " "), justify="right")
    reports = [one.report() for one in found.values()]
    for name in intervals.NAMES:
        cells = [_cell(report[name], digits=4 if name in intervals.NAMES[:3] else 1) for report in reports]
        shown.add_row(name.replace("_", " "), *cells)
    return shown


def _cell(report: dict[str, Any], digits: int) -> str:
    interval = ", ".join(f"{end:.{digits}f}" for end in report.get("ci95", []))
    return f"{report['value']:.{digits}f}" + (f" [{interval}]" if interval else "")


def main(
    similarity: Annotated[
        Path, typer.Option(help="scores, videos × captions: .npy, .pkl or .hdf5; higher is more alike")
    ],
    relevance: Annotated[Path, typer.Option(help="relevance, videos × captions: .hdf5, or upstream's .pkl and .hdf5")],
    out: Annotated[Path, typer.Option(help="metrics to write, JSON")],
    rows: Annotated[Rows, typer.Option(help="what the rows of the similarity are")] = Rows.VIDEOS,
    video_ids: Annotated[
        Path | None,
        typer.Option(help="videos of the similarity in its order (.npy, .json, .txt), to align the relevance by"),
    ] = None,
    caption_ids: Annotated[Path | None, typer.Option(help="captions of the similarity in its order")] = None,
    wanted: Annotated[
        Positives,
        typer.Option(
            "--positives",
            help="of recalls and ranks: pairs of the relevance file, relevance 1, or video i with caption i",
        ),
    ] = Positives.AUTO,
    baseline: Annotated[Path | None, typer.Option(help="another system's similarity, to measure differences")] = None,
    threshold: Annotated[float, typer.Option(help="relevance from which map_binary takes an item as relevant")] = 1.0,
    resamples: Annotated[int, typer.Option(min=0, help="of the bootstrap over queries; 0: no intervals")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap")] = 0,
    key: Annotated[str | None, typer.Option(help="dataset of an HDF5 similarity; by default rel_mat")] = None,
) -> None:
    """Measure text–video retrieval in both directions."""
    scores = load(similarity, video_ids, caption_ids, rows, key)
    graded = matrices.read(relevance)
    for given, ids, what in ((video_ids, graded.video_ids, "video"), (caption_ids, graded.caption_ids, "caption")):
        if given and ids is None:
            raise UserError(
                f"{relevance} doesn't say what its {what}s are called, so it can't be put into the order of {given}; leave "
                f"--{what}-ids out, or name them with pipeline_lib.retrieval.matrices --{what}-ids"
            )
    graded = align(scores, graded)
    chosen, pairs = directions.positives(wanted, graded)

    def measured(values: Any) -> tuple[dict[str, Measured], dict[str, dict[str, int]]]:
        queries = directions.measure(values, graded.values, pairs, threshold)
        return directions.summarise(queries, resamples, seed), directions.counts(queries, graded)

    found, counts = measured(scores.values)
    inputs = {"similarity_sha256": files.sha256(similarity), "relevance_sha256": files.sha256(relevance)}
    reports = {"results": found}
    if baseline:
        other = align(scores, load(baseline, video_ids, caption_ids, rows, key), name="baseline")
        base, _ = measured(other.values)
        reports |= {"baseline": base, "difference": {name: one.minus(base[name]) for name, one in found.items()}}
        inputs["baseline_sha256"] = files.sha256(baseline)
    options = {"threshold": threshold, "resamples": resamples, "seed": seed, "rows": str(rows)}
    content = {
        "task": "text-video retrieval",
        "positives": str(chosen),
        "counts": counts,
        **{kind: {name: one.report() for name, one in by.items()} for kind, by in reports.items()},
        "options": options,
        "inputs": inputs,
        "provenance": provenance.record(options | inputs, specs={}, weights={}, device="cpu"),
    }
    files.write_json(out, content, sort_keys=False)
    console = Console(width=None if Console().is_terminal else 130)
    for kind, by in reports.items():
        console.print(table(by, {"results": str(similarity), "baseline": str(baseline)}.get(kind, kind)))
    console.print(f"all metrics and provenance: {out}", markup=False)


if __name__ == "__main__":
    cli.run(main)
