"""Predictions and annotations → moments_report.html: each query's timeline of gold moments, predicted windows and saliency.

Pictures stand in the page itself or, when they are many, in a folder beside it: moments_report_assets/<sha256>.jpg.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import pipeline_lib
from pipeline_lib.annotations import by_path
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.config.video import Video as Decoding
from pipeline_lib.core import arguments, cli, files, provenance
from pipeline_lib.core.progress import track
from pipeline_lib.moments import metrics, packing, submission
from pipeline_lib.moments.metrics import Result
from pipeline_lib.moments.report_view import COLUMNS, HIT, IOUS, STRICT, Query, View, query_view, summary
from pipeline_lib.report import page
from pipeline_lib.report.assets import Assets, Place
from pipeline_lib.report.stills import Stills

log = logging.getLogger(__name__)


def looked_at(result: Result, gold: Sequence[Moment], options: MomentsEvaluation) -> list[Query]:
    """Each gold query with its prediction and what it scores, as it was measured."""
    predictions = result.aligned.predictions
    windows = packing.pack(predictions, gold, options.top)
    recalls = metrics.recalls(windows, [HIT, STRICT])
    precisions = metrics.precisions(windows, options.precision_at)["mAP"] / 100
    real = np.arange(windows.gold.shape[1]) < windows.golds[:, None]
    ious = np.where(real[:, None], metrics.overlaps(windows.predicted[:, :, :2], windows.gold), 0.0).max(axis=2)
    return [
        Query(
            moment,
            predictions[place],
            ious[place, : windows.counts[place]],
            (bool(recalls[f"R1@{HIT:g}"][place]), bool(recalls[f"R1@{STRICT:g}"][place])),
            float(precisions[place]),
        )
        for place, moment in enumerate(gold)
    ]


def illustrated(queries: Sequence[Query], stills: Stills, count: int) -> list[Query]:
    """The queries with `count` pictures of their video at even distances; every video is opened once."""
    durations = {query.moment.video_id: query.moment.duration for query in queries}
    found = {}
    for video_id, duration in track(durations.items(), "pictures", total=len(durations)):
        times = [duration * (place + 0.5) / count for place in range(count)]
        found[video_id] = (times, *stills.of(video_id, times))
    return [
        replace(query, times=times, stills=held, reason=reason)
        for query in queries
        for times, held, reason in [found[query.moment.video_id]]
    ]


def render(
    name: str,
    queries: Sequence[Query],
    result: Result,
    options: MomentsEvaluation,
    src: Callable[[bytes], str],
    about: View,
    shown: int = 5,
) -> str:
    """The page.

    Args:
        name: of the system.
        queries: the ones that are shown.
        result: what was measured of all.
        src: JPEG bytes → the address of the picture.
        about: provenance.
        shown: predicted windows of a query, at least.
    """
    ranges = {key: ends for key, ends in options.ranges.items() if key in result.by_range}
    views = [query_view(query, ranges, shown, src) for query in queries]
    aligned = result.aligned
    notes = [
        f"{len(qids)} of {len(aligned.predictions)} queries {what}."
        for qids, what in (
            (aligned.missing, "have no prediction; they count as misses"),
            (aligned.empty, "are predicted without windows; they count as misses"),
            (aligned.unsorted, "have windows that aren't best first; they are shown as they stand"),
            (
                aligned.beyond,
                "have windows that go beyond the video; they are measured as they are, and drawn up to its end",
            ),
        )
        if qids
    ]
    if len(queries) < len(aligned.predictions):
        notes.append(
            f"The first {len(queries)} of {len(aligned.predictions)} queries are shown; the table is about all of them."
        )
    without = sum(bool(query.reason) for query in queries)
    notes += [f"{without} of {len(queries)} queries have no pictures; each says why."] if without else []
    columns = [name for name in COLUMNS if name in result.by_range[metrics.FULL].values]
    return page.render(
        "moments_report.html.j2",
        package="pipeline_lib.moments",
        title="Moment retrieval, query by query",
        lead=f"{name}: predicted windows of {len(queries)} queries about {result.videos} videos, beside the gold ones.",
        notes=notes,
        provenance=about,
        scripts=["moments_report.js"],
        styles=["moments_report.css"],
        summary={"columns": ["Moments", "Queries", "Gold windows", *columns], "rows": summary(result, ranges, columns)},
        lengths=[(key, f"{low:g}–{high:g} s") for key, (low, high) in ranges.items()],
        ious=[(value, text) for value, text, _ in IOUS],
        queries=views,
    )


def main(
    predictions: Annotated[Path, typer.Option(help="JSONL in QVHighlights' official format")],
    annotations: Annotated[
        Path,
        typer.Option(help="QVHighlights' JSONL, Charades-STA's txt, JSON of Charades-CD, Charades-CG or TACoS"),
    ],
    out: Annotated[Path, typer.Option(help="moments_report.html")],
    videos: Annotated[
        Path | None, typer.Option(help="folder of video files called by their ids, or of the videos' ledgers")
    ] = None,
    frames: Annotated[Path | None, typer.Option(help="folder of the ledgers of stored frames, <work>/frames")] = None,
    dataset: Annotated[Dataset | None, typer.Option(help="of the annotations; by default told from the file")] = None,
    durations: Annotated[
        Path | None, typer.Option(help="Charades-STA: Charades_v1_*.csv; by default the one beside the annotations")
    ] = None,
    options: Annotated[
        str, typer.Option(help="moments.evaluation of the configuration, as JSON; keys left out keep defaults")
    ] = "{}",
    video: arguments.Video = "{}",
    every: Annotated[float, typer.Option(min=0.01, help="seconds between the frames of a video to choose from")] = 1.0,
    limit: Annotated[int | None, typer.Option(min=1, help="queries to show, the first ones")] = None,
    shown: Annotated[
        int, typer.Option("--windows", min=1, help="of a query to show, and all up to the first right one")
    ] = 5,
    count: Annotated[int, typer.Option("--pictures-per-video", min=1, help="at even distances")] = 8,
    side: Annotated[int, typer.Option("--picture-side", min=32, help="long side of a picture in pixels")] = 160,
    place: Annotated[
        Place, typer.Option("--pictures", help="auto: in the page up to 12 MB, else in a folder")
    ] = Place.AUTO,
) -> None:
    """Make the page for looking at predicted moments one by one."""
    wanted = cli.parse_options(MomentsEvaluation, options).model_copy(update={"bootstrap": 0})
    found = submission.read(predictions)
    kind, gold = by_path.read(annotations, dataset, durations)
    result = metrics.measure(found, gold, wanted)
    queries = looked_at(result, gold, wanted)[:limit]
    if videos is not None or frames is not None:
        with Stills(frames, videos, cli.parse_options(Decoding, video, "--video"), every, side) as stills:
            queries = illustrated(queries, stills, count)
    contents = (query.stills[time].content for query in queries for time in query.times if time in query.stills)
    assets = Assets(out, contents, place)
    about: dict[str, Any] = {
        "predictions": {"file": predictions.name, "sha256": files.sha256(predictions)},
        "annotations": {"file": annotations.name, "sha256": files.sha256(annotations), "dataset": kind},
        "options": as_dict(wanted),
        "page": {
            "code": {"version": pipeline_lib.__version__, "commit": provenance.commit()},
            "packages": provenance.versions(),
        },
    }
    files.write_text(out, render(predictions.stem, queries, result, wanted, assets.src, about, shown))
    assets.tidy()
    log.info("%s: %d queries, %.1f MB", out.name, len(queries), out.stat().st_size / 1e6)


if __name__ == "__main__":
    cli.run(main)
