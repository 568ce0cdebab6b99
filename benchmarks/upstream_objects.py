"""A checkout of the PyTorch bottom-up attention port → how far this project's detector is from it, given the same weights.

python benchmarks/upstream_objects.py --upstream ../Faster-R-CNN-with-model-pretrained-on-Visual-Genome \
    --out benchmarks/results/upstream_objects.json

Upstream (shilrley6/Faster-R-CNN-with-model-pretrained-on-Visual-Genome) needs the packages easydict and
opencv-python-headless, and two operators compiled for torch 1.0. The operators are replaced here: suppression is written
out after lib/model/csrc/cuda/nms.cu, region pooling is torchvision's, which descends from the same code. All else that
runs is upstream's own: preprocessing, network, proposals, decoding and the choice of regions.
"""

import ast
import base64
import os
import platform
import sys
import time
import types
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor
from torchvision import ops

from pipeline_lib.core import files
from pipeline_lib.features.nets import untrained_faster_rcnn
from pipeline_lib.features.nets.faster_rcnn import N_CLASSES, FasterRCNN, preprocess, select
from pipeline_lib.features.nets.textures import textures

SIZES = ((360, 480), (333, 517), (512, 1100))  # height, width; the last one meets the limit of the long side
BOXES = 10

#: Bounds as shares of the largest value. The network alone, on the same input, only rounds; cv2 computes its sampling
#: positions in float32, so inputs differ in the fifth digit, and what is kept of a frame inherits that.
NETWORK, END_TO_END = 1e-5, 1e-4


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Suppression as upstream's CUDA kernel does it: widths with the last pixel, kept indices in ascending order."""
    order = scores.sort(descending=True, stable=True).indices
    x1, y1, x2, y2 = boxes[order].unbind(dim=1)
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for i in range(len(boxes)):
        if alive[i]:
            width = (x2[i].minimum(x2) - x1[i].maximum(x1) + 1).clamp(min=0)
            height = (y2[i].minimum(y2) - y1[i].maximum(y1) + 1).clamp(min=0)
            overlap = width * height / (areas[i] + areas - width * height)
            alive[i + 1 :] &= overlap[i + 1 :] <= threshold
    return order[alive].sort().values


def pool(maps: Tensor, rois: Tensor, scale: float, height: int, width: int, sampling: int) -> Tensor:
    """Region pooling without the half-pixel shift that later versions added."""
    return ops.roi_align(maps, rois, (height, width), scale, sampling, aligned=False)


def upstream_network(checkout: Path) -> Any:
    """Upstream's network, in evaluation mode, with the configuration that its `--dataset vg --net res101` sets."""
    sys.modules["model._C"] = types.SimpleNamespace(nms=nms, roi_align_forward=pool)  # type: ignore[assignment]
    sys.path.insert(0, str(checkout / "lib"))
    from model.utils.config import cfg

    cfg.ANCHOR_SCALES, cfg.ANCHOR_RATIOS, cfg.POOLING_MODE = [4, 8, 16, 32], [0.5, 1, 2], "align"
    from model.faster_rcnn.resnet import resnet

    net = resnet([str(i) for i in range(N_CLASSES)], 101, pretrained=False, class_agnostic=False)
    net.create_architecture()
    net.eval()  # returns nothing: upstream overrides train()
    return net


def upstream_functions(checkout: Path, frame: list[np.ndarray]) -> dict[str, Any]:
    """The functions of generate_tsv.py, without its imports of training code; `frame[0]` is what it reads as the image."""
    from model.rpn.bbox_transform import bbox_transform_inv, clip_boxes
    from model.utils.blob import im_list_to_blob
    from model.utils.config import cfg

    tree = ast.parse((checkout / "generate_tsv.py").read_text())
    wanted = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name in ("_get_image_blob", "get_detections_from_im")
    ]
    import cv2

    names: dict[str, Any] = {
        "np": np,
        "torch": torch,
        "cv2": cv2,
        "time": time,
        "base64": base64,
        "cfg": cfg,
        "nms": nms,
        "Variable": torch.autograd.Variable,
        "im_list_to_blob": im_list_to_blob,
        "bbox_transform_inv": bbox_transform_inv,
        "clip_boxes": clip_boxes,
        "xrange": range,
        "imread": lambda _path: frame[0],
        "vis_detections": lambda image, *_rest: image,
        "MIN_BOXES": BOXES,
        "MAX_BOXES": BOXES,
    }
    exec(compile(ast.Module(wanted, []), "generate_tsv.py", "exec"), names)
    return names


