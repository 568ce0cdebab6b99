"""A query's gold moments, predicted windows, saliency and pictures → the plain values that moments_report.html.j2 prints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.moments.metrics import FULL, Result
from pipeline_lib.moments.submission import Prediction
from pipeline_lib.report.stills import Still

View = dict[str, Any]
Ranges = Mapping[str, tuple[float, float]]

HIT, STRICT = 0.5, 0.7  # IoU from which a window is right
STEPS = 200  # of a curve, at most
#: Filter of the IoU of a query's first window: value, text, and the IoU that it ends at.
IOUS = (
    ("0", "0", 0.0),
    ("0-0.3", "up to 0.3", 0.3),
    ("0.3-0.5", "0.3–0.5", HIT),
    ("0.5-0.7", "0.5–0.7", STRICT),
    ("0.7-0.9", "0.7–0.9", 0.9),
    ("0.9-1", "from 0.9", 2.0),
)
COLUMNS = ("R1@0.3", "R1@0.5", "R1@0.7", "mIoU", "mAP@0.5", "mAP@0.75", "mAP")


@dataclass(frozen=True)
class Query:
    """What is known of a query.

    Attributes:
        ious: of each predicted window that counts with the gold window it overlaps most.
        hits: whether the first window reaches HIT, and STRICT, as R1 counts.
        precision: average precision, the mean over thresholds, from 0 to 1.
        times: of the pictures wanted.
        reason: why there are no pictures, or "".
    """

    moment: Moment
    prediction: Prediction | None
    ious: np.ndarray
    hits: tuple[bool, bool]
    precision: float
    times: Sequence[float] = ()
    stills: Mapping[float, Still] = field(default_factory=dict)
    reason: str = ""

    @property
    def iou(self) -> float:
        """Of the first window; 0 without any."""
        return float(self.ious[0]) if len(self.ious) else 0.0

    @property
    def right(self) -> np.ndarray:
        """Which windows that count are right; the first as R1 says, whose IoU may have another last digit."""
        found = self.ious >= HIT
        found[:1] = self.hits[0]
        return found

    @property
    def later(self) -> int | None:
        """The rank, from 1, of the first window that is right where the first one isn't; None if there is none."""
        right = np.flatnonzero(self.right)
        return None if self.hits[0] or not len(right) else int(right[0]) + 1


def query_view(query: Query, ranges: Ranges, shown: int, src: Callable[[bytes], str]) -> View:
    """One item of the page.

    Args:
        ranges: of the gold windows' lengths, for the filter.
        shown: how many predicted windows; more if the first right one comes later.
        src: JPEG bytes → the address of the picture.
    """
    moment, prediction = query.moment, query.prediction
    rows = np.zeros((0, 3)) if prediction is None else prediction.windows[: max(shown, query.later or 0)]
    length = max(end - start for start, end in moment.windows)
    windows = [_window(rank, row, query) for rank, row in enumerate(rows.tolist())]
    return {
        "slug": str(moment.query_id),
        "qid": moment.query_id,
        "sentence": moment.sentence or "(no sentence)",
        "video_id": moment.video_id,
        "duration": moment.duration,
        "outcome": _outcome(query),
        "iou": f"{query.iou:.2f}" if len(rows) else "–",
        "precision": f"{query.precision:.2f}",
        "later": query.later,
        "gold": [{"start": start, "end": end} for start, end in moment.windows],
        "tokens": _tokens(query, ranges),
        "sort": {
            "iou": round(query.iou, 4),
            "precision": round(query.precision, 4),
            "score": float(rows[0, 2]) if len(rows) else -1e9,
            "length": round(length, 3),
            "duration": moment.duration,
        },
        "text": f"{moment.sentence} {moment.video_id} {moment.query_id}",
        "tracks": _tracks(moment, windows),
        "windows": windows,
        "curves": _curves(moment, prediction),
        "frames": [_frame(query.stills[time], src) for time in query.times if time in query.stills],
        "reason": query.reason,
    }


def _outcome(query: Query) -> str:
    if not len(query.ious):
        return "none"
    return "hit" if query.hits[0] else "miss"


