"""Detections per frame → the frames where the object was probably seen, in the files that EgoLoc and VQ2D's challenge read.

The signal is each frame's best score, 0 where nothing was found. It is median filtered (scipy pads the ends with zeros) and
searched with scipy.signal.find_peaks, as in VQ2D's perform_vq_inference.py and in comments of EgoLoc's scripts.
"""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.signal import find_peaks, medfilt

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.vq2d_peaks import Peaks
from pipeline_lib.core import arguments, cli
from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import detections, json_files, peak_files
from pipeline_lib.vq2d.detections import QueryDetections
from pipeline_lib.vq2d.peak_files import KeptBox, QueryPeaks, Schema

log = logging.getLogger(__name__)


class Mode(StrEnum):
    """Which peaks are kept."""

    ALL = "all"
    LAST = "last"


@dataclass(frozen=True)
class Found:
    """Positions in the search window.

    Attributes:
        kept: ascending; all of them have a box.
        is_fall_back: no peak was found, so that `kept` is what the mode does then.
    """

    signal: np.ndarray  # (frames,) float
    smoothed: np.ndarray  # (frames,) float
    peaks: np.ndarray  # (n,) int, those of find_peaks that reach the threshold
    kept: list[int]
    is_fall_back: bool


def signal(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Best score of each frame, 0 where there is no box."""
    return np.array([frame.max() if len(frame) else 0.0 for frame in scores], dtype=float)


def smooth(values: np.ndarray, sigma: int) -> np.ndarray:
    """Median of `sigma` frames around each, one more if even; frames beyond the ends count as 0."""
    if not len(values):
        return values
    with warnings.catch_warnings():  # "kernel_size exceeds volume extent": a window shorter than the filter
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(medfilt(values, sigma + (sigma % 2 == 0)))


def find(query: QueryDetections, options: Peaks) -> Found:
    """The peaks of a query's signal, and which frames they make the mode keep.

    Without a peak: `all` keeps every frame, as EgoLoc's file does; `last` the last one, as VQ2D's code does. After smoothing
    a frame without boxes can be a peak: the nearest one that has boxes is kept for it, the earlier of two.
    """
    raw = signal(query.scores)
    smoothed = smooth(raw, options.smoothing_sigma)
    peaks, _ = find_peaks(
        smoothed, distance=options.distance, width=options.width, prominence=options.prominence, wlen=options.wlen
    )
    peaks = peaks[smoothed[peaks] >= options.peak_similarity_thresh]
    boxed = np.array([i for i, scores in enumerate(query.scores) if len(scores)], dtype=int)
    last = slice(-1, None) if options.mode == "last" else slice(None)
    if len(peaks) and len(boxed):
        kept = sorted({int(boxed[np.abs(boxed - peak).argmin()]) for peak in peaks[last]})
    else:
        kept = boxed[last].tolist()
    return Found(raw, smoothed, peaks, kept, not len(peaks))


def clip_scores(similarity: Sequence[float | None] | None, kept: Sequence[int], scale: float) -> list[float]:
    """Softmax over the kept frames of `scale` times each one's similarity to the crop; equal shares without similarities.

    Rounded to float16: every clip_score of EgoLoc's published files is one, so their sums are 1 within some 3e-4.
    """
    known = [similarity[i] if similarity is not None else None for i in kept]
    if all(value is None for value in known):
        known = [0.0] * len(kept)
    logits = scale * np.array([-np.inf if value is None else value for value in known], dtype=float)
    shares = np.exp(logits - logits.max(initial=-np.inf))
    return [float(share) for share in (shares / shares.sum()).astype(np.float16)]


def keep(query: QueryDetections, options: Peaks) -> QueryPeaks:
    """The best box of every kept frame of a query."""
    found = find(query, options)
    scores = clip_scores(query.clip_similarity, found.kept, options.clip_logit_scale)
    boxes = []
    for i, clip_score in zip(found.kept, scores, strict=True):
        best = int(query.scores[i].argmax())
        x1, y1, x2, y2 = query.boxes[i][best].tolist()
        fno = int(query.frame_numbers[i])
        boxes.append(KeptBox(fno, x1, y1, x2, y2, clip_score, detection_score=float(query.scores[i][best])))
    about = replace(
        query, boxes=(), scores=(), frames=None, clip_similarity=None
    )  # a split's boxes don't fit in memory
    return QueryPeaks(about, boxes, len(query.boxes), found.is_fall_back)


def _all(path: Path, options: Peaks) -> Iterator[QueryPeaks]:
    for query in detections.read(path):
        peaks = keep(query, options)
        if not peaks.boxes:
            log.warning("%s: no frame has a box; its list is empty", query.uid)
        elif query.frame_numbers[-1] < query.query_frame - 1:
            log.warning(
                "%s: searched to frame %d of %d only", query.uid, query.frame_numbers[-1], query.query_frame - 1
            )
        yield peaks


def main(
    source: Annotated[Path, typer.Option("--detections", help="baseline_vq3d_detection_….json, packed or not")],
    out: Annotated[Path, typer.Option(help="vq2d_val_vq3d_peak_clip.json; packed if it ends with .gz")],
    mode: Annotated[Mode | None, typer.Option(help="keep every peak (EgoLoc) or the last one (VQ2D)")] = None,
    schema: Annotated[
        Schema | None, typer.Option(help="predictions' lists or the challenge's; by default what the detections are")
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(help="queries in the order wanted: val_annot.json.gz, or vq_test_unannotated.json for test"),
    ] = None,
    smoothing_sigma: Annotated[int | None, typer.Option(help="frames of the median filter [5]")] = None,
    distance: Annotated[float | None, typer.Option(help="least frames between peaks [25]")] = None,
    width: Annotated[float | None, typer.Option(help="least width of a peak in frames [3]")] = None,
    prominence: Annotated[float | None, typer.Option(help="least prominence of a peak [0.2]")] = None,
    wlen: Annotated[int | None, typer.Option(help="frames in which prominence is measured [all]")] = None,
    peak_similarity_thresh: Annotated[float | None, typer.Option(help="least smoothed score of a peak [0]")] = None,
    options: arguments.Options = "{}",
) -> None:
    """Find the peaks of every query of a detection file."""
    given = {
        "mode": mode,
        "smoothing_sigma": smoothing_sigma,
        "distance": distance,
        "width": width,
        "prominence": prominence,
        "wlen": wlen,
        "peak_similarity_thresh": peak_similarity_thresh,
    }
    given = {key: value for key, value in given.items() if value is not None}
    wanted = cli.parse_options(Peaks, json.dumps(as_dict(cli.parse_options(Peaks, options)) | given))
    found = list(_all(source, wanted))
    if schema is None:
        if not found and annotations is None:
            raise UserError(f"{source} has no queries; say --schema val or --schema test to write an empty file")
        schema = Schema.TEST if found and not isinstance(found[0].query.dataset_uid, str) else Schema.VAL
    json_files.write(out, peak_files.content(found, schema, mode=wanted.mode, annotations=annotations))
    print(f"# queries    : {len(found)}")
    print(f"# boxes kept : {sum(len(one.boxes) for one in found)}")
    print(f"# fall-backs : {sum(one.is_fall_back for one in found)} without a peak")
    print(f"# empty      : {sum(not one.boxes for one in found)}")


if __name__ == "__main__":
    cli.run(main)
