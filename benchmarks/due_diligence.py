"""Big Buck Bunny in 60 pieces, and whole → due diligence beside ffprobe and ffmpeg; near-duplicates of 10⁵ and 10⁶ hashes.

python benchmarks/due_diligence.py --cache .cache/sample --out benchmarks/results/due_diligence.json

Both look at every piece in one thread: ours by the stages' own functions (probe, survey of ten pictures, eight perceptual
hashes, every check), its decoding process and imports included; the peer by `ffprobe -show_format -show_streams` and
`ffmpeg -threads 1 -f null`, which finds broken packets but neither black nor frozen pictures nor duplicates. Programs take
turns, the first of them alternating; ratios are of the medians of CPU seconds of a turn (user and system, of all processes).
"""

import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline_lib.clean.due_diligence import check
from pipeline_lib.clean.inspection import inspect
from pipeline_lib.clean.near import near_pairs
from pipeline_lib.clean.text_checks import read
from pipeline_lib.collect.films import fetch
from pipeline_lib.config.clean import DueDiligence, Duplicates
from pipeline_lib.core import files
from pipeline_lib.video.worker import Worker

SPEECH = {"captions": [{"text": "The rabbit wakes up and looks at the meadow."}] * 20, "language": "en"}


def cut(film: Path, folder: Path, count: int) -> list[Path]:
    """The film's packets in about `count` files, each from a keyframe on."""
    about = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", film],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    step = float(about.stdout) / count
    command = ["ffmpeg", "-v", "error", "-i", film, "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "segment"]
    subprocess.run(
        [*command, "-segment_time", f"{step:.3f}", "-reset_timestamps", "1", folder / "piece_%02d.mp4"], check=True
    )
    return sorted(folder.glob("piece_*.mp4"))


def ours(paths: Sequence[Path]) -> None:
    """Every check on every file."""
    texts = read({"article": "A rabbit in a meadow."}, SPEECH)
    with Worker() as worker:
        for path in paths:
            check(inspect(path, worker), texts, DueDiligence())


def peer(paths: Sequence[Path]) -> None:
    """Probe and decode every file."""
    for path in paths:
        subprocess.run(
            ["ffprobe", "-v", "error", "-show_format", "-show_streams", path], capture_output=True, check=True
        )
        command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", path, "-map", "0:v:0", "-f", "null", "-"]
        subprocess.run(command, capture_output=True, check=True)


def timed(program: Callable[[Sequence[Path]], None], paths: Sequence[Path]) -> tuple[float, float]:
    """(CPU seconds of this process and all it started, wall seconds)."""

    def spent() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(one.ru_utime + one.ru_stime for one in both)

    before, began = spent(), time.monotonic()
    program(paths)
    return spent() - before, time.monotonic() - began


def compared(name: str, paths: list[Path], repeats: int) -> dict[str, Any]:
    """A row of the table."""
    turns: dict[str, list[tuple[float, float]]] = {"ours": [], "peer": []}
    programs = [("ours", ours), ("peer", peer)]
    for turn in range(repeats):
        for key, program in programs if turn % 2 else reversed(programs):
            turns[key].append(timed(program, paths))
    cpu = {key: statistics.median(one for one, _ in values) for key, values in turns.items()}
    row = {
        "files": name,
        "count": len(paths),
        "cpu seconds": {key: round(value, 3) for key, value in cpu.items()},
        "all cpu seconds": {key: [round(one, 3) for one, _ in values] for key, values in turns.items()},
        "wall seconds": {key: round(statistics.median(one for _, one in values), 3) for key, values in turns.items()},
        "videos per second per core": {key: round(len(paths) / value, 3) for key, value in cpu.items()},
        "ratio": round(cpu["peer"] / cpu["ours"], 3),
    }
    speed = row["videos per second per core"]
    print(f"| {name} | {len(paths)} | {speed['peer']:.2f} | {speed['ours']:.2f} | {row['ratio']:.2f} |", flush=True)
    return row


def searched(count: int, equal: bool, repeats: int) -> dict[str, Any]:
    """Seconds to find 1 % planted pairs among random hashes; durations as of YouTube, or all equal, the hardest case."""
    dice = np.random.default_rng(0)
    hashes = dice.integers(0, 2**64, (count, 8), dtype=np.uint64)
    seconds = np.full(count, 10.0) if equal else np.exp(dice.normal(5, 0.9, count))
    originals = dice.choice(count // 2, count // 100, replace=False)
    hashes[count // 2 + originals] = hashes[originals] ^ np.uint64(0b100010001)
    seconds[count // 2 + originals] = seconds[originals]
    rule = Duplicates()
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        pairs, _ = near_pairs(
            hashes, np.ones(hashes.shape, bool), seconds, bits=rule.bits, pictures=rule.pictures, duration=rule.duration
        )
        spent.append(time.process_time() - began)
    if {(int(a), int(b)) for a, b in pairs} != {(int(a), count // 2 + int(a)) for a in originals}:
        raise SystemExit("not exactly the planted pairs were found")
    kind = "all equal" if equal else "log-normal"
    print(f"near-duplicates of {count} videos, durations {kind}: {statistics.median(spent):.1f} CPU s", flush=True)
    return {"videos": count, "durations": kind, "pairs": len(pairs), "cpu seconds": round(statistics.median(spent), 2)}


def main(
    cache: Annotated[Path, typer.Option(help="folder that films are fetched into")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    pieces: Annotated[int, typer.Option(min=1, help="that the film is cut into")] = 60,
    repeats: Annotated[int, typer.Option(min=1, help="turns; the median counts")] = 3,
    videos: Annotated[
        int, typer.Option(min=200, help="whose hashes are searched for near-duplicates; then ten times as many")
    ] = 100_000,
) -> None:
    """Print a table of videos per second per core and ratios, and write it."""
    film = fetch("bbb.mp4", cache)
    print("| files | count | ffprobe + ffmpeg | ours | times as fast |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            compared("pieces of 10 s", cut(film, Path(folder), pieces), repeats),
            compared("the whole film, 596 s", [film], repeats),
        ]
    near = [searched(videos, equal, repeats) for equal in (False, True)] + [searched(10 * videos, False, 1)]
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "ffmpeg": subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2],
    }
    files.write_json(out, {"machine": machine, "rows": rows, "near-duplicates": near}, sort_keys=False)


if __name__ == "__main__":
    typer.run(main)
