"""What finds a crop in the frames of a clip: the interface, and the detector that needs no Ego4D weights.

Everything about a frame that doesn't depend on the query is computed once and serves all queries of its clip.

`similarity` compares the object detector's proposals with the crop:

- A region is the trunk's feature map pooled to 2 × 2 cells. Channels are standardised with mean and deviation over the
  regions of frames spread over the clip, so what is everywhere in it counts little. Regions are compared by cosine.
- How high cosines get depends on weights, clip and crop, so a query has its own scale: 0 is how well the best region of a
  frame without the thing fits (the lower quartile over those frames: it may be in most of them), 1 how well the best one of the
  crop's own frame does. That one shows the very crop; the thing at another time lies lower, often below the middle. So
  scores are 1 / (1 + exp(-6 (u - 0.4))) of a cosine's place u on the scale: 0.08 at 0, 0.97 at 1, and the peaks' prominence of
  0.2 means an eighth of the way around 0.4.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import ops

from pipeline_lib.config.features import Objects
from pipeline_lib.config.vq2d import Detection
from pipeline_lib.core.checkpoint import load
from pipeline_lib.core.errors import UserError
from pipeline_lib.features.nets.detector_fast import optimise
from pipeline_lib.features.nets.resnet_c4 import STRIDE
from pipeline_lib.features.objects import FAMILIES
from pipeline_lib.vq2d.crop import Reference

CELLS = 2  # per side that a region is pooled to
SAMPLES = 2  # per side of a cell
STEEPNESS, MIDDLE = 6.0, 0.4  # of the logistic function; chosen on the generated videos of seeds 0 and 1
ABSENT = 25.0  # percentile of the background's frames, by how well they fit, that stands for those without the thing
LEAST_RANGE = (
    0.05  # of cosines between 0 and 1 of a query's scale: a crop that looks like everything else must not divide by 0
)


class Found(NamedTuple):
    """What is like the crop in a frame, best first."""

    boxes: np.ndarray  # (n, 4) float32 x1 y1 x2 y2 in pixels of the picture
    scores: np.ndarray  # (n,) float32 in 0 … 1
    similarity: float | None  # of the first box, cosine; None where the detector has none or found nothing


class Detector(Protocol):
    """A query-conditioned detector. Pictures are (B, h, w, 3) uint8 RGB of one size."""

    def background(self, pictures: np.ndarray) -> Any:
        """What has to be known of a clip before anything else, from frames spread over it."""

    def query(self, reference: Reference, background: Any) -> Any:
        """What has to be known of a query."""

    def regions(self, pictures: np.ndarray, background: Any) -> list[Any]:
        """All of every picture that doesn't depend on the query."""

    def find(self, regions: Any, query: Any) -> Found:
        """What is like the query's crop in one picture."""


class Regions(NamedTuple):
    """Proposals of a picture."""

    boxes: Tensor  # (R, 4) in its pixels
    features: Tensor  # (R, d), standardised, of length 1


@dataclass(frozen=True)
class Background:
    """A clip's statistics and the regions of the frames they are from."""

    mean: Tensor  # (channels, 1, 1)
    deviation: Tensor
    regions: list[Regions]


@dataclass(frozen=True)
class Query:
    """The crop's features, (d,), and the ends of the query's scale of cosines."""

    features: Tensor
    low: float
    high: float


