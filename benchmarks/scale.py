"""Generated ids and tiny artefacts → what a million videos cost: planning, ledgers, the stage loop, merging, reading.

    python benchmarks/scale.py --out benchmarks/results/scale.json                    # all parts, some minutes
    python benchmarks/scale.py --out benchmarks/results/scale.json ledgers loop       # these only; the others stay

Each part runs in processes of its own, several times; the fastest counts, by its wall seconds, and its CPU seconds stand
beside them, because other work on the machine makes wall seconds long. Every part names the limits it was to hold.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent))
import scale_parts as parts

from pipeline_lib.core import files

PARTS = ("plan", "rerun", "ledgers", "status", "loop", "merge", "read", "split", "master")


def alone(folder: Path, work: str, *values: object) -> dict[str, Any]:
    """A function of scale_parts in a process of its own: what it returns, wall and CPU seconds of its work, peak MB."""
    words = [sys.executable, str(Path(__file__).resolve()), "--inside", work, "--folder", str(folder)]
    done = subprocess.run([*words, *map(str, values)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def inside(work: str, folder: Path, values: list[str]) -> None:
    """The other side of `alone`."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = getattr(parts, work)(folder, *map(int, values)) or {}
    measured = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    megabytes = int(peak[1]) / 1024 if peak else float("nan")
    print(json.dumps({name: round(value, 3) for name, value in {**measured, "megabytes": megabytes, **found}.items()}))


def best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of least wall seconds, with all of them."""
    return {**min(runs, key=lambda run: run["seconds"]), "all_seconds": [round(run["seconds"], 2) for run in runs]}


def measure(part: str, folder: Path, videos: int, shards: int, repeats: int) -> dict[str, Any]:
    """One part, in a folder that has a finished stage; `limits` {number in it: what it must not exceed} come with it."""
    if part == "plan":  # half as many shards are nearer to what docs/scale.md advises for a million videos
        half = max(shards // 2, 1)
        larger, all_shards = (
            best(parts.planned(folder / f"{part}-{count}", videos, count, repeats, finished=False))
            for count in (half, shards)
        )
        limits = {"seconds": 5.0, "megabytes": 400.0}
        return {**larger, "shards": half, f"{shards} shards": all_shards, "limits": limits}
    if part == "rerun":
        return {
            **best(parts.planned(folder / part, videos, shards, repeats, finished=True)),
            "limits": {"seconds": 20.0},
        }
    if part == "ledgers":
        one = best([alone(folder, "read_one_ledger", videos) for _ in range(repeats)])
        return {
            **best([alone(folder, "read_ledgers", shards) for _ in range(repeats)]),
            "one file": one,
            "limits": {"seconds": 3.0},
        }
    if part == "status":
        return best([alone(folder, "survey_twice") for _ in range(repeats)])
    if part == "loop":
        items, synced = max(videos // 10, 1), max(videos // 200, 1)
        return {
            **best([alone(folder, "loop", items, 0) for _ in range(repeats)]),
            "with sync": best([alone(folder, "loop", synced, 1) for _ in range(repeats)]),
            "only syncs": best([alone(folder, "syncs", synced) for _ in range(repeats)]),
            "limits": {"ms an item": 1.0},
        }
    if part == "master":
        return best([alone(folder, "merge_texts", max(videos // 50, 1)) for _ in range(repeats)])
    if part == "merge":
        layouts = {"flat": 1, "a dataset per video": 0}
        return {
            name: best([alone(folder, "merge_stage", flat) for _ in range(repeats)]) for name, flat in layouts.items()
        }
    if part == "split":
        return {"flat file to tars": best([alone(folder, "split_into_tars") for _ in range(repeats)])}
    return {
        "flat": best([alone(folder, "read_merged", 1) for _ in range(repeats)]),
        "a dataset per video": best([alone(folder, "read_merged", 0) for _ in range(repeats)]),
    }


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"some of {', '.join(PARTS)}  [default: all]")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON to write, or to bring up to date")] = None,
    videos: Annotated[int, typer.Option(min=1)] = 1_000_000,
    shards: Annotated[int, typer.Option(min=1)] = 1_000,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    work: Annotated[Path | None, typer.Option(help="where to put the files  [default: a temporary folder]")] = None,
    inside_of: Annotated[str | None, typer.Option("--inside", hidden=True)] = None,
    folder: Annotated[Path, typer.Option("--folder", hidden=True)] = Path(),
) -> None:
    """Measure, print each part beside its limits, and write the numbers with the machine and its load."""
    if inside_of:
        inside(inside_of, folder, names or [])
        return
    wanted = names or list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: choose of {', '.join(PARTS)}")
    place = Path(tempfile.mkdtemp(prefix="scale-", dir=work))
    try:
        run(wanted, out, place, videos, shards, repeats)
    finally:
        shutil.rmtree(place)


def run(wanted: list[str], out: Path | None, place: Path, videos: int, shards: int, repeats: int) -> None:
    """All parts wanted, in one folder, so that what several read is made once."""
    result = files.read_json(out) if out and out.exists() else {}
    merged = bool({"merge", "read", "split"} & set(wanted))
    if merged or {"ledgers", "status"} & set(wanted):
        parts.make_stage(place, videos, shards, artefacts=merged)
    if {"read", "split"} & set(wanted) and "merge" not in wanted:
        parts.merge_stage(place, 1)
        parts.merge_stage(place, 0)
    for part in wanted:
        before = os.getloadavg()[0]
        found = measure(part, place, videos, shards, repeats)
        if "limits" in found:
            found["held"] = all(found[name] <= limit for name, limit in found.get("limits", {}).items())
        found = {"videos": videos, "shards": shards, **found}
        found["machine"] = {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "load before": round(before, 1),
            "load after": round(os.getloadavg()[0], 1),
        }
        result[part] = found
        print(part, json.dumps(found, indent=1))
        if out:
            files.write_json(out, result)


if __name__ == "__main__":
    typer.run(main)
