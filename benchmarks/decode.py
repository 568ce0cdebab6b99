"""Films → how fast one frame every three seconds comes out of ours, decord, torchcodec and ffmpeg's command line.

python benchmarks/decode.py --films FILM... --out benchmarks/results/decode.json

All cores are busy: every method runs in as many processes at once as there are cores, each decoding the whole film with
one thread. Methods take turns, the ratios are those of the medians, and the frames of every method but ffmpeg's (whose
filter has a rule of its own) are compared with a full decode.
"""

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pipeline_lib.core import files
from pipeline_lib.video import decode
from pipeline_lib.video.plan import read_index
from pipeline_lib.video.sampling import Sampling, choose

EVERY = 3.0
BATCH = 16  # frames per call of decord and torchcodec, which then need no more memory than the others


def ours(film: Path) -> Iterator[np.ndarray]:
    return (frame.pixels for frame in decode.sample(film, EVERY))


def keyframes(film: Path) -> Iterator[np.ndarray]:
    return (frame.pixels for frame in decode.sample(film, EVERY, mode="keyframe"))


def full(film: Path) -> Iterator[np.ndarray]:
    sampling = Sampling(EVERY)
    return (frame.pixels for frame in decode._shown(choose(decode._decoded(film), sampling), sampling))


def decord(film: Path) -> Iterator[np.ndarray]:
    from decord import VideoReader, cpu

    reader = VideoReader(str(film), ctx=cpu(0), num_threads=1)
    places = _places(reader.get_frame_timestamp(range(len(reader)))[:, 0])
    for start in range(0, len(places), BATCH):
        yield from reader.get_batch(places[start : start + BATCH]).asnumpy()


def torchcodec(film: Path) -> Iterator[np.ndarray]:
    """By approximate seeking, its faster mode; the times are known from our index, which costs it nothing here."""
    from torchcodec.decoders import VideoDecoder

    index = read_index(film)
    assert index is not None
    decoder = VideoDecoder(str(film), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="approximate")
    places = _places((index.pts - index.pts[0]) * index.tick)
    for start in range(0, len(places), BATCH):
        yield from decoder.get_frames_at(places[start : start + BATCH]).data.numpy()


def ffmpeg(film: Path) -> Iterator[np.ndarray]:
    first = next(decode.sample(film, 1e6))
    width, height = first.size
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(film), "-vf", f"fps=1/{EVERY}"]
    command += ["-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while content := process.stdout.read(width * height * 3):
            yield np.frombuffer(content, np.uint8).reshape(height, width, 3)


METHODS: dict[str, Callable[[Path], Iterator[np.ndarray]]] = {
    "ours": ours,
    "ours, keyframe mode": keyframes,
    "decord": decord,
    "torchcodec": torchcodec,
    "ffmpeg": ffmpeg,
    "full decode": full,
}


def _places(times: np.ndarray) -> list[int]:
    """Numbers of the first frames at or after 0, 3, 6 … seconds."""
    times = np.asarray(times) - times[0]
    wanted = np.arange(int((times[-1] + 1e-4) // EVERY) + 1) * EVERY
    return np.searchsorted(times, wanted - 1e-4).tolist()


def work(method: str, film: Path) -> None:
    """What one process does: wait for a line, decode, print seconds and what came out."""
    frames = METHODS[method](film)
    next(METHODS[method](film))  # libraries are loaded, the file is in memory
    print("ready", flush=True)
    sys.stdin.readline()
    began, used = time.monotonic(), sum(os.times()[:4])
    digest, count = hashlib.md5(usedforsecurity=False), 0
    for frame in frames:
        digest.update(frame[::8].tobytes())
        count += 1
    seconds, cpu = time.monotonic() - began, sum(os.times()[:4]) - used
    print(json.dumps({"seconds": seconds, "cpu": cpu, "frames": count, "digest": digest.hexdigest()}), flush=True)


def measure(method: str, film: Path, processes: int) -> tuple[float, float, list[dict[str, float | str]]]:
    """(seconds until the last of the processes is done, CPU seconds per process, what each said)."""
    command = [sys.executable, __file__, "--films", str(film), "--method", method]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None and process.stdin is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"{method} can't be run here")
    began = time.monotonic()
    for process in running:
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    told = [json.loads(process.stdout.readline()) for process in running]  # type: ignore[union-attr]
    seconds = time.monotonic() - began
    for process in running:
        process.wait()
    return seconds, statistics.mean(float(one["cpu"]) for one in told), told


def main(
    films: Annotated[list[Path], typer.Option(help="video files")],
    out: Annotated[Path | None, typer.Option(help="JSON to write")] = None,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    method: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print a table of throughputs and ratios, and write it."""
    if method:
        return work(method, films[0])
    processes = os.cpu_count() or 1
    names = [name for name in METHODS if name != "ffmpeg" or shutil.which("ffmpeg")]
    for package in ("decord", "torchcodec"):
        if importlib.util.find_spec(package) is None:
            raise SystemExit(f"{package} is not installed; run pip install {package}")
    results = []
    for film in films:
        runs: dict[str, list[tuple[float, float, list[dict[str, float | str]]]]] = {name: [] for name in names}
        for _ in range(repeats):
            for name in names:
                runs[name].append(measure(name, film, processes))
        digests = {name: {str(one["digest"]) for run in runs[name] for one in run[2]} for name in names}
        row: dict[str, object] = {"film": film.name, "frames": runs["ours"][0][2][0]["frames"]}
        walls = {name: statistics.median(run[0] for run in runs[name]) for name in names}
        cpus = {name: statistics.median(run[1] for run in runs[name]) for name in names}
        row["seconds"] = {name: round(walls[name], 3) for name in names}
        row["cpu seconds per film"] = {name: round(cpus[name], 3) for name in names}
        row["times as fast as"] = {name: round(walls[name] / walls["ours"], 2) for name in names if "ours" not in name}
        row["times less cpu than"] = {name: round(cpus[name] / cpus["ours"], 2) for name in names if "ours" not in name}
        row["keyframe mode times as fast as exact"] = round(walls["ours"] / walls["ours, keyframe mode"], 1)
        row["frames identical to a full decode"] = {
            name: digests[name] == digests["full decode"] for name in ("ours", "decord", "torchcodec") if name in names
        }
        results.append(row)
        print(json.dumps(row, indent=1))
    machine = {
        "cpus": processes,
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "load before": os.getloadavg()[0],
    }
    if out:
        files.write_json(out, {"machine": machine, "every": EVERY, "repeats": repeats, "films": results})
    return None


if __name__ == "__main__":
    typer.run(main)
