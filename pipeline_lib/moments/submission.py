"""Predicted windows of queries ↔ a predictions file as QVHighlights' official evaluation reads it: a JSON object per line."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, FiniteFloat

from pipeline_lib.annotations import reading
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError

DECIMALS = 4  # of all numbers that post-processing leaves, as published
_EXPECTED = (
    "{qid, query, vid, pred_relevant_windows: [[start, end, score]] best first, "
    "pred_saliency_scores: [score of each clip]}"
)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found for a query.

    Attributes:
        qid: number of the query, as in the annotations.
        query: its sentence.
        vid: its video.
        windows: (k, 3) float64: start and end in seconds, and score; best first; k may be 0.
        saliency: (clips,) float64, how well each clip of the video fits; None where it was not predicted.

    Raises:
        ValueError: windows or saliency have another shape, are not finite, or end before they start.
    """

    qid: int
    query: str
    vid: str
    windows: np.ndarray
    saliency: np.ndarray | None = None

    def __post_init__(self) -> None:
        windows = np.asarray(self.windows, np.float64)
        windows = windows if windows.size else windows.reshape(0, 3)
        if windows.ndim != 2 or windows.shape[1] != 3:
            raise ValueError(f"windows of shape {windows.shape}, not (k, 3)")
        if not np.isfinite(windows).all():
            raise ValueError("windows hold NaN or infinite numbers")
        if len(late := np.flatnonzero(windows[:, 0] > windows[:, 1])):
            start, end, _ = windows[late[0]]
            raise ValueError(f"window {late[0] + 1} starts at {start:g} s, after its end at {end:g} s")
        object.__setattr__(self, "windows", windows)
        if self.saliency is not None:
            saliency = np.asarray(self.saliency, np.float64)
            if saliency.ndim != 1 or not np.isfinite(saliency).all():
                raise ValueError("saliency is no list of finite numbers")
            object.__setattr__(self, "saliency", saliency)

    @property
    def best_first(self) -> bool:
        """Whether no window scores higher than one before it."""
        return bool((np.diff(self.windows[:, 2]) <= 0).all())


class _Line(BaseModel):
    qid: int
    query: str = ""
    vid: str = ""
    pred_relevant_windows: list[tuple[FiniteFloat, FiniteFloat, FiniteFloat]]
    pred_saliency_scores: list[FiniteFloat] | None = None


def read(path: Path) -> list[Prediction]:
    """The predictions of a file, in its order; windows keep their order too.

    Raises:
        UserError: the file is missing or empty, a line is malformed, or a query stands in it twice; names file and line.
    """
    found: list[Prediction] = []
    seen: dict[int, int] = {}
    for number, content in reading.lines(path):
        line = reading.checked(_Line, reading.parsed(content, path, number, _EXPECTED), path, number, _EXPECTED)
        if line.qid in seen:
            raise reading.wrong(
                path,
                number,
                f"qid {line.qid} stands in line {seen[line.qid]} already",
                "each qid once; remove one of them",
            )
        seen[line.qid] = number
        windows, saliency = np.array(line.pred_relevant_windows), line.pred_saliency_scores
        try:
            one = Prediction(line.qid, line.query, line.vid, windows, None if saliency is None else np.array(saliency))
        except ValueError as error:
            raise reading.wrong(path, number, f"qid {line.qid}: {error}", _EXPECTED) from None
        found.append(one)
    if not found:
        raise UserError(f"{path} holds no predictions; expected a line {_EXPECTED} for each query")
    return found


def write(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions atomically, a line each; numbers as they are."""
    with files.atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
        for one in predictions:
            line = {"qid": one.qid, "query": one.query, "vid": one.vid, "pred_relevant_windows": one.windows.tolist()}
            if one.saliency is not None:
                line["pred_saliency_scores"] = one.saliency.tolist()
            stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def finish(
    windows: ArrayLike,
    clip_length: float,
    longest: float = 150.0,
    nms: float | None = None,
    keep: int | None = None,
) -> np.ndarray:
    """Windows of one query as a network gives them → as they are handed in, (k, 3) best first.

    They are sorted by score (stable), rounded to 4 decimals, cut to [0, longest], rounded to whole clips (then cut again:
    `longest` may be none) and, if wanted, thinned out. MESM does so (utils/post_processing.py, its max_ts_val is `longest`:
    1000 s for TACoS, otherwise 150), in float32, which decides ties between two clips here too; what comes out here has 4
    decimals and not float32's tail.

    Args:
        windows: (k, 3) start and end in seconds, score; in any order.
        clip_length: seconds of a clip; -1: times stay as they are.
        longest: end of the time that windows may take up, in seconds.
        nms: a window goes if it overlaps a better one by more than this IoU; None: all stay.
        keep: windows at most that come out; None: all.
    """
    rows = np.asarray(windows, np.float64).reshape(-1, 3)
    rows = rows[np.argsort(-rows[:, 2], kind="stable")]
    rows = _rounded(rows)
    times = np.clip(rows[:, :2], 0.0, longest)
    if clip_length > 0:
        length = np.float32(clip_length)
        times = np.minimum(np.round(times.astype(np.float32) / length) * length, longest)
    rows = _rounded(np.column_stack([times, rows[:, 2]]))
    if nms is not None:
        rows = rows[_kept(rows, nms)]
    return rows[:keep]


def _rounded(rows: np.ndarray) -> np.ndarray:
    """To 4 decimals, as printing rounds: np.round multiplies first, which moves some ties."""
    return np.array([[round(value, DECIMALS) for value in row] for row in rows.tolist()]).reshape(-1, 3)


def _kept(rows: np.ndarray, most: float) -> Sequence[int]:
    """Rows (sorted) that overlap no better row that stays by more than `most`."""
    kept: list[int] = []
    for number, (start, end, _) in enumerate(rows.tolist()):
        for other in kept:
            first, last = rows[other, :2]
            hull = max(end, last) - min(start, first)
            if hull > 0 and max(0.0, min(end, last) - max(start, first)) / hull > most:
                break
        else:
            kept.append(number)
    return kept
