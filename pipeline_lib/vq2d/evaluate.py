"""A file of predicted tracks or peaks, and the annotations → VQ2D's metrics, and how often peaks hit the last appearance."""

import logging
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.core import cli, files, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import annotations as annotation_files
from pipeline_lib.vq2d import json_files, metrics, peak_metrics
from pipeline_lib.vq2d.tracks import NotContiguousError, Track

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Metrics(StrEnum):
    """What is measured."""

    BOTH = "both"
    TRACKS = "tracks"
    PEAKS = "peaks"


def evaluate(predictions: Json, queries: Sequence[Json], wanted: str) -> Json:
    """{queries, left_out, missing, tracks: {…}, peaks: {…}}; `metrics` and `peak_metrics` say what the names mean.

    Args:
        predictions: the six lists of a val file.
        queries: flat annotations with response_track, in the order that equal scores are ranked by.
    """
    by_uid = annotation_files.unique(zip(predictions["dataset_uids"], _candidates(predictions), strict=True))
    annotation_files.unique((query["dataset_uid"], query) for query in queries)
    gold, kept, tracks, frames = [], [], [], []
    left_out, missing = [], []
    places = {uid: i for i, uid in enumerate(predictions["dataset_uids"])}
    for query in queries:
        uid = query["dataset_uid"]
        try:
            truth = Track.of([_corners(box) for box in query["response_track"]])
        except NotContiguousError as error:
            log.warning("%s is left out: of its gold track %s", uid, error)
            left_out.append(uid)
            continue
        if uid not in by_uid:
            missing.append(uid)
        candidates = by_uid.get(uid, [])
        gold.append(truth)
        kept.append([box for candidate in candidates for box in candidate["bboxes"]])
        if wanted != Metrics.PEAKS:
            tracks.append([_track(uid, candidate) for candidate in candidates])
        frames.append(
            [predictions[key][places[uid]] if uid in places else 0 for key in ("accessed_frames", "total_frames")]
        )
    extra = len(set(by_uid) - {query["dataset_uid"] for query in queries})
    for what, count in (
        ("annotated queries have no prediction", len(missing)),
        ("predictions have no annotation", extra),
    ):
        if count:
            log.warning("%d %s", count, what)
    if not gold:
        raise UserError("no query has both an annotation and a gold track; are the two files of one split?")
    result: Json = {"queries": len(gold), "left_out": len(left_out), "missing": len(missing)}
    if wanted != Metrics.PEAKS:
        accessed, total = zip(*frames, strict=True)
        result["tracks"] = _rounded(metrics.measure(tracks, gold, accessed, total))
    if wanted != Metrics.TRACKS:
        result["peaks"] = _rounded(peak_metrics.measure(kept, gold))
    return result


def _candidates(predictions: Json) -> list[list[Json]]:
    """Tracks of each query: the official file has a list, EgoLoc's and ours the track itself."""
    return [one if isinstance(one, list) else [one] for one in predictions["predicted_response_track"]]


def _track(uid: str, candidate: Json) -> Track:
    try:
        return Track.of(candidate["bboxes"], float(candidate.get("score", 1.0)))
    except NotContiguousError as error:
        raise UserError(
            f"{uid}: {error}. VQ2D's metrics are of tracks, with a box in every frame from the first to the last; this is a file "
            "of peaks. Measure it with --metrics peaks, or make tracks of it first"
        ) from None


def _corners(box: Json) -> Json:
    x, y = box["x"], box["y"]
    return {"fno": box["frame_number"], "x1": x, "y1": y, "x2": x + box["width"], "y2": y + box["height"]}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}


def main(
    predictions: Annotated[Path, typer.Option(help="val file of pipeline_lib.vq2d.peaks, or of EgoLoc or VQ2D")],
    annotations: Annotated[Path, typer.Option(help="val_annot.json.gz, or another list of flat queries")],
    out: Annotated[Path, typer.Option(help="metrics to write, JSON")],
    wanted: Annotated[Metrics, typer.Option("--metrics", help="of tracks, of peaks, or both")] = Metrics.BOTH,
    weights: Annotated[list[Path] | None, typer.Option(help="JSON files that say what the networks are")] = None,
) -> None:
    """Measure predictions of queries whose gold tracks are known."""
    content = json_files.read(predictions)
    if not isinstance(content, dict) or "results" in content or "predictions" not in content:
        raise UserError(
            f"{predictions} is no val file with `predictions`; the challenge's files are measured by its server"
        )
    queries = annotation_files.read_flat(annotations)
    try:
        result = evaluate(content["predictions"], queries, wanted)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UserError(
            f"{predictions} or {annotations} has a wrong or missing entry: {error}; make it again"
        ) from None
    about = {path.stem: files.read_json(path) for path in weights or []}
    untrained = sorted(name for name, one in about.items() if not one.get("trained", True))
    notes = (
        [f"Untrained networks ({', '.join(untrained)}): these numbers say nothing of real data."] if untrained else []
    )
    config = {"predictions_sha256": files.sha256(predictions), "annotations_sha256": files.sha256(annotations)}
    record = provenance.record(config, specs={}, weights=about, device="cpu")
    files.write_json(
        out, {"task": "visual queries in 2D", "notes": notes, **result, "inputs": config, "provenance": record}
    )
    for kind in ("tracks", "peaks"):
        for name, value in result.get(kind, {}).items():
            print(f"{kind:<7}{name:<18} {value:10.3f}")


if __name__ == "__main__":
    cli.run(main)
