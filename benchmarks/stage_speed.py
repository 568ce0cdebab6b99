"""Films → seconds of a whole feature stage (decode, network, file) here, beside video_feature_extractor's loop re-created.

python benchmarks/stage_speed.py --films FILM... --out benchmarks/results/stage_speed.json

The loop is that of antoine77340/video_feature_extractor (extract.py, video_loader.py) with its networks as they are: a video
at a time, decoded by ffmpeg's command line into memory, batches of 64, the same normalisation and float16 file. Weights
are the same random ones. Each program runs in a process of its own with one torch thread; they take turns.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from safetensors.torch import save_file

from pipeline_lib.core import checkpoint, files
from pipeline_lib.features import from_csv, resnet152, resnext101
from pipeline_lib.features.nets import resnet2d, resnext3d, untrained_resnet152, untrained_resnext101
from pipeline_lib.video.decode import frames
from pipeline_lib.video.probe import probe

BATCH = 64


def loop(kind: str, films: list[Path], weights: Path, folder: Path) -> None:
    """video_feature_extractor's way."""
    module = resnet152 if kind == "2d" else resnext101
    options = module.Options()
    net = checkpoint.load(resnet2d.build() if kind == "2d" else resnext3d.ResNeXt3D(), weights)
    for film in films:
        chain = module.sampling(probe(film), options).filters
        command = ["ffmpeg", "-v", "error", "-i", str(film), "-vf", f"fps={options.fps},{chain}"]
        raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], capture_output=True, check=True)
        size = one_frame(film, kind).shape
        pictures = np.frombuffer(raw.stdout, np.uint8).reshape(-1, *size)
        units = torch.from_numpy(np.stack(list(module.units(iter(pictures), options))))
        rows = []
        with torch.no_grad():
            for start in range(0, len(units), BATCH):
                rows.append(module.forward(net, units[start : start + BATCH]))
        found = F.normalize(torch.cat(rows), dim=1).numpy().astype(np.float16)
        np.save(folder / f"{film.stem}.npy", found)


def one_frame(film: Path, kind: str) -> np.ndarray:
    """The first frame, for its size."""
    module = resnet152 if kind == "2d" else resnext101
    return next(frames(film, module.sampling(probe(film), module.Options()))).pixels


def ours(kind: str, films: list[Path], weights: Path, folder: Path) -> None:
    """The command line that takes the same lists."""
    listed = folder / "list.csv"
    lines = [f"{film},{folder / film.stem}.npy" for film in films]
    listed.write_text("\n".join(["video_path,feature_path", *lines]) + "\n")
    from_csv.main(listed=listed, kind=kind, batch=BATCH, half=1, threads=1, unit=1, weights=weights, where="cpu")


def measure(program: str, kind: str, films: list[Path], weights: Path, folder: Path) -> dict[str, float]:
    """Seconds and CPU seconds of one process, without starting Python."""
    words = [sys.executable, __file__, "--program", program, "--kind", kind, "--weights", str(weights)]
    words += [word for film in films for word in ("--films", str(film))] + ["--folder", str(folder)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(program: str, kind: str, films: list[Path], weights: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    began = time.monotonic()
    before = sum(os.times()[:4])  # user and system, also of processes that have ended
    (ours if program == "ours" else loop)(kind, films, weights, folder)
    after = sum(os.times()[:4])
    print(json.dumps({"seconds": time.monotonic() - began, "cpu": after - before}))


def main(
    films: Annotated[list[Path], typer.Option(help="video files")],
    out: Annotated[Path | None, typer.Option(help="JSON to write")] = None,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    program: Annotated[str, typer.Option(hidden=True)] = "",
    kind: Annotated[str, typer.Option(hidden=True)] = "2d",
    weights: Annotated[Path, typer.Option(hidden=True)] = Path(),
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Print a table of seconds and ratios, and write it."""
    films = [film.resolve() for film in films]
    if program:
        return run(program, kind, films, weights, folder)
    results = []
    print("| stage | loop s (CPU s) | ours s (CPU s) | times as fast | by CPU | largest difference of a value |")
    print("|---|---|---|---|---|---|")
    for kind, module in (("2d", untrained_resnet152), ("3d", untrained_resnext101)):
        with tempfile.TemporaryDirectory() as name:
            weights = Path(name) / "w.safetensors"
            save_file(module.untrained(0).state_dict(), weights)
            runs: dict[str, list[dict[str, float]]] = {"loop": [], "ours": []}
            rows: dict[str, list[np.ndarray]] = {}
            for turn in range(repeats):
                for program in runs:
                    folder = Path(name) / f"{program}{turn}"
                    folder.mkdir()
                    runs[program].append(measure(program, kind, films, weights, folder))
                    rows[program] = [np.load(folder / f"{film.stem}.npy").astype(np.float32) for film in films]
        middle = {p: {key: statistics.median(one[key] for one in runs[p]) for key in ("seconds", "cpu")} for p in runs}
        apart = max(float(np.abs(a - b).max()) for a, b in zip(rows["loop"], rows["ours"], strict=True))
        ratio = middle["loop"]["seconds"] / middle["ours"]["seconds"]
        by_cpu = middle["loop"]["cpu"] / middle["ours"]["cpu"]
        results.append({"kind": kind, **middle, "ratio": ratio, "ratio cpu": by_cpu, "largest difference": apart})
        print(
            f"| {kind} | {middle['loop']['seconds']:.1f} ({middle['loop']['cpu']:.1f}) "
            f"| {middle['ours']['seconds']:.1f} ({middle['ours']['cpu']:.1f}) | {ratio:.2f} | {by_cpu:.2f} | {apart:.1e} |"
        )
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if out:
        content = {"machine": machine, "films": [film.name for film in films], "repeats": repeats, "results": results}
        files.write_json(out, content)
    return None


if __name__ == "__main__":
    typer.run(main)