def compare(frame: np.ndarray, theirs: Any, functions: dict[str, Any], ours: FasterRCNN) -> list[dict[str, Any]]:
    """One row per quantity, for one frame: the network on upstream's input, then all steps from the frame to the boxes."""
    image, scale = preprocess(frame)
    info = torch.tensor([[*image.shape[1:], scale]])
    blob, scales = functions["_get_image_blob"](frame[:, :, ::-1])
    their_image = torch.from_numpy(blob).permute(0, 3, 1, 2).contiguous()  # upstream copies it into such a tensor
    with torch.no_grad():
        out = theirs(their_image, info, torch.zeros(1, 1, 5), torch.zeros(1), pool_feat=True)
        chosen = functions["get_detections_from_im"](
            theirs, [str(i) for i in range(N_CLASSES)], "", 0, types.SimpleNamespace(cuda=0, class_agnostic=False)
        )
        mine = ours(their_image, info)[0]
        kept = select(
            *ours(image[None], info)[0], scale, (frame.shape[1], frame.shape[0]), min_boxes=BOXES, max_boxes=BOXES
        )
    count = len(mine.rois)  # upstream fills up with zeros
    pairs = {
        "proposals": (out[0][0, :count, 1:], mine.rois, NETWORK),
        "scores": (out[1][0, :count], mine.scores, NETWORK),
        "deltas": (out[2][0, :count], mine.deltas, NETWORK),
        "features": (out[8][:count], mine.features, NETWORK),
        "scale": (torch.tensor(scales), torch.tensor([scale], dtype=torch.float64), END_TO_END),
        "input": (their_image, image[None], END_TO_END),
        "kept boxes": (_decoded(chosen["boxes"], np.float64, 4), kept["boxes"], END_TO_END),
        "kept features": (_decoded(chosen["features"], np.float32, 2048), kept["features"], END_TO_END),
    }
    return [
        {
            "frame": f"{frame.shape[0]}×{frame.shape[1]}",
            "quantity": name,
            "shape": list(their.shape),
            "largest value": their.abs().max().item(),
            "largest difference": (their - our).abs().max().item(),
            "bound": bound,
        }
        for name, (their, our, bound) in pairs.items()
    ]


def _decoded(text: bytes, dtype: type, columns: int) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype).reshape(-1, columns).copy())


def main(
    upstream: Annotated[Path, typer.Option(help="checkout of the port")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Print a table of the largest differences, write it, and fail when one is beyond rounding."""
    ours = untrained_faster_rcnn.untrained(seed)
    theirs = upstream_network(upstream)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    held: list[np.ndarray] = []
    functions = upstream_functions(upstream, held)
    rows = []
    for number, (height, width) in enumerate(SIZES):
        picture = textures(1, 1, max(height, width), seed=100 + number)[0, :, 0, :height, :width]
        held[:] = [(picture.permute(1, 2, 0) * 255).byte().numpy()]
        rows += compare(held[0], theirs, functions, ours)
    print("| frame | quantity | shape | largest value | largest difference |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['frame']} | {row['quantity']} | {row['shape']} | {row['largest value']:.3g} "
            f"| {row['largest difference']:.1e} |"
        )
    beyond = [row for row in rows if row["largest difference"] > row["bound"] * row["largest value"]]
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    files.write_json(out, {"machine": machine, "seed": seed, "beyond": len(beyond), "rows": rows})
    if beyond:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
