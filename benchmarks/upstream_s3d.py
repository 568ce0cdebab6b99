"""A checkout of antoine77340/S3D_HowTo100M → how far this project's S3D-G is from it, given the same weights.

python benchmarks/upstream_s3d.py --upstream ../S3D_HowTo100M --out benchmarks/results/upstream_s3d.json
"""

import importlib.util
import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn

from pipeline_lib.core import files
from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import untrained_s3d

SHAPES = ((1, 32, 224, 224), (1, 16, 200, 200), (1, 16, 198, 202), (2, 8, 112, 112))  # batch, T, H, W
WORDS = ["the", "a", "flood", "fire", "don't", "crowd", "marches", "through", "street", "street", "s"]
SENTENCES = [
    "The fire!",
    "a crowd marches through the FLOOD, don't",
    "",
    "unknown words only",
    "the street's fire " * 12,
]
BOUND = 1e-5  # fp32 rounding; a wrong step shows as 1e-2 and more


def networks(upstream: Path, seed: int) -> tuple[nn.Module, S3D]:
    """Upstream's network and this one, both with one state: calibrated random weights, norms disturbed."""
    state = untrained_s3d(seed).state_dict()
    source = torch.Generator().manual_seed(seed)
    for key, value in state.items():
        if ".bn" in key and key.endswith((".weight", ".bias")):
            state[key] = value + 0.2 * torch.randn(value.shape, generator=source)
    spec = importlib.util.spec_from_file_location("s3dg", upstream / "s3dg.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder) / "dict.npy"
        np.save(dictionary, np.array(WORDS))
        theirs, ours = module.S3D(str(dictionary)), S3D(dictionary)
    for net in (theirs, ours):
        net.load_state_dict(state, strict=True)
        net.eval()
    return theirs, ours


def clips(batch: int, frames: int, height: int, width: int) -> Tensor:
    """Generated clips cut to a size."""
    return textures(batch, frames, max(height, width), seed=frames)[..., :height, :width].contiguous()


def compare(inputs: str, theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> list[dict[str, str | float]]:
    """One row per output."""
    return [
        {
            "input": inputs,
            "output": name,
            "largest value": value.abs().max().item(),
            "largest difference": (value - ours[name]).abs().max().item(),
        }
        for name, value in theirs.items()
    ]


def main(
    upstream: Annotated[Path, typer.Option(help="checkout of antoine77340/S3D_HowTo100M")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print a table of the largest differences, write it, and fail when one is beyond rounding."""
    theirs, ours = networks(upstream, seed)
    rows = []
    with torch.inference_mode():
        for shape in SHAPES:
            video = clips(*shape)
            rows += compare("×".join(map(str, shape)), theirs(video), ours(video))
        rows += compare(f"{len(SENTENCES)} sentences", theirs.text_module(SENTENCES), ours.text_module(SENTENCES))
    print("| input (B×T×H×W) | output | largest value | largest difference |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['input']} | {row['output']} | {row['largest value']:.3g} | {row['largest difference']:.1e} |")
    worst = max(float(row["largest difference"]) for row in rows)
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    files.write_json(out, {"machine": machine, "seed": seed, "bound": BOUND, "worst": worst, "rows": rows})
    if worst > BOUND:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
