"""Clips → JPEGs of every frame: ours with one and two processes, and the loop of EgoLoc's extract_frames_from_clips_vq3d.py.

python benchmarks/vq2d_frames.py --clips CLIPS --out benchmarks/results/vq2d_frames.json

CLIPS is a folder as pipeline_lib.vq2d.clips makes it. EgoLoc decodes a clip, turns every frame into a Pillow image and saves it.
Methods take turns; a method is a command of its own, imports and start of processes included. Every file of ours is compared with
EgoLoc's.
"""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.core import files
from pipeline_lib.video.transcode import examine

EGOLOC = """
import sys
from pathlib import Path
import av
clips, out = map(Path, sys.argv[1:])
for clip in sorted(clips.glob("*.mp4")):
    (out / clip.stem).mkdir(parents=True)
    with av.open(str(clip)) as reader:
        for i, frame in enumerate(reader.decode(video=0)):
            frame.to_image().save(out / clip.stem / f"color_{i:07d}.jpg")
"""


def command(method: str, clips: Path, out: Path) -> list[str]:
    """The command line of a method."""
    if method == "egoloc":
        return [sys.executable, "-c", EGOLOC, str(clips), str(out)]
    jobs = method.removeprefix("ours -j ")
    ours = [sys.executable, "-m", "pipeline_lib.vq2d.frames", "--clips", str(clips), "--out", str(out)]
    return [*ours, "--jobs", jobs]


def main(
    clips: Annotated[Path, typer.Option(help="folder of mp4")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    repetitions: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure, compare and write the medians."""
    methods = ["egoloc", "ours -j 1", "ours -j 2"]
    taken: dict[str, list[float]] = {method: [] for method in methods}
    used: dict[str, list[float]] = {method: [] for method in methods}
    with tempfile.TemporaryDirectory() as folder:
        made = [examine(path) for path in sorted(clips.glob("*.mp4"))]
        frames = sum(one["frames"] for one in made)
        for repetition in range(repetitions):
            for method in methods[repetition % 3 :] + methods[: repetition % 3]:
                target = Path(folder, method.replace(" ", ""))
                shutil.rmtree(target, ignore_errors=True)
                before, began = os.times(), time.monotonic()
                subprocess.run(command(method, clips, target), check=True, stderr=subprocess.DEVNULL)
                taken[method].append(time.monotonic() - began)
                after = os.times()
                used[method].append(
                    after.children_user + after.children_system - before.children_user - before.children_system
                )
        theirs = sorted(path.relative_to(Path(folder, "egoloc")) for path in Path(folder, "egoloc").rglob("*.jpg"))
        for method in methods[1:]:
            mine = Path(folder, method.replace(" ", ""))
            for name in theirs:
                if (mine / name).read_bytes() != Path(folder, "egoloc", name).read_bytes():
                    raise SystemExit(f"{method}: {name} has other bytes than EgoLoc's")
            if len(list(mine.rglob("*.jpg"))) != len(theirs):
                raise SystemExit(f"{method} wrote another number of files")
    wall = {method: statistics.median(values) for method, values in taken.items()}
    cpu = {method: statistics.median(values) for method, values in used.items()}
    result = {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "frames": frames,
        "size": [made[0]["width"], made[0]["height"]],
        "files": "byte for byte the same",
        "seconds": {method: [round(value, 2) for value in values] for method, values in taken.items()},
        "cpu_seconds": {method: [round(value, 2) for value in values] for method, values in used.items()},
        "frames_a_second": {method: round(frames / value, 1) for method, value in wall.items()},
        "ratio": {method: round(wall["egoloc"] / value, 2) for method, value in wall.items()},
        "cpu_ratio": {method: round(cpu["egoloc"] / value, 2) for method, value in cpu.items()},
    }
    files.write_json(out, result)
    for method in methods:
        print(f"{method:<10} {wall[method]:6.1f} s  {cpu[method]:6.1f} CPU s  {result['ratio'][method]:5.2f} ×")


if __name__ == "__main__":
    typer.run(main)
