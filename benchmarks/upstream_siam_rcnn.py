"""Siam-RCNN and the visual crop of EGO4D/episodic-memory, and ours, on the same random weights and pictures.

PYTHONPATH=.:DETECTRON2:EPISODIC_MEMORY/VQ2D python benchmarks/upstream_siam_rcnn.py --upstream EPISODIC_MEMORY \
    --out benchmarks/results/upstream_siam_rcnn.json

Needs detectron2 (compiled), opencv and einops. The comparison's weights are scaled so that scores spread over 0 … 1.
"""

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image

from pipeline_lib.config.vq2d import Detection
from pipeline_lib.core import files
from pipeline_lib.vq2d import crop, siam_rcnn
from pipeline_lib.vq2d.annotations import Box
from pipeline_lib.vq2d.crop import Reference

PICTURES, QUERIES, SIZE = 2, 2, (350, 467)


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Blurred noise."""
    noise = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


def upstream_model(root: Path) -> Any:
    """Their model with their configuration and random weights."""
    from detectron2.modeling import build_model
    from detectron2_extensions.config import get_cfg

    config = get_cfg()
    config.set_new_allowed(True)
    config.merge_from_file(str(root / "VQ2D/configs/siam_rcnn_8_gpus.yaml"))
    config.MODEL.ROI_HEADS.SCORE_THRESH_TEST, config.MODEL.DEVICE = 0.0, "cpu"
    return build_model(config).eval()


def upstream_find(model: Any, pictures: np.ndarray, visual_crop: np.ndarray) -> list[Any]:
    """What SiamPredictor does, without its loading of a checkpoint."""
    from detectron2.data import transforms

    shorter = transforms.ResizeShortestEdge([800, 800], 1333)
    inputs = []
    for picture in pictures:
        image, reference = picture[:, :, ::-1], visual_crop[:, :, ::-1]
        image = shorter.get_transform(image).apply_image(image)
        tensors = [torch.as_tensor(one.astype("float32").transpose(2, 0, 1)) for one in (image, reference)]
        inputs.append({"image": tensors[0], "reference": tensors[1], "height": SIZE[0], "width": SIZE[1]})
    return [one["instances"] for one in model(inputs)]


@torch.no_grad()
def compare_detectors(root: Path) -> dict[str, Any]:
    """Largest differences of scores and boxes, and seconds for several queries on the same pictures."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pictures = np.stack([texture(rng, *SIZE) for _ in range(PICTURES)])
    crops = [texture(rng, 256, 256) for _ in range(QUERIES)]
    theirs = upstream_model(root)
    references = [Reference(pictures[0], np.zeros(4, np.float32), one) for one in crops]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pth")
        torch.save({"model": theirs.state_dict(), "iteration": 1}, path)
        ours = siam_rcnn.SiamDetector(path, Detection(), torch.device("cpu"))
    region = ours.regions(pictures[:1], None)[0]
    logits = torch.stack([region.vectors @ ours.query(one, None).direction for one in references])
    for head in (theirs.roi_heads.siam_head, ours.net.head):
        head.compare.weight /= logits.std()
        head.compare.bias.fill_(float(-logits.mean() / logits.std()))
    began = time.monotonic()
    expected = [upstream_find(theirs, pictures, one) for one in crops]
    middle = time.monotonic()
    regions = ours.regions(pictures, None)
    found = [[ours.find(one, ours.query(reference, None)) for one in regions] for reference in references]
    ended = time.monotonic()
    pairs = [pair for one, other in zip(expected, found, strict=True) for pair in zip(one, other, strict=True)]
    scores = np.concatenate([one.scores.numpy() for one, _ in pairs])
    return {
        "boxes_compared": len(scores),
        "scores": [round(float(scores.min()), 4), round(float(scores.max()), 4)],
        "largest_score_difference": max(float(np.abs(a.scores.numpy() - b.scores).max()) for a, b in pairs),
        "largest_box_difference": max(float(np.abs(a.pred_boxes.tensor.numpy() - b.boxes).max()) for a, b in pairs),
        "seconds": {"upstream": round(middle - began, 2), "ours": round(ended - middle, 2)},
        "pictures": PICTURES,
        "queries": QUERIES,
    }


def compare_crops(root: Path, cases: int = 300) -> dict[str, Any]:
    """Largest differences in grey levels of crops, and of frames scaled as cv2 scales them."""
    import cv2

    scope: dict[str, Any] = {}
    text = (root / "VQ2D/vq2d/baselines/utils.py").read_text()
    text = text[: text.index("from ..constants")] + text[text.index("def convert_image_np2torch") :]
    exec(text.replace("-> BBox", ""), scope)  # the module without its relative imports
    rng = np.random.default_rng(0)
    crops = scaled = 0
    for _ in range(cases):
        height, width = (int(side) for side in rng.integers(80, 400, 2))
        frame = texture(rng, height, width)
        corner, size = rng.uniform(-20, (width - 2, height - 2)), rng.uniform(25, 200, 2)
        box = Box(
            frame_number=0,
            x=corner[0],
            y=corner[1],
            width=size[0],
            height=size[1],
            original_width=width,
            original_height=height,
        )
        if box.is_outside:
            continue
        image = torch.as_tensor(frame.transpose(2, 0, 1)[None]).float()
        theirs = scope["extract_window_with_context"](image, box.corners, 16, size=256, pad_value=125)
        mine = crop.visual_crop(frame, box)
        crops = max(crops, int(np.abs(theirs.byte()[0].permute(1, 2, 0).numpy().astype(int) - mine).max()))
        scale = 120 / height
        picture, _ = crop.scaled(frame, (width, height), 120)
        scaled = max(scaled, int(np.abs(cv2.resize(frame, None, fx=scale, fy=scale).astype(int) - picture).max()))
    return {"cases": cases, "largest_crop_difference": crops, "largest_difference_of_scaled_frames": scaled}


def main(
    upstream: Annotated[Path, typer.Option(help="checkout of EGO4D/episodic-memory")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
) -> None:
    """Compare and write the differences."""
    result = {"crops": compare_crops(upstream), "siam_rcnn": compare_detectors(upstream)}
    files.write_json(out, result)
    print(result)


if __name__ == "__main__":
    typer.run(main)
