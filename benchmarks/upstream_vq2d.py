"""A checkout of EGO4D/episodic-memory → how far this project's VQ2D metrics, peaks and flat annotations are from it.

python benchmarks/upstream_vq2d.py --upstream ../episodic-memory/VQ2D --out benchmarks/results/upstream_vq2d.json \
    --annotations vq_val_vq3d.json

Upstream needs pandas and tqdm; `np.float`, which NumPy took away, is put back for it. Tracks and signals are random. AP depends
on the order of equal scores, so in every second round all scores are 1, as in VQ2D's baselines.
"""

import io
import json
import os
import platform
import re
import subprocess
import sys
import textwrap
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import scipy
import typer

from pipeline_lib.config.vq2d_peaks import Peaks
from pipeline_lib.core import files
from pipeline_lib.vq2d import annotations as annotation_files
from pipeline_lib.vq2d import metrics, peaks
from pipeline_lib.vq2d.detections import QueryDetections
from pipeline_lib.vq2d.tracks import Track

#: Our name → theirs, as METRIC_FNS prints them.
NAMES = {
    "tAP": "Temporal AP                    @ IoU=0.25:0.95",
    "tAP@0.25": "Temporal AP                    @ IoU=0.25     ",
    "stAP": "SpatioTemporal AP              @ IoU=0.25:0.95",
    "stAP@0.25": "SpatioTemporal AP              @ IoU=0.25     ",
    "success@0.05": "Success (max scr)              @ IoU=0.05     ",
    "recovery@0.5": "Tracking % recovery (max scr)  @ IoU=0.50     ",
    "search_efficiency": "Search efficiency (%)",
}
Json = dict[str, Any]


def random_track(rng: np.random.Generator, near: list[Json] | None = None) -> list[Json]:
    """Boxes of consecutive frames, some of them around another track's."""
    start, length = int(rng.integers(0, 60)), int(rng.integers(1, 25))
    if near is not None and rng.random() < 0.7:
        start = max(near[0]["fno"] + int(rng.integers(-3, 4)), 0)
        length = max(len(near) + int(rng.integers(-3, 4)), 1)
    corner, size = rng.uniform(0, 600, 2), rng.uniform(5, 200, 2)
    if near is not None:
        corner = np.array([near[0]["x1"], near[0]["y1"]]) + rng.normal(0, 8, 2)
        size = np.array([near[0]["x2"] - near[0]["x1"], near[0]["y2"] - near[0]["y1"]]) * rng.uniform(0.7, 1.3, 2)
    boxes = []
    for fno in range(start, start + length):
        x, y = corner + rng.normal(0, 3, 2)
        boxes.append({"fno": fno, "x1": x, "y1": y, "x2": x + size[0], "y2": y + size[1]})
    return boxes


