"""A checkout of antoine77340/S3D_HowTo100M → how much faster this project's S3D-G runs on this CPU, and how equal it stays.

python benchmarks/s3d_speed.py --upstream ../S3D_HowTo100M --out benchmarks/results/s3d_speed.json

Programs take turns in one process with the same number of threads; ratios are those of the medians of CPU seconds, which
other work on the machine disturbs least, and of seconds.
"""

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from upstream_s3d import clips, networks

from pipeline_lib.core import files
from pipeline_lib.features.nets.s3d_fast import optimise

SHAPE = (32, 224, 224)


def timed(net: nn.Module, video: Tensor) -> tuple[float, float, dict[str, Tensor]]:
    """(CPU seconds, seconds, outputs) of one pass."""
    began, used = time.perf_counter(), time.process_time()
    found = net(video)
    return time.process_time() - used, time.perf_counter() - began, found


def main(
    upstream: Annotated[Path, typer.Option(help="checkout of antoine77340/S3D_HowTo100M")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    threads: Annotated[int, typer.Option(min=1)] = 2,
    batch: Annotated[int, typer.Option(min=1)] = 1,
    repeats: Annotated[int, typer.Option(min=1)] = 7,
    compile: Annotated[bool, typer.Option(help="measure torch.compile too, which takes a minute to start")] = True,
) -> None:
    """Print a table of seconds per clip, ratios and differences, and write it."""
    torch.set_num_threads(threads)
    theirs, ours = networks(upstream, seed=0)
    nets: dict[str, nn.Module] = {"upstream, eager": theirs, "ours, plain": ours}
    nets |= {f"ours, {precision}": optimise(ours, precision) for precision in ("fp32", "bf16")}
    if compile:
        compiled = {f"ours, {p}, compiled": optimise(ours, p, compile=True) for p in ("fp32", "bf16")}
        nets |= compiled
    video = clips(batch, *SHAPE)
    cpu: dict[str, list[float]] = {name: [] for name in nets}
    wall: dict[str, list[float]] = {name: [] for name in nets}
    with torch.inference_mode():
        outputs = {name: timed(net, video)[2] for name, net in nets.items()}  # the first pass packs and compiles
        for _ in range(repeats):
            for name, net in nets.items():
                used, seconds, _ = timed(net, video)
                cpu[name].append(used / batch)
                wall[name].append(seconds / batch)
    base = "upstream, eager"
    rows = []
    print("| network | CPU s per clip | s per clip | times as fast (CPU) | (wall) | largest difference | cosine |")
    print("|---|---|---|---|---|---|---|")
    for name in nets:
        used, seconds = statistics.median(cpu[name]), statistics.median(wall[name])
        value, reference = outputs[name]["mixed_5c"], outputs[base]["mixed_5c"]
        difference = max((outputs[name][key] - outputs[base][key]).abs().max().item() for key in outputs[base])
        row = {
            "network": name,
            "cpu seconds": used,
            "seconds": seconds,
            "ratio cpu": statistics.median(cpu[base]) / used,
            "ratio": statistics.median(wall[base]) / seconds,
            "largest difference": difference,
            "cosine": F.cosine_similarity(value, reference).min().item(),
        }
        rows.append(row)
        print(
            f"| {name} | {used:.3f} | {seconds:.3f} | {row['ratio cpu']:.2f} | {row['ratio']:.2f} "
            f"| {difference:.1e} | {row['cosine']:.5f} |"
        )
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": threads,
        "load": os.getloadavg()[0],
    }
    files.write_json(out, {"machine": machine, "clip": [batch, *SHAPE], "repeats": repeats, "rows": rows})


if __name__ == "__main__":
    typer.run(main)
