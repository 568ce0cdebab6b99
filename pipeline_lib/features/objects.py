"""Stored frames or videos → Faster R-CNN regions per frame: features (n, K, 2048), boxes (n, K, 4), scores, labels (n, K)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from torch import Tensor

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.features import Objects as Options
from pipeline_lib.config.video import Frames, Video
from pipeline_lib.core import arguments, cli
from pipeline_lib.core.checkpoint import load
from pipeline_lib.core.errors import UserError
from pipeline_lib.features import parallel
from pipeline_lib.features.extract import Extractor, Work, prepared, run
from pipeline_lib.features.nets import boxes_d2, faster_rcnn, faster_rcnn_d2
from pipeline_lib.features.nets.detector_fast import optimise
from pipeline_lib.features.nets.detectron2_backend import Detectron2
from pipeline_lib.features.nets.regions import CAFFE, Arithmetic, Proposals, select
from pipeline_lib.video import frames

FIELDS = ("features", "boxes", "scores", "labels")


Network = faster_rcnn.FasterRCNN | faster_rcnn_d2.FasterRCNNC4 | Detectron2
Detector = Callable[[Tensor, Tensor], list[Proposals]]  # images (B, 3, h, w), im_info (B, 3) → a result per image


class Family(NamedTuple):
    """A kind of detector: its network for a number of proposals, what is done to a frame before it, its arithmetic."""

    build: Callable[[int], Network]
    preprocess: Callable[[np.ndarray, int, int], tuple[Tensor, Any]]
    arithmetic: Arithmetic


FAMILIES = {
    "vg_port": Family(lambda n: faster_rcnn.FasterRCNN(post_nms=n), faster_rcnn.preprocess, CAFFE),
    "detectron2_c4": Family(
        lambda n: faster_rcnn_d2.FasterRCNNC4(post_nms=n), faster_rcnn_d2.preprocess, boxes_d2.ARITHMETIC
    ),
    "detectron2": Family(lambda n: Detectron2(post_nms=n), faster_rcnn_d2.preprocess, boxes_d2.ARITHMETIC),
}


def build(options: Options, weights: Path, where: torch.device) -> Detector:
    """The detector with its weights, ready to run."""
    net = load(FAMILIES[options.network].build(options.proposals), weights).to(where)
    if isinstance(net, Detectron2):
        if options.precision != "fp32" or options.compile:
            raise UserError(
                "features.objects.network = 'detectron2' runs in fp32 only; choose detectron2_c4 for the rest"
            )
        return net
    return optimise(net, options.precision, options.compile)


def regions(pictures: np.ndarray, net: Detector, options: Options, where: torch.device) -> list[dict[str, np.ndarray]]:
    """The K regions of each of B pictures (B, H, W, 3) uint8 RGB; boxes x1 y1 x2 y2 in pixels of the picture."""
    family = FAMILIES[options.network]
    prepared = [family.preprocess(picture, options.short_side, options.max_side) for picture in pictures]
    images = torch.stack([image for image, _ in prepared]).to(where)
    scale = prepared[0][1]
    info = torch.tensor([[*images.shape[2:], scale if isinstance(scale, float) else scale[0]]] * len(images))
    found = []
    for proposals in net(images, info.to(where)):
        chosen = select(
            *proposals,
            scale,
            (pictures.shape[2], pictures.shape[1]),
            conf_thresh=options.confidence,
            nms_thresh=options.nms,
            min_boxes=options.min_boxes or options.boxes,
            max_boxes=options.boxes,
            arithmetic=family.arithmetic,
        )
        found.append({field: chosen[field].cpu().numpy() for field in FIELDS})
    return found


class Source:
    """Decodes pictures and remembers how large the videos they are from are.

    Args:
        stored: whether files are tars of stored frames, not videos.
    """

    def __init__(self, stored: bool, options: Frames, decoder: str) -> None:
        self.stored, self.sampling = stored, frames.sampling(options, decoder)
        self._sizes: dict[Path, tuple[int, int]] = {}  # width and height of a video, at its last picture
        self._shapes: dict[Path, list[tuple[int, ...]]] = {}  # of its pictures; they may change on the way

    def pictures(self, path: Path, decoder: parallel.Decoder) -> Iterator[np.ndarray]:
        """Pictures (H, W, 3) uint8 RGB of one video."""
        if self.stored:
            index, pictures = frames.read(path)
            shown = (((index["width"], index["height"]), picture) for picture in pictures)
        else:
            shown = ((frame.size, frame.pixels) for frame in decoder.frames(path, self.sampling))
        shapes = self._shapes[path] = []
        for size, picture in shown:
            self._sizes[path] = size
            shapes.append(picture.shape)
            yield picture

    def stack(self, path: Path, rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Regions of all pictures of a video: boxes in its own pixels, and `size` (2,) its width and height.

        With a lower limit frames have different numbers of regions; rows of zeros, label 0, fill them up.
        """
        width, height = self._sizes.pop(path)
        factors = np.array([[width / w, height / h] * 2 for h, w, _ in self._shapes.pop(path)], np.float32)
        most = max(len(row["labels"]) for row in rows)
        found = {field: np.stack([_filled(row[field], most) for row in rows]) for field in FIELDS}
        found["boxes"] = found["boxes"] * factors[:, None]
        return {**found, "size": np.array([width, height])}


def _filled(rows: np.ndarray, length: int) -> np.ndarray:
    return np.pad(rows, [(0, length - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


def main(
    shard: arguments.Shard,
    due_diligence: arguments.DueDiligence,
    weights: arguments.Weights,
    out: arguments.Out,
    stored: Annotated[Path | None, typer.Option("--frames", help="ledger of the stored frames")] = None,
    videos: Annotated[Path | None, typer.Option(help="ledger of the videos, to decode them instead")] = None,
    options: arguments.Options = "{}",
    frame_options: Annotated[str, typer.Option(help="the frames section of the configuration, as JSON")] = "{}",
    video: arguments.Video = "{}",
    where: arguments.Device = "auto",
    decoders: arguments.Decoders = 1,
    id_pattern: arguments.IdPattern = ".*",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Extract the regions of every usable video of a shard, then write the ledger."""
    wanted, shown = cli.parse_options(Options, options), cli.parse_options(Frames, frame_options, "--frame-options")
    decoding = cli.parse_options(Video, video, "--video")
    ledger = stored or videos
    if ledger is None or (stored and videos):
        raise UserError("give either --frames or --videos")
    target = prepared(where, wanted.precision)
    net = build(wanted, weights, target)
    source = Source(stored is not None, shown, decoding.decoder)
    # Stored frames are named by their own sha256; of videos, how they are sampled belongs to what the regions are.
    sampled = {} if stored else {"frames": {**as_dict(shown), "decoder": decoding.decoder}}
    extractor = Extractor(
        "objects",
        "pipeline_lib.features.objects",
        decisive={**as_dict(wanted), **sampled},
        batch=wanted.batch,
        work=Work(source.pictures, lambda pictures: regions(pictures.cpu().numpy(), net, wanted, target), source.stack),
        suffix=".npz",
    )
    run(
        extractor,
        shard,
        out,
        weights=weights,
        source=ledger,
        gates=[due_diligence],
        where=target,
        limits=decoding.limits,
        decoders=decoders,
        id_pattern=id_pattern,
        max_failed_fraction=max_failed_fraction,
    )


if __name__ == "__main__":
    cli.run(main)