def _tokens(query: Query, ranges: Ranges) -> dict[str, list[str]]:
    """What the filters look for."""
    first = [_outcome(query)] + (["strict"] if query.hits[1] else []) + (["later"] if query.later else [])
    if first[0] == "none":
        first.append("miss")
    lengths = [end - start for start, end in query.moment.windows]
    inside = [name for name, (low, high) in ranges.items() if any(low < length <= high for length in lengths)]
    several = ["one" if len(lengths) == 1 else "several"]
    return {"first": first, "length": inside, "iou": [_bucket(query)], "moments": several}


def _bucket(query: Query) -> str:
    if query.iou <= 0:
        return IOUS[0][0]
    return next(name for name, _, end in IOUS if query.iou < end)


def _window(rank: int, row: Sequence[float], query: Query) -> View:
    start, end, score = row
    counts = rank < len(query.ious)
    iou = float(query.ious[rank]) if counts else 0.0
    return {
        "rank": rank + 1,
        "start": start,
        "end": end,
        "score": f"{score:.3g}",
        "iou": f"{iou:.2f}",
        "mark": "correct" if counts and query.right[rank] else "wrong",
    }


def _tracks(moment: Moment, windows: Sequence[View]) -> list[View]:
    gold = [_span(moment, start, end, "", "gold moment", "gold", None) for start, end in moment.windows]
    tracks = [{"label": "gold", "spans": gold}]
    for one in windows:
        title = f"window {one['rank']}, score {one['score']}, IoU {one['iou']}"
        data = {"window": one["rank"]}
        span = _span(moment, one["start"], one["end"], f"IoU {one['iou']}", title, one["mark"], data)
        tracks.append({"label": f"{one['rank']} · {one['score']}", "spans": [span]})
    return tracks


def _span(moment: Moment, start: float, end: float, text: str, title: str, kind: str, data: View | None) -> View:
    """A span of the timeline, cut to the video."""
    low, high = (min(max(time, 0.0), moment.duration) for time in (start, end))
    if (low, high) != (start, end):
        title += f", beyond the video: {start:g}–{end:g} s"
    return {"start": low, "end": high, "text": text, "title": title, "kind": None, "classes": kind, "data": data}


def _curves(moment: Moment, prediction: Prediction | None) -> list[View]:
    """Predicted saliency, and people's where there is any."""
    curves = []
    if prediction is not None and prediction.saliency is not None and len(prediction.saliency):
        values = prediction.saliency
        low, high = float(values.min()), float(values.max())
        title = f"predicted saliency of {len(values)} clips, from {low:.3g} to {high:.3g}"
        curves.append({"label": "saliency", "title": title, **_path(values, low, high)})
    if moment.clips:
        rated = np.zeros(max(round(moment.duration / 2), max(moment.clips) + 1))
        rated[list(moment.clips)] = np.array(moment.saliency).mean(axis=1)
        title = f"mean rating of {len(moment.saliency[0])} people, 0 to 4"
        curves.append({"label": "ratings", "title": title, **_path(rated, 0.0, 4.0)})
    return curves


def _path(values: np.ndarray, low: float, high: float) -> View:
    """A curve of steps in a box of `count` × 100; of more than STEPS values the largest of neighbours."""
    starts = np.unique(np.linspace(0, len(values), min(len(values), STEPS), endpoint=False).astype(int))
    steps = np.maximum.reduceat(values, starts)
    heights = np.round(95 - 90 * (steps - low) / (high - low)).astype(int) if high > low else np.full(len(steps), 50)
    path = "".join(f"V{height}H{place}" for place, height in enumerate(heights.tolist(), 1))
    return {"count": len(steps), "path": f"M0 100{path}V100Z"}


def _frame(still: Still, src: Callable[[bytes], str]) -> View:
    return {"src": src(still.content), "time": round(still.time, 3)}


def summary(result: Result, ranges: Ranges, columns: Sequence[str]) -> list[list[Any]]:
    """A row for all queries and for each range of lengths: what was measured."""
    rows: list[list[Any]] = []
    for part, one in result.by_range.items():
        label = "all" if part == FULL else f"{ranges[part][0]:g}–{ranges[part][1]:g} s"
        queries, windows = result.sizes[part]
        rows.append([label, queries, windows, *(round(one.values[name], 1) for name in columns)])
    return rows
