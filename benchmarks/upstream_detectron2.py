"""Films or pictures → how far this project's detectron2 network is from detectron2 itself, given the same weights.

python benchmarks/upstream_detectron2.py --frames bbb.mp4 --frames bikes.mp4 … --out benchmarks/results/upstream_detectron2.json

One frame is taken of each file. Needs detectron2, compiled for the torch that is installed. Weights are random, calibrated
to act like trained ones, with 1600 classes; preprocessing, network, proposals and final boxes of detectron2 are its own.
"""

import os
import platform
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import torch
import typer
from torch import Tensor

from pipeline_lib.core import files
from pipeline_lib.features.nets import boxes_d2, untrained_faster_rcnn_d2
from pipeline_lib.features.nets.detections_d2 import detections
from pipeline_lib.features.nets.detectron2_backend import Detectron2
from pipeline_lib.features.nets.faster_rcnn_d2 import FasterRCNNC4, preprocess
from pipeline_lib.features.nets.regions import select

PIXELS, SHARE = 1e-2, 1e-4  # bounds: of boxes, and of all else as a share of the largest value
BOXES = 36


def frame(path: Path, second: float) -> np.ndarray:
    """The last frame (H, W, 3) uint8 RGB of a film before `second`, or its last one; a picture is a film of one frame."""
    with av.open(str(path)) as container:
        for decoded in container.decode(video=0):
            last = decoded
            if decoded.time is not None and decoded.time >= second:
                break
    return last.to_ndarray(format="rgb24")


def their_input(picture: np.ndarray) -> Tensor:
    """What DefaultPredictor makes of a picture, (3, h, w)."""
    from detectron2.data.transforms import ResizeShortestEdge

    image = np.ascontiguousarray(picture[:, :, ::-1])
    resized = ResizeShortestEdge([800, 800], 1333).get_transform(image).apply_image(image)
    return torch.as_tensor(resized.astype("float32").transpose(2, 0, 1))


def compare(name: str, picture: np.ndarray, theirs: Detectron2, ours: FasterRCNNC4) -> list[dict[str, Any]]:
    """One row per quantity, for one frame."""
    height, width = picture.shape[:2]
    image, scale = preprocess(picture)
    their_image = their_input(picture)
    with torch.inference_mode():
        their = theirs(their_image[None], torch.tensor([their_image.shape[1:]]))[0]
        mine = ours(image[None], torch.tensor([image.shape[1:]]))[0]
        boxes, scores, labels = theirs.detections(their_image, (width, height))
    final = detections(mine, scale, (width, height))
    kept = [
        select(*one, scale, (width, height), min_boxes=BOXES, max_boxes=BOXES, arithmetic=boxes_d2.ARITHMETIC)
        for one in (their, mine)
    ]
    pairs = {
        "input": (their_image, image, SHARE),
        "proposals": (their.rois, mine.rois, PIXELS),
        "scores": (their.scores, mine.scores, SHARE),
        "deltas": (their.deltas, mine.deltas, SHARE),
        "features": (their.features, mine.features, SHARE),
        "final boxes": (boxes, final.boxes, PIXELS),
        "final scores": (scores, final.scores, SHARE),
        "final labels": (labels, final.labels, SHARE),
        f"boxes of the {BOXES} kept": (kept[0]["boxes"], kept[1]["boxes"], PIXELS),
        f"features of the {BOXES} kept": (kept[0]["features"], kept[1]["features"], SHARE),
    }
    return [
        {"frame": f"{name} {height}×{width}", "quantity": quantity, **difference(*pair)}
        for quantity, pair in pairs.items()
    ]


def difference(their: Tensor, our: Tensor, bound: float) -> dict[str, Any]:
    """The largest difference, and whether it is beyond the bound; infinite where the counts differ."""
    largest = their.abs().max().item()
    equal = their.shape == our.shape
    found = (their - our).abs().max().item() if equal else None
    beyond = found is None or found > (bound if bound == PIXELS else bound * largest)
    return {"shape": list(their.shape), "largest": largest, "difference": found, "bound": bound, "beyond": beyond}


def main(
    frames: Annotated[list[Path], typer.Option(help="films or pictures")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    second: Annotated[float, typer.Option(help="which frame of a film")] = 3.0,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print a table of the largest differences, write it, and fail when one is beyond its bound."""
    ours = untrained_faster_rcnn_d2.untrained(seed)
    theirs = Detectron2()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    theirs.eval()
    rows = [row for path in frames for row in compare(path.stem, frame(path, second), theirs, ours)]
    print("| frame | quantity | shape | largest value | largest difference |\n|---|---|---|---|---|")
    for row in rows:
        shown = "other count" if row["difference"] is None else f"{row['difference']:.1e}"
        print(f"| {row['frame']} | {row['quantity']} | {row['shape']} | {row['largest']:.3g} | {shown} |")
    beyond = sum(row["beyond"] for row in rows)
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    files.write_json(out, {"machine": machine, "seed": seed, "beyond": beyond, "rows": rows})
    if beyond:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
