"""Stored frames → Faster R-CNN region features per frame: features (n, K, 2048), boxes (n, K, 4), scores, labels (n, K)."""

from pathlib import Path

import numpy as np
import torch

from pipeline_lib.config import Objects as Options
from pipeline_lib.config import as_dict
from pipeline_lib.core import arguments, cli, device, files
from pipeline_lib.core.checkpoint import load
from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage
from pipeline_lib.features.nets.faster_rcnn import FasterRCNN, preprocess
from pipeline_lib.features.nets.regions import select
from pipeline_lib.video import frames

FIELDS = ("features", "boxes", "scores", "labels")


def regions(
    picture: np.ndarray, size: tuple[int, int], net: FasterRCNN, options: Options, where: torch.device
) -> dict[str, np.ndarray]:
    """The K regions of one picture (H, W, 3) uint8 RGB; boxes x1 y1 x2 y2 in pixels of the video of (width, height) `size`."""
    height, width = picture.shape[:2]
    image, scale = preprocess(picture, options.short_side, options.max_side)
    info = torch.tensor([[image.shape[-2], image.shape[-1], scale]], dtype=torch.float32)
    with torch.inference_mode():
        rois, scores, deltas, pooled = net(image[None].to(where), info.to(where))[0]
        chosen = select(
            rois,
            scores,
            deltas,
            pooled,
            scale,
            (width, height),
            conf_thresh=options.confidence,
            nms_thresh=options.nms,
            min_boxes=options.boxes,
            max_boxes=options.boxes,
        )
    found = {field: chosen[field].cpu().numpy() for field in FIELDS}
    found["boxes"] = found["boxes"] * np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return found


def features(tar: Path, net: FasterRCNN, options: Options, where: torch.device) -> dict[str, np.ndarray]:
    """Regions of every stored frame of a video, stacked over frames."""
    index, pictures = frames.read(tar)
    size = (index["width"], index["height"])
    found = [regions(picture, size, net, options, where) for picture in pictures]
    return {field: np.stack([one[field] for one in found]) for field in FIELDS}


def main(
    shard: arguments.Shard,
    stored: arguments.Frames,
    weights: arguments.Weights,
    out: arguments.Out,
    options: arguments.Options = "{}",
    where: arguments.Device = "auto",
    id_pattern: arguments.IdPattern = ".*",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Extract the regions of every stored video of a shard, then write the ledger."""
    wanted = cli.parse_options(Options, options)
    device.deterministic()
    target = device.choose(where)
    net = load(FasterRCNN(post_nms=wanted.proposals), weights).to(target)

    def make(item: Item, to: Path) -> int:
        assert item.source is not None
        arrays = features(item.source, net, wanted, target)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ItemError(Reason.NOT_FINITE, "the network's output holds NaN or Inf")
        with open(to, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        return len(arrays["features"])

    run_stage(
        Spec.of("objects", "pipeline_lib.features.objects", as_dict(wanted), files.sha256(weights)),
        shard,
        out,
        make,
        suffix=".npz",
        source=stored,
        id_pattern=id_pattern,
        max_failed_fraction=max_failed_fraction,
    )


if __name__ == "__main__":
    cli.run(main)
