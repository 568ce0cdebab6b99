"""Predictions for 10,000 queries → how much faster all metrics of moments and highlights are than query by query.

python benchmarks/moments_metrics.py --out benchmarks/results/moments_metrics.json [--moment-detr ../moment_detr]

Both find R1 at 11 thresholds, mIoU and mAP at 10 of four ranges of length, and highlights at three levels. `loop`
does what standalone_eval/eval.py of Moment-DETR does in one process: each query, window, threshold and gold window in turn.
With --moment-detr its own code runs as well, which starts 8 processes for each metric and range, and gives no mIoU. Programs
take turns, each in a process of its own; predictions are in memory beforehand. `ours, intervals` adds 1000 resamples.
"""

import contextlib
import io
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.core import files
from pipeline_lib.moments import metrics
from pipeline_lib.moments.submission import Prediction

QUERIES, VIDEOS, CLIPS = 10_000, 2_500, 75
THRESHOLDS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
RANGES = {"full": None, "short": (0, 10), "middle": (10, 30), "long": (30, 150)}
PROGRAMS = ("loop", "ours", "ours, intervals")


def prepare() -> tuple[list[Prediction], list[Moment]]:
    """Queries as QVHighlights' are: windows of whole clips, 1.8 on average, and ten predictions, some of them near."""
    random = np.random.default_rng(0)
    predictions, gold = [], []
    for qid in range(QUERIES):
        cuts = np.sort(random.choice(CLIPS, size=2 * min(1 + random.poisson(0.8), 6), replace=False)) * 2.0
        windows = cuts.reshape(-1, 2)
        rated = np.concatenate([np.arange(a / 2, b / 2) for a, b in windows]).astype(int)
        ratings = random.integers(0, 5, size=(len(rated), 3))
        near = windows[random.integers(len(windows), size=10)] + random.normal(scale=6, size=(10, 2))
        spans = np.sort(np.clip(np.round(near / 2) * 2, 0, 150), axis=1)
        rows = np.column_stack([spans, np.sort(random.random(10).round(4))[::-1]])
        vid = f"video{qid % VIDEOS}"
        shown = tuple((float(a), float(b)) for a, b in windows)
        gold.append(
            Moment(vid, qid, "", shown, 150.0, "val", tuple(rated.tolist()), tuple(map(tuple, ratings.tolist())))
        )
        predictions.append(Prediction(qid, "", vid, rows, random.normal(size=CLIPS)))
    return predictions, gold


def ours(predictions: list[Prediction], gold: list[Moment], resamples: int) -> list[float]:
    """All numbers of the table, in the order of `loop`."""
    recall = [0.3, *THRESHOLDS]
    ranges = {name: ends for name, ends in RANGES.items() if ends}
    options = MomentsEvaluation(recall_at=recall, precision_at=THRESHOLDS, ranges=ranges, bootstrap=resamples)
    report = metrics.evaluate(predictions, gold, options)
    found = []
    for name in RANGES:
        keys = [*(f"R1@{one:g}" for one in recall), "mIoU", *(f"mAP@{one:g}" for one in THRESHOLDS)]
        found += [report["ranges"][name][key]["value"] for key in keys]
    return found + [one[key]["value"] for one in report["highlights"].values() for key in ("mAP", "HIT@1")]


def loop(predictions: list[Prediction], gold: list[Moment]) -> list[float]:
    """The same, query by query."""
    found: list[float] = []
    for ends in RANGES.values():
        recalls, overlaps, precisions = [], [], []
        for one, moment in zip(predictions, gold, strict=True):
            kept = [w for w in moment.windows if ends is None or ends[0] < w[1] - w[0] <= ends[1]]
            if not kept:
                continue
            best = cross(one.windows[:1, :2], np.array(kept))[0].max()
            overlaps.append(best)
            recalls.append([best >= threshold for threshold in (0.3, *THRESHOLDS)])
            precisions.append(average_precision(one.windows[:10].tolist(), np.array(kept)))
        for part in (np.array(recalls), np.array(overlaps)[:, None], np.array(precisions)):
            found += (100 * part.mean(axis=0)).tolist()
    for least in (2, 3, 4):
        hits, scores = [], []
        for one, moment in zip(predictions, gold, strict=True):
            positive = np.zeros((CLIPS, 3), bool)
            positive[list(moment.clips)] = np.array(moment.saliency) >= least
            hits.append(positive[one.saliency.argmax()].max())
            scores += [highlight(positive[:, person], one.saliency) for person in range(3)]
        found += [100 * float(np.mean(scores)), 100 * float(np.mean(hits))]
    return found


def cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    inner = np.minimum(one[:, None, 1], other[None, :, 1]) - np.maximum(one[:, None, 0], other[None, :, 0])
    inner = np.clip(inner, 0, None)
    union = (one[:, 1] - one[:, 0])[:, None] + (other[:, 1] - other[:, 0])[None] - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def average_precision(windows: list[list[float]], gold: np.ndarray) -> list[float]:
    taken = np.zeros((len(THRESHOLDS), len(gold)), bool)
    hits = np.zeros((len(THRESHOLDS), len(windows)))
    for rank, window in enumerate(sorted(windows, key=lambda one: -one[2])):
        ious = cross(np.array([window[:2]]), gold)[0]
        for level, threshold in enumerate(THRESHOLDS):
            for place in ious.argsort(kind="stable")[::-1]:
                if ious[place] < threshold:
                    break
                if not taken[level, place]:
                    taken[level, place], hits[level, rank] = True, 1
                    break
    found = []
    for row in hits:
        reached = np.cumsum(row)
        precision = np.r_[0, reached / np.arange(1, len(row) + 1), 0]
        recall = np.r_[0, reached / len(gold), 1]
        for place in range(len(precision) - 2, -1, -1):
            precision[place] = max(precision[place], precision[place + 1])
        steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
        found.append(float(((recall[steps] - recall[steps - 1]) * precision[steps]).sum()))
    return found


def highlight(positive: np.ndarray, scores: np.ndarray) -> float:
    if positive.all() or not positive.any():
        return float(positive.all())
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    found = np.cumsum(positive[order])[last]
    precision = found / (last + 1)
    for place in range(len(precision) - 2, -1, -1):
        precision[place] = max(precision[place], precision[place + 1])
    return float(precision[np.diff(found, prepend=0) > 0].mean())


def published(folder: Path, predictions: list[Prediction], gold: list[Moment]) -> Any:
    """Moment-DETR's own evaluation, ready to be called."""
    sys.path.insert(0, str(folder))
    from standalone_eval.eval import eval_submission  # type: ignore[import-not-found]

    handed = [
        {"qid": one.qid, "pred_relevant_windows": one.windows.tolist(), "pred_saliency_scores": one.saliency.tolist()}
        for one in predictions
    ]
    truth = [
        {
            "qid": moment.query_id,
            "duration": moment.duration,
            "relevant_windows": [list(window) for window in moment.windows],
            "relevant_clip_ids": list(moment.clips),
            "saliency_scores": [list(scores) for scores in moment.saliency],
        }
        for moment in gold
    ]

    def call() -> list[float]:
        with contextlib.redirect_stdout(io.StringIO()):
            return [float(eval_submission(handed, truth, verbose=False)["brief"]["MR-full-mAP"])]

    return call


def run(program: str, moment_detr: Path | None) -> None:
    """One turn: a line of JSON with seconds and numbers."""
    predictions, gold = prepare()
    programs: dict[str, Any] = {
        "loop": lambda: loop(predictions, gold),
        "ours": lambda: ours(predictions, gold, 0),
        "ours, intervals": lambda: ours(predictions, gold, 1000),
    }
    if moment_detr is not None:
        programs["Moment-DETR"] = published(moment_detr, predictions, gold)
    start = time.perf_counter()
    numbers = programs[program]()
    print(json.dumps({"seconds": time.perf_counter() - start, "numbers": numbers}))


def main(
    out: Annotated[Path | None, typer.Option(help="JSON to write")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="turns; the median counts")] = 3,
    moment_detr: Annotated[Path | None, typer.Option(help="checkout of jayleicn/moment_detr")] = None,
    program: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print a table of seconds and ratios and write it; different numbers are an error."""
    logging.disable()
    if program:
        run(program, moment_detr)
        return
    names = [*PROGRAMS, *(["Moment-DETR"] if moment_detr else [])]
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    one_thread = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    checkout: Sequence[str] = ["--moment-detr", str(moment_detr.resolve())] if moment_detr else []
    for _ in range(repeats):
        for name in names:
            words = [sys.executable, __file__, "--program", name, *checkout]
            done = subprocess.run(words, env=one_thread, capture_output=True, text=True, check=True)
            turns[name].append(json.loads(done.stdout))
    medians = {name: statistics.median(turn["seconds"] for turn in own) for name, own in turns.items()}
    ratios = {name: seconds / medians["ours"] for name, seconds in medians.items()}
    difference = float(np.abs(np.subtract(turns["loop"][0]["numbers"], turns["ours"][0]["numbers"])).max())
    print("| program | s | times as long as ours |\n|---|---|---|")
    for name in names:
        print(f"| {name} | {medians[name]:.2f} | {ratios[name]:.1f} |")
    print(f"largest difference of the {len(turns['loop'][0]['numbers'])} numbers of loop and ours: {difference:.1e}")
    if out is not None:
        machine = {
            "cpus": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "numpy": np.__version__,
        }
        seconds = {name: [turn["seconds"] for turn in own] for name, own in turns.items()}
        data = {"queries": QUERIES, "videos": VIDEOS, "clips": CLIPS}
        content = {"machine": machine, "data": data, "seconds": seconds, "medians": medians}
        files.write_json(
            out, {**content, "times as long as ours": ratios, "largest difference": difference}, sort_keys=False
        )
    if difference > 1e-9:
        raise SystemExit("the numbers differ")


if __name__ == "__main__":
    typer.run(main)