def rounds(count: int, seed: int) -> list[tuple[list[list[Json]], list[list[tuple[list[Json], float]]]]]:
    """(gold tracks, predicted tracks with scores per query); in every second round all scores are 1, as in VQ2D's baselines."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        gold = [random_track(rng) for _ in range(int(rng.integers(1, 120)))]
        per_query = [1] * len(gold) if number % 2 else rng.integers(1, 4, len(gold)).tolist()
        predicted = [
            [(random_track(rng, truth), 1.0 if number % 2 else round(float(rng.random()), 2)) for _ in range(n)]
            for truth, n in zip(gold, per_query, strict=True)
        ]
        made.append((gold, predicted))
    return made


def compare_metrics(upstream: Path, count: int, seed: int) -> list[Json]:
    """Largest difference of each metric."""
    setattr(np, "float", float)  # noqa: B010  # ruff would put the builtin in place of np.float
    sys.path.insert(0, str(upstream))
    from vq2d.metrics.metrics import compute_visual_query_metrics  # type: ignore[import-not-found]
    from vq2d.structures import BBox, ResponseTrack  # type: ignore[import-not-found]

    rng = np.random.default_rng(seed)
    worst, largest = dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 0.0)
    for gold, predicted in rounds(count, seed):
        total = rng.integers(1, 2000, len(gold)).tolist()
        accessed = [int(rng.integers(1, n + 1)) for n in total]
        ours = metrics.measure(
            [[Track.of(boxes, score) for boxes, score in tracks] for tracks in predicted],
            [Track.of(boxes) for boxes in gold],
            accessed,
            total,
        )
        with redirect_stdout(io.StringIO()):
            theirs = compute_visual_query_metrics(
                [
                    [ResponseTrack([BBox.from_json(box) for box in boxes], score) for boxes, score in tracks]
                    for tracks in predicted
                ],
                [ResponseTrack([BBox.from_json(box) for box in boxes]) for boxes in gold],
                [BBox(0, 0, 0, 10, 10)] * len(gold),
                accessed,
                total,
            )["all"]
        for name, their_name in NAMES.items():
            worst[name] = max(worst[name], abs(ours[name] - float(theirs[their_name])))
            largest[name] = max(largest[name], abs(ours[name]))
    return [{"what": name, "rounds": count, "largest": largest[name], "difference": worst[name]} for name in NAMES]


def compare_peaks(upstream: Path, count: int, seed: int) -> Json:
    """Signals whose smoothed values, peaks or kept box are not those of perform_vq_inference.py's own lines."""
    source = (upstream / "perform_vq_inference.py").read_text()
    block = re.search(r"^( +# Generate a time signal.*?)^ +# Perform tracking", source, re.DOTALL | re.MULTILINE)
    assert block is not None, "perform_vq_inference.py has changed"
    program = compile(textwrap.dedent(block[1]), "perform_vq_inference.py", "exec")
    rng = np.random.default_rng(seed)
    different = with_peak = 0
    for _ in range(count):
        length = int(rng.integers(1, 1200))
        steps = np.repeat(rng.random(length), rng.integers(1, 30, length))[:length]
        values = np.clip(steps + rng.normal(0, 0.05, length), 0, 1)
        scores = [np.sort(np.append(rng.uniform(0, value, rng.integers(0, 4)), value))[::-1] for value in values]
        options = Peaks(mode="last", peak_similarity_thresh=float(rng.choice([0, 0.25, 0.5])))
        settings = SimpleNamespace(**options.model_dump())
        names = {"ret_scores": scores, "sig_cfg": settings, "start_time": 0.0, "np": np}
        names |= {
            "time": SimpleNamespace(time=float),
            "medfilt": scipy.signal.medfilt,
            "find_peaks": scipy.signal.find_peaks,
        }
        exec(program, names)  # upstream's lines, which the user has checked out
        query = QueryDetections("q", "c", length, {}, [np.zeros((len(s), 4), dtype=int) for s in scores], scores)
        found = peaks.find(query, options)
        recent = names["recent_peak"]
        kept = length - 1 if recent is None else recent
        allowed = [p for p in names["peaks"] if names["score_signal_sm"][p] >= settings.peak_similarity_thresh]
        same = np.array_equal(found.smoothed, names["score_signal_sm"]) and found.peaks.tolist() == allowed
        different += not (same and found.kept == [kept])
        with_peak += recent is not None
    return {"what": "peaks and last peak", "rounds": count, "with a peak": with_peak, "different": different}


def compare_annotations(upstream: Path, path: Path) -> Json:
    """Whether process_vq_dataset.py, run whole, writes the same list."""
    export = annotation_files.read(path)
    split = export["videos"][0]["split"]
    with TemporaryDirectory() as folder:
        for name in ("train", "val"):
            (Path(folder) / f"vq_{name}.json").write_text(path.read_text())
        program = [
            sys.executable,
            str(upstream / "process_vq_dataset.py"),
            "--annot-root",
            folder,
            "--save-root",
            folder,
        ]
        subprocess.run(program, check=True, capture_output=True)
        theirs = annotation_files.read_flat(Path(folder) / "val_annot.json.gz")
    ours = annotation_files.flatten(export, split).queries
    return {"what": "flat queries", "rounds": len(ours), "different": int(json.dumps(ours) != json.dumps(theirs))}


def main(
    upstream: Annotated[Path, typer.Option(help="folder VQ2D of a checkout of EGO4D/episodic-memory")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    annotations: Annotated[Path | None, typer.Option(help="vq_val.json, or EgoLoc's vq_val_vq3d.json")] = None,
    count: Annotated[int, typer.Option(help="rounds of random tracks, and of random signals")] = 200,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print a table of the differences, write it, and fail when one is beyond rounding."""
    rows = compare_metrics(upstream, count, seed)
    checks = [compare_peaks(upstream, count, seed)]
    if annotations is not None:
        checks.append(compare_annotations(upstream, annotations))
    print("| metric | rounds | largest value | largest difference |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['what']} | {row['rounds']} | {row['largest']:.4g} | {row['difference']:.1e} |")
    for check in checks:
        print(f"{check['what']}: {check['different']} of {check['rounds']} different")
    machine = {"cpus": os.cpu_count(), "processor": platform.processor() or platform.machine()}
    machine |= {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
    files.write_json(out, {"machine": machine, "seed": seed, "metrics": rows, "checks": checks})
    if max(row["difference"] for row in rows) > 1e-9 or any(check["different"] for check in checks):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