class Similarity:
    """Proposals of a Faster R-CNN, compared with the crop (see the module's head)."""

    def __init__(self, weights: Path, options: Detection, objects: Objects, where: torch.device) -> None:
        if objects.network == "detectron2":
            raise UserError("features.objects.network = 'detectron2' gives no feature maps; choose detectron2_c4")
        family = FAMILIES[objects.network]
        try:
            net = load(family.build(options.proposals), weights).to(where)
        except UserError as error:  # it may list many keys: what to do stands in front of them
            raise UserError(
                "give --weights the object detector's (pipeline_lib.features.weights --network objects makes them),"
                f" and --objects the network that they are of; {error}"
            ) from None
        self.net = optimise(net, options.precision)  # type: ignore[arg-type]  # one of the two that it takes
        self.preprocess, self.options, self.where = family.preprocess, options, where

    def background(self, pictures: np.ndarray) -> Background:
        """Channel statistics over all cells of all regions."""
        sampled = [part for picture in pictures for part in self._pooled(picture[None])]
        cells = torch.cat([pooled.flatten(2).transpose(1, 2).flatten(0, 1) for _, pooled in sampled])
        mean, deviation = cells.mean(dim=0)[:, None, None], cells.std(dim=0)[:, None, None].clamp(min=1e-3)
        return Background(
            mean, deviation, [Regions(boxes, _standardised(pooled, mean, deviation)) for boxes, pooled in sampled]
        )

    def query(self, reference: Reference, background: Background) -> Query:
        """The crop's features are pooled from its own frame, in the context that it has there."""
        box = torch.from_numpy(reference.box)[None].to(self.where)
        maps, rois = self._proposals(reference.picture[None])
        pooled = _pool(maps, [torch.cat([box, rois[0]])])
        features = _standardised(pooled, background.mean, background.deviation)
        crop = features[0].contiguous()
        low = float(np.percentile([float((one.features @ crop).max()) for one in background.regions], ABSENT))
        high = float((features[1:] @ crop).max())
        return Query(crop, low, max(high, low + LEAST_RANGE))

    def regions(self, pictures: np.ndarray, background: Background) -> list[Regions]:
        """Standardised features of the proposals."""
        return [
            Regions(boxes, _standardised(pooled, background.mean, background.deviation))
            for boxes, pooled in self._pooled(pictures)
        ]

    def find(self, regions: Regions, query: Query) -> Found:
        """The proposals most like the crop."""
        cosines = regions.features @ query.features
        scores = torch.sigmoid(STEEPNESS * ((cosines - query.low) / (query.high - query.low) - MIDDLE))
        kept = ops.nms(regions.boxes, cosines, self.options.nms)
        kept = kept[scores[kept] >= self.options.score_thresh][: self.options.boxes]
        best = float(cosines[kept[0]]) if len(kept) else None
        return Found(regions.boxes[kept].cpu().numpy(), scores[kept].cpu().numpy(), best)

    def _proposals(self, pictures: np.ndarray) -> tuple[Tensor, list[Tensor]]:
        height, width = pictures.shape[1:3]
        short, long = sorted((height, width))
        images = torch.stack([self.preprocess(picture, short, long)[0] for picture in pictures]).to(self.where)
        info = torch.tensor([[height, width, 1.0]] * len(images))
        maps, rois = self.net.propose(images, info.to(self.where))
        return maps.float().contiguous(), [one.float() for one in rois]

    def _pooled(self, pictures: np.ndarray) -> list[tuple[Tensor, Tensor]]:
        """Boxes (R, 4) and pooled features (R, channels, CELLS, CELLS) of each picture."""
        maps, rois = self._proposals(pictures)
        return list(zip(rois, _pool(maps, rois).split([len(one) for one in rois]), strict=True))


def _pool(maps: Tensor, rois: list[Tensor]) -> Tensor:
    numbered = torch.cat([F.pad(one, (1, 0), value=float(i)) for i, one in enumerate(rois)])
    pooled: Tensor = torch.ops.torchvision.roi_align(maps, numbered, 1.0 / STRIDE, CELLS, CELLS, SAMPLES, True)
    return pooled


def _standardised(pooled: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """(R, channels·CELLS²) rows of length 1."""
    return F.normalize(((pooled - mean) / deviation).flatten(1), dim=1)


def build(weights: Path | None, options: Detection, objects: Objects, where: torch.device) -> Detector:
    """The detector that `options` name, with its weights.

    Raises:
        UserError: no weights, or detectron2 is needed and not installed.
    """
    if weights is None:
        raise UserError("--weights is missing: a checkpoint, for the similarity detector that of features.weights")
    if options.detector == "siam_rcnn":
        from pipeline_lib.vq2d.siam_rcnn import SiamDetector

        return SiamDetector(weights, options, where)
    return Similarity(weights, options, objects, where)
