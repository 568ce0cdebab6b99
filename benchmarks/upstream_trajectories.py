"""A checkout of Dont-Care-Didnt-Ask/S3D_HowTo100M → how far our trajectory evaluator's similarities are from its own.

python benchmarks/upstream_trajectories.py --upstream ../S3D_HowTo100M --out benchmarks/results/upstream_trajectories.json \
    bikes.mp4 cup.mp4 carphone_pristine.mp4 carphone_distorted.mp4 bigbuckbunny.mp4

Both run whole on the same random weights and videos, once per frame size because upstream takes one. It needs imageio, seaborn.
"""

import importlib
import io
import json
import os
import platform
import sys
import time
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from unittest import mock

import numpy as np
import torch
import typer

from pipeline_lib.core import files
from pipeline_lib.features.nets import untrained_s3d
from pipeline_lib.features.trajectories import __main__ as evaluator
from pipeline_lib.video.probe import probe

PROMPTS = ["a hand turns a cup", "a box on a table", "a stick model of a dog running", "a crowd in the street"]


def prepare(folder: Path, videos: list[Path], seed: int) -> list[str]:
    """Checkpoint, dictionary and lists as upstream expects them in the current folder; returns the common arguments."""
    (folder / "checkpoints").mkdir()
    state = untrained_s3d.untrained(seed).state_dict()
    torch.save(state, folder / "checkpoints/s3d_howto100m.pth")
    words = sorted({word for prompt in PROMPTS for word in prompt.split()})
    np.save(folder / "checkpoints/s3d_dict.npy", np.array(words))
    (folder / "videos.txt").write_text("".join(f"{path}\n" for path in videos))
    (folder / "prompts.txt").write_text("".join(f"{prompt}\n" for prompt in PROMPTS))
    return ["-t", "videos.txt", "-p", "prompts.txt", "-e", "x"]


def upstream_similarities(upstream: Path, arguments: list[str]) -> np.ndarray:
    """The matrix that s3d_evaluator.py draws."""
    sys.path.insert(0, str(upstream))
    program: Any = importlib.import_module("s3d_evaluator")
    with mock.patch.object(program.util, "make_heatmap") as heat_map, mock.patch("sys.argv", ["x", *arguments]):
        program.main()
    return np.asarray(heat_map.call_args[0][0])


def our_similarities() -> np.ndarray:
    """The matrix in the JSON of our evaluator."""
    evaluator.main([Path("videos.txt")], Path("prompts.txt"), "x", out=Path("ours"), where="cpu")
    found = json.loads(Path("ours/x.json").read_text())
    return np.array([one["similarities"] for one in found["trajectories"]])


def main(
    videos: Annotated[list[Path], typer.Argument()],
    upstream: Annotated[Path, typer.Option(help="checkout of Dont-Care-Didnt-Ask/S3D_HowTo100M")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print the largest differences and the seconds of both, write them, and fail when one is beyond rounding."""
    upstream, out = upstream.resolve(), out.resolve()
    torch.set_num_threads(1)  # as our evaluator has it
    groups: dict[tuple[int, int], list[Path]] = {}
    for video in videos:
        found = probe(video)
        groups.setdefault((found.width, found.height), []).append(video.resolve())
    rows = []
    print(
        "| videos | size | largest similarity | largest difference | upstream s | ours s |\n|---|---|---|---|---|---|"
    )
    for (width, height), group in groups.items():
        with TemporaryDirectory() as folder, chdir(folder):
            arguments = prepare(Path(folder), group, seed)
            start = time.perf_counter()
            theirs = upstream_similarities(upstream, arguments)
            middle = time.perf_counter()
            with redirect_stdout(io.StringIO()):
                ours = our_similarities()
            seconds = middle - start, time.perf_counter() - middle
        row = {
            "videos": [path.name for path in group],
            "size": [width, height],
            "largest similarity": float(np.abs(theirs).max()),
            "largest difference": float(np.abs(theirs - ours).max()),
            "seconds": {"upstream": seconds[0], "ours": seconds[1]},
        }
        rows.append(row)
        print(
            f"| {', '.join(row['videos'])} | {width}×{height} | {row['largest similarity']:.4f} "
            f"| {row['largest difference']:.1e} | {seconds[0]:.1f} | {seconds[1]:.1f} |",
            flush=True,
        )
    machine = {"cpus": os.cpu_count(), "processor": platform.processor() or platform.machine()}
    machine |= {"python": platform.python_version(), "torch": torch.__version__}
    files.write_json(out, {"machine": machine, "seed": seed, "prompts": PROMPTS, "rows": rows})
    if max(row["largest difference"] for row in rows) > 2e-6:  # ours are rounded to six digits
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
