"""Clips → JPEGs of every frame: ours, and EgoLoc's extract_frames_from_clips_vq3d.py, each with one and two processes.

python benchmarks/vq2d_frames.py --film .cache/sample/bbb.mp4 --out benchmarks/results/vq2d_frames.json

Clips are the film's first minutes at 5 frames a second, scaled to 1080 rows, encoded as pipeline_lib.vq2d.clips does. EgoLoc's
loop decodes a clip, turns every frame into a Pillow image and saves it; its script gives clips to processes, as ours. Methods
take turns; a method is a command of its own, imports and start of processes included. All files are compared with EgoLoc's.
"""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Annotated

import av
import PIL
import typer

from pipeline_lib.core import files
from pipeline_lib.video import decode
from pipeline_lib.video.encoding import DETERMINISTIC
from pipeline_lib.video.probe import probe
from pipeline_lib.video.transcode import examine

EGOLOC = """
import sys
from multiprocessing import Pool
from pathlib import Path
import av
clips, out, jobs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
def extract(clip):
    (out / clip.stem).mkdir(parents=True)
    with av.open(str(clip)) as reader:
        for i, frame in enumerate(reader.decode(video=0)):
            frame.to_image().save(out / clip.stem / f"color_{i:07d}.jpg")
if jobs == 1:
    list(map(extract, sorted(clips.glob("*.mp4"))))
else:
    with Pool(jobs) as pool:
        list(pool.imap_unordered(extract, sorted(clips.glob("*.mp4"))))
"""
METHODS = ["EgoLoc -j 1", "EgoLoc -j 2", "ours -j 1", "ours -j 2"]


def command(method: str, clips: Path, out: Path) -> list[str]:
    """The command line of a method."""
    whose, _, jobs = method.split()
    if whose == "EgoLoc":
        return [sys.executable, "-c", EGOLOC, str(clips), str(out), jobs]
    ours = [sys.executable, "-m", "pipeline_lib.vq2d.frames", "--clips", str(clips), "--out", str(out)]
    return [*ours, "--jobs", jobs]


def cut(film: Path, clips: Path, count: int, length: int) -> None:
    """Write `count` clips of `length` frames."""
    size = (probe(film).width * 1080 // probe(film).height, 1080)
    shown = decode.dense(film, 5.0, *size)
    for number in range(count):
        with av.open(str(clips / f"{number}.mp4"), "w") as clip:
            stream = clip.add_stream("libx264", rate=5, options={"crf": "22", **DETERMINISTIC})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for frame in islice(shown, length):
                clip.mux(stream.encode(av.VideoFrame.from_ndarray(frame.pixels, format="rgb24")))
            clip.mux(stream.encode())


def compare(folder: Path) -> None:
    """Leave unless every file of every method has the bytes of EgoLoc's."""
    first = folder / METHODS[0]
    names = sorted(path.relative_to(first) for path in first.rglob("*.jpg"))
    for method in METHODS[1:]:
        for name in names:
            if (folder / method / name).read_bytes() != (first / name).read_bytes():
                raise SystemExit(f"{method}: {name} has other bytes than EgoLoc's")
        if len(list((folder / method).rglob("*.jpg"))) != len(names):
            raise SystemExit(f"{method} wrote another number of files")


def main(
    film: Annotated[Path, typer.Option(help="video to cut clips from")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    count: Annotated[int, typer.Option(min=1, help="clips")] = 2,
    length: Annotated[int, typer.Option(min=1, help="frames of a clip")] = 600,
    repetitions: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure, compare and write the medians."""
    taken: dict[str, list[float]] = {method: [] for method in METHODS}
    used: dict[str, list[float]] = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as name:
        folder, clips = Path(name), Path(name, "clips")
        clips.mkdir()
        cut(film, clips, count, length)
        made = [examine(path) for path in sorted(clips.glob("*.mp4"))]
        frames = sum(one["frames"] for one in made)
        for repetition in range(repetitions):
            turn = repetition % len(METHODS)
            for method in METHODS[turn:] + METHODS[:turn]:
                shutil.rmtree(folder / method, ignore_errors=True)
                before, began = os.times(), time.monotonic()
                subprocess.run(command(method, clips, folder / method), check=True, stderr=subprocess.DEVNULL)
                taken[method].append(time.monotonic() - began)
                after = os.times()
                used[method].append(
                    after.children_user + after.children_system - before.children_user - before.children_system
                )
        compare(folder)
    wall = {method: statistics.median(values) for method, values in taken.items()}
    cpu = {method: statistics.median(values) for method, values in used.items()}
    result = {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "versions": {"av": av.__version__, "pillow": PIL.__version__},
        "frames": frames,
        "size": [made[0]["width"], made[0]["height"]],
        "files": "byte for byte the same",
        "seconds": {method: [round(value, 2) for value in values] for method, values in taken.items()},
        "cpu_seconds": {method: [round(value, 2) for value in values] for method, values in used.items()},
        "frames_a_second": {method: round(frames / value, 1) for method, value in wall.items()},
        "times_the_loop": {method: round(wall[METHODS[0]] / value, 2) for method, value in wall.items()},
        "times_the_loop_in_cpu": {method: round(cpu[METHODS[0]] / value, 2) for method, value in cpu.items()},
        "times_as_many_processes": round(wall["EgoLoc -j 2"] / wall["ours -j 2"], 2),
    }
    files.write_json(out, result)
    for method in METHODS:
        print(
            f"{method:<12} {wall[method]:6.1f} s  {cpu[method]:6.1f} CPU s  {result['times_the_loop'][method]:5.2f} ×"
        )


if __name__ == "__main__":
    typer.run(main)
