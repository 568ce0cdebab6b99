"""860 made-up videos → how large coref_report.html is, how long it takes to make, and how long a browser takes to show it.

python benchmarks/coref_report.py --out benchmarks/results/coref_report.json

The videos are as many as VM2E2 has, with one to four events, ten proposals, five to 25 sentences and five objects a clip each;
their frames are noise over a gradient, 320×192. The peer is the same page as plain HTML: all of it parsed at
once, no script. Chromium opens both in turn; what an empty page takes is subtracted.
"""

import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline_lib.config.video import Frames
from pipeline_lib.core import files, ledger
from pipeline_lib.core.ledger import OK, Row
from pipeline_lib.coref import report
from pipeline_lib.report.assets import Place
from pipeline_lib.video.decode import Frame
from pipeline_lib.video.frames import store

DURATION, EVERY, OBJECTS, PROPOSALS = 60.0, 3.0, 5, 10
SIZE = (320, 192)
WORDS = ["police", "fire", "crowd", "storm", "harbour", "minister", "vehicles", "flooded", "streets", "in", "of", "the"]


def sentence(chance: np.random.Generator) -> str:
    return " ".join(chance.choice(WORDS, chance.integers(8, 21))).capitalize() + "."


def video(chance: np.random.Generator, number: int) -> dict[str, Any]:
    """What both protocols share."""
    starts = np.sort(chance.uniform(0, DURATION - 10, chance.integers(1, 5)))
    return {
        "video_id": f"made{number:07d}",
        "split": "val" if number % 2 else "test",
        "title": sentence(chance)[:70],
        "duration": DURATION,
        "sentences": [sentence(chance) for _ in range(chance.integers(5, 26))],
        "events": [
            {"start": s, "end": s + chance.uniform(3, 9), "type": int(chance.integers(20))} for s in starts.tolist()
        ],
    }


def scored(chance: np.random.Generator, about: dict[str, Any], intervals: np.ndarray) -> dict[str, Any]:
    """`about` with clips, gold and scores."""
    shape = len(intervals), len(about["sentences"])
    weights = chance.exponential(size=shape) ** 2
    scores = np.round(weights / weights.sum(axis=1, keepdims=True), 6).tolist()
    corners = np.concatenate(
        [chance.uniform(0, 90, (*shape[:1], OBJECTS, 2)), chance.uniform(100, 190, (*shape[:1], OBJECTS, 2))], -1
    )
    clips = [
        {
            "start": start,
            "end": end,
            "objects": [
                {
                    "time": EVERY * (round(start / EVERY) + i % 3),
                    "box": box,
                    "label": int(chance.integers(1600)),
                    "score": 0.9,
                }
                for i, box in enumerate(np.round(boxes, 1).tolist())
            ],
        }
        for (start, end), boxes in zip(intervals.tolist(), corners, strict=True)
    ]
    return about | {
        "clips": clips,
        "gold": (chance.random(shape) < 0.05).astype(int).tolist(),
        "scores": dict.fromkeys(("combined", "global", "regional"), scores),
        "object_scores": np.round(chance.uniform(-0.2, 0.6, (*shape, OBJECTS)), 6).tolist(),
    }


def make(folder: Path, videos: int) -> None:
    """predictions.json and frames of made-up videos."""
    chance = np.random.default_rng(0)
    cuts = np.linspace(0, DURATION, PROPOSALS + 1)
    found: dict[str, list[Any]] = {"without_proposals": [], "with_proposals": []}
    rows = []
    (folder / "frames").mkdir()
    across = np.broadcast_to(np.linspace(0, 200, SIZE[0])[None, :, None], (SIZE[1], SIZE[0], 3))
    for number in range(videos):
        about = video(chance, number)
        events = np.array([[event["start"], event["end"]] for event in about["events"]])
        found["without_proposals"].append(scored(chance, about, events))
        found["with_proposals"].append(scored(chance, about, np.stack([cuts[:-1], cuts[1:]], axis=1)))
        pixels = [
            (across + chance.integers(0, 12, across.shape)).astype(np.uint8) for _ in range(int(DURATION / EVERY) + 1)
        ]
        shown = [Frame(i, EVERY * i, EVERY * i, SIZE, one) for i, one in enumerate(pixels)]
        store(shown, folder / f"frames/{number}.tar", Frames())
        rows.append(Row(about["video_id"], OK, artefact=f"frames/{number}.tar"))
    ledger.write(folder / "frames/0000.parquet", rows)
    protocols = {name: {"threshold": 0.25, "videos": videos} for name, videos in found.items()}
    files.write_json(folder / "predictions.json", {"protocols": protocols}, indent=None)


def shows(program: str, page: Path) -> float:
    """Seconds from the start of a browser to the picture of the page."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000", f"--screenshot={page}.png"]
    began = time.perf_counter()
    subprocess.run([program, *options, page.as_uri()], check=True, capture_output=True)
    return time.perf_counter() - began


def main(out: Annotated[Path, typer.Option()], videos: int = 860, repetitions: int = 3) -> None:
    """Measure and write the results."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, videos)
        page, plain_page, empty = (folder / f"{kind}.html" for kind in ("page", "plain", "empty"))
        began = time.perf_counter()
        report.main(
            folder / "predictions.json", page, frames=folder / "frames", place=Place.AUTO, side=320, most=24, video="{}"
        )
        making = time.perf_counter() - began
        plain = re.sub("<script>.*?</script>|</?noscript>", "", page.read_text(), flags=re.DOTALL)
        files.write_text(plain_page, plain)
        files.write_text(empty, "<!doctype html>")
        seconds: dict[str, list[float]] = {"page": [], "plain": [], "empty": []}
        for _ in range(repetitions):
            for path in (page, plain_page, empty):
                seconds[path.stem].append(shows(program, path))
        assets = list(page.with_name("page_assets").glob("*.jpg"))
        median = {kind: statistics.median(values) for kind, values in seconds.items()}
        ours, peer = (median[kind] - median["empty"] for kind in ("page", "plain"))
        result = {
            "claim": f"the page of {videos} videos is shown in seconds",
            "machine": {"cpu": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
            "videos": videos,
            "items": 2 * videos,
            "page_megabytes": round(page.stat().st_size / 1e6, 1),
            "pictures": len(assets),
            "pictures_megabytes": round(sum(path.stat().st_size for path in assets) / 1e6, 1),
            "seconds_to_make": round(making, 1),
            "seconds_to_show": {kind: [round(one, 2) for one in values] for kind, values in seconds.items()},
            "seconds_to_show_beyond_an_empty_page": {"ours": round(ours, 2), "plain HTML": round(peer, 2)},
            "ratio": round(peer / ours, 2),
        }
    files.write_json(out, result)
    print(result)


if __name__ == "__main__":
    typer.run(main)
