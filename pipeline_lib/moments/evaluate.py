"""Predictions files and annotations → R1@IoU, mIoU, mAP and highlight metrics as JSON, and as tables beside it.

Works on any predictions file in QVHighlights' official format, whoever made it; several are compared on the same videos.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.annotations import by_path
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.core import cli, files, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import metrics, submission, tables
from pipeline_lib.moments.submission import Prediction

log = logging.getLogger(__name__)


def compare(
    systems: Mapping[str, Sequence[Prediction]], gold: Sequence[Moment], options: MomentsEvaluation
) -> dict[str, Any]:
    """{systems, and of several: baseline, differences}: each system's metrics, and those after the first minus the first.

    All draw the same videos, so that differences are paired.
    """
    measured: dict[str, metrics.Result] = {}
    for name, predictions in systems.items():
        try:
            measured[name] = metrics.measure(predictions, gold, options)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
    first, *others = measured
    found: dict[str, Any] = {"systems": {name: one.report() for name, one in measured.items()}}
    if others:
        found |= {
            "baseline": first,
            "differences": {name: measured[name].minus(measured[first]) for name in others},
        }
    return found


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Names of systems: what their files are called, with the folder where that is not enough."""
    stems = Counter(path.stem for path in paths)
    names = {path.stem if stems[path.stem] == 1 else str(path): path for path in paths}
    if len(names) < len(paths):
        twice = next(name for name, count in Counter(map(str, paths)).items() if count > 1)
        raise UserError(f"{twice} is given twice; give each predictions file once")
    return names


def main(
    predictions: Annotated[
        list[Path], typer.Option(help="JSONL in QVHighlights' official format; several are compared with the first")
    ],
    annotations: Annotated[
        Path,
        typer.Option(help="QVHighlights' JSONL, Charades-STA's txt, JSON of Charades-CD, Charades-CG or TACoS"),
    ],
    out: Annotated[Path, typer.Option(help="JSON of the metrics; the tables beside it are called .md")],
    dataset: Annotated[Dataset | None, typer.Option(help="of the annotations; by default told from the file")] = None,
    durations: Annotated[
        Path | None, typer.Option(help="Charades-STA: Charades_v1_*.csv; by default the one beside the annotations")
    ] = None,
    options: Annotated[
        str, typer.Option(help="moments.evaluation of the configuration, as JSON; keys left out keep defaults")
    ] = "{}",
) -> None:
    """Measure predicted moments and highlights."""
    wanted = cli.parse_options(MomentsEvaluation, options)
    paths = named(predictions)
    if out.suffix == ".md":
        raise UserError(f"--out {out} is where the tables go; give a name that ends in .json")
    for path in (annotations, *predictions, *([durations] if durations else [])):
        if path.resolve() in (out.resolve(), out.with_suffix(".md").resolve()):
            raise UserError(f"--out {out} would overwrite {path}, which is read; give another name")
    found = {name: submission.read(path) for name, path in paths.items()}
    kind, gold = by_path.read(annotations, dataset, durations)
    content: dict[str, Any] = {
        "task": "moment retrieval",
        "dataset": kind,
        **compare(found, gold, wanted),
        "options": as_dict(wanted),
        "files": {
            "annotations": {"name": annotations.name, "sha256": files.sha256(annotations)},
            "predictions": {name: files.sha256(path) for name, path in paths.items()},
        },
        "provenance": provenance.record(as_dict(wanted), specs={}, weights={}, device="cpu"),
    }
    files.write_json(out, content, sort_keys=False)
    table = tables.markdown(content)
    files.write_text(out.with_suffix(".md"), table)
    print(table, end="")


if __name__ == "__main__":
    cli.run(main)
