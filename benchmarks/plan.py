"""Ids without files → seconds and memory of planning their run: shards here, beside a rule per video.

python benchmarks/plan.py --out benchmarks/results/plan.json
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.collect.split import split
from pipeline_lib.core import files, ids

ROOT = Path(__file__).resolve().parents[1]
PER_VIDEO = """
IDS = [f"v{{i:07d}}" for i in range({videos})]
rule all:
  input: "all.txt"
rule download:
  output: "videos/{{v}}.mp4"
  shell: "touch {{output}}"
rule features:
  input: "videos/{{v}}.mp4"
  output: "features/{{v}}.npy"
  shell: "touch {{output}}"
rule embed:
  input: "features/{{v}}.npy"
  output: "embedded/{{v}}.npy"
  shell: "touch {{output}}"
rule merge:
  input: expand("embedded/{{v}}.npy", v=IDS)
  output: "all.txt"
  shell: "touch {{output}}"
"""


def measure(folder: Path, *words: str) -> dict[str, float]:
    """Wall seconds, CPU seconds and peak megabytes of one quiet dry run."""
    command = ["/usr/bin/time", "-f", "%e %U %M", sys.executable, "-m", "snakemake", "-n", "-q", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    wall, user, kilobytes = done.stderr.split()[-3:]
    return {"seconds": float(wall), "cpu": float(user), "megabytes": int(kilobytes) / 1024}


def count_jobs(folder: Path, *words: str) -> int:
    """Jobs that a dry run plans."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return int(re.findall(r"^total\s+(\d+)", done.stdout + done.stderr, re.MULTILINE)[-1])


def sharded(folder: Path, videos: int, shards: int) -> None:
    """This project over `videos` ids whose split is done and nothing else."""
    for part in ("Snakefile", "config.yaml", "profiles", "workflow", "envs", "pipeline_lib"):
        (folder / part).symlink_to(ROOT / part)
    hits = {
        f"{i:011d}": {
            "url": "https://example.org/watch",
            "title": f"Video {i}",
            "duration": 60.0,
            "channel": "x",
            "queries": ["*"],
        }
        for i in range(videos)
    }
    files.write_json(folder / "work/vid_urls.json", hits)
    parts = split(hits, shards)
    for index, part in enumerate(parts):
        files.write_json(folder / f"work/shards/{ids.shard_name(index)}.json", part)
    files.write_json(folder / "work/shards.json", {ids.shard_name(i): len(part) for i, part in enumerate(parts)})


def per_video(folder: Path, videos: int) -> None:
    """A workflow with three rules per video and a merge."""
    (folder / "Snakefile").write_text(PER_VIDEO.format(videos=videos))


def main(
    out: Annotated[Path, typer.Option(help="JSON to write")],
    videos: Annotated[int, typer.Option(help="ids of the sharded run")] = 1_000_000,
    shards: Annotated[int, typer.Option(help="shards of the sharded run")] = 1_000,
    repeats: Annotated[int, typer.Option(help="runs of each; the fastest counts")] = 3,
) -> None:
    """Measure both ways in one run and write the numbers with a description of the machine."""
    rows = []
    for name, count in (("sharded", videos), ("per video", 1_000), ("per video", 10_000)):
        folder = Path(tempfile.mkdtemp(prefix="plan-"))
        words = ["--cores", "2"]
        try:
            if name == "sharded":
                sharded(folder, count, shards)
                words += ["--rerun-triggers", "mtime", "--config", f"shards={shards}"]
            else:
                per_video(folder, count)
            runs = [measure(folder, *words) for _ in range(repeats)]
            jobs = count_jobs(folder, *words)
        finally:
            shutil.rmtree(folder)
        best = min(runs, key=lambda run: run["seconds"])
        rows.append(
            {"way": name, "videos": count, "jobs": jobs, **best, "all_seconds": [run["seconds"] for run in runs]}
        )
        print(f"{name:10} {count:>9} videos {jobs:>6} jobs {best['seconds']:6.2f} s {best['megabytes']:6.0f} MB")
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    ratio = rows[2]["seconds"] / rows[0]["seconds"]
    print(
        f"{rows[0]['videos']:,} videos in shards plan {ratio:.1f}× faster than {rows[2]['videos']:,} with rules of their own"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": machine, "rows": rows, "ratio": ratio}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
