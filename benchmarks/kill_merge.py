"""Merges killed at random moments → whether the file is ever anything but whole, old or new.

    python benchmarks/kill_merge.py --kills 50 --out benchmarks/results/kill_merge.json

A folder changes before every merge, the merge is killed with SIGKILL at a moment drawn from the time it takes, and the
file is opened as MESM's loader does: it must be absent, the one before, or the one that a merge left alone writes.
"""

import hashlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import typer

from pipeline_lib.core import files

ROWS, DIM = 40, 256
#: Merges each time a line comes, so that no kill is spent on the seconds in which Python starts.
CHILD = """
import sys
from pathlib import Path
from pipeline_lib.store.layouts import Layout
from pipeline_lib.store.merge import merge_folder
print("ready", flush=True)
sys.stdin.readline()
merge_folder(Path(sys.argv[1]), Path(sys.argv[2]), layout=Layout(sys.argv[3]))
print("done", flush=True)
"""


def start(folder: Path, out: Path, layout: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(folder), str(out), layout]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def fill(folder: Path, videos: int, version: int) -> None:
    """Some arrays change with the version; each says which version it is of."""
    folder.mkdir(exist_ok=True)
    for i in range(videos):
        if version == 0 or i % 3 == version % 3:
            np.save(folder / f"video_{i:04d}.npy", np.full((ROWS, DIM), version, np.float16))


def content(path: Path, layout: str) -> str:
    """Hash of all that a reader sees."""
    digest = hashlib.sha256()
    with h5py.File(path, "r") as store:
        for name in store:
            digest.update(name.encode() + np.asarray(store[name][:]).tobytes())
    return digest.hexdigest()


def attempt(folder: Path, out: Path, layout: str, kills: int, videos: int, seed: int = 0) -> dict[str, object]:
    """Kill merges; raises AssertionError at the first file that is neither the old nor the new one."""
    chooser = random.Random(seed)
    whole = out.with_name("undisturbed.hdf5")
    fill(folder, videos, 0)
    child = start(folder, out, layout)
    go(child)
    assert child.wait() == 0
    old = content(out, layout)
    outcomes: dict[str, int] = {"old": 0, "new": 0}
    partials = 0
    took: list[float] = []  # by merges that nobody kills
    for version in range(1, kills + 1):
        fill(folder, videos, version)
        whole.unlink(missing_ok=True)
        child = start(folder, whole, layout)
        began = time.monotonic()
        go(child)
        assert child.stdout is not None and child.stdout.readline() == "done\n"
        took.append(time.monotonic() - began)
        assert child.wait() == 0
        new = content(whole, layout)
        child = start(folder, out, layout)
        go(child)
        time.sleep(chooser.uniform(0, took[-1]))
        child.kill()
        child.wait()
        found = content(out, layout)
        assert found in (old, new), f"after kill {version} the file holds neither the old nor the new features"
        outcomes["new" if found == new else "old"] += 1
        partials += any(entry.name.endswith(files.PARTIAL) for entry in out.parent.iterdir())
        old = found
    child = start(folder, out, layout)
    go(child)
    assert child.wait() == 0
    assert out.read_bytes() == whole.read_bytes()
    left = [entry.name for entry in out.parent.iterdir() if entry.name.endswith(files.PARTIAL)]
    assert not left, left
    return {
        "kills": kills,
        "outcomes": outcomes,
        "killed while writing": partials,
        "seconds of a merge": round(statistics.median(took), 3),
    }


def main(
    kills: Annotated[int, typer.Option(min=1)] = 50,
    videos: Annotated[int, typer.Option(min=1)] = 3000,
    out: Annotated[Path | None, typer.Option(help="JSON to write")] = None,
) -> None:
    """Kill merges of both layouts and say what was found."""
    results = {}
    for layout in ("videos", "flat"):
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "out").mkdir()
            target = Path(name) / "out" / "features.hdf5"
            results[layout] = attempt(
                Path(name) / "npy", target, layout, kills if layout == "videos" else max(1, kills // 5), videos
            )
            print(layout, json.dumps(results[layout]), flush=True)
    if out:
        files.write_json(out, {"videos": videos, "shape": [ROWS, DIM], "wrong files": 0, **results})


if __name__ == "__main__":
    typer.run(main)
