"""Video file → 3-D ResNeXt-101 features (n_clips, 2048) float16 of unit length, one row per 16 frames at 24 a second.

The contract is that of antoine77340/video_feature_extractor with --type 3d (extract.py, preprocessing.py,
video_loader.py): ffmpeg's frames at 24 a second, short side 112, centre crop 112 × 112, Kinetics' mean taken off.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline_lib.config.features import ResNeXt101 as Options
from pipeline_lib.core.checkpoint import load
from pipeline_lib.features.embed import autocast, compiled, embed, finish, scaled
from pipeline_lib.features.extract import Work
from pipeline_lib.features.nets import resnext3d
from pipeline_lib.features.nets.resnet_fast import fold_norms
from pipeline_lib.features.nets.resnext3d import normalise
from pipeline_lib.features.parallel import Decoder
from pipeline_lib.features.stages import video_stage
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.sampling import Sampling


def sampling(info: VideoInfo, options: Options, decoder: str = "auto") -> Sampling:
    """The frames of a video of this size, scaled and cropped to the centre."""
    width, height = scaled(info.width, info.height, options.size)
    left, top = (width - options.size) // 2, (height - options.size) // 2
    crop = f"crop={options.size}:{options.size}:{left}:{top}"
    return Sampling(1.0 / options.fps, "ffmpeg", f"scale={width}:{height},{crop}", decoder)


def units(frames: Iterator[np.ndarray], options: Options) -> Iterator[np.ndarray]:
    """Clips (frames, h, w, 3) that follow each other; black frames fill up the last one.

    They are black before the mean is taken off, so the network sees them as -MEAN and not as 0.
    """
    while clip := list(islice(frames, options.frames)):
        filled = np.zeros((options.frames, *clip[0].shape), np.uint8)
        filled[: len(clip)] = clip
        yield filled


def forward(net: nn.Module, batch: Tensor, precision: str = "fp32") -> Tensor:
    """(B, 2048) float32, not normalised, of clips (B, T, h, w, 3) uint8."""
    with autocast(batch.device, precision):
        rows: Tensor = net(normalise(batch.permute(0, 4, 1, 2, 3)))  # the layout of the network's weights
    return rows.float()


def features(frames: Iterator[np.ndarray], net: nn.Module, options: Options, where: torch.device) -> np.ndarray:
    """The stored rows of one video, (⌈frames / 16⌉, 2048) float16."""
    run = partial(forward, net, precision=options.precision)
    return finish(embed(units(frames, options), run, options.batch, where), options.l2_normalize)


def set_up(options: Options, weights: Path, where: torch.device, decoder: str) -> Work:
    """The network with its weights, and what is done to a video."""
    net = compiled(fold_norms(load(resnext3d.ResNeXt3D(), weights)).to(where), options.compile)

    def decoded(path: Path, worker: Decoder) -> Iterator[np.ndarray]:
        shown = worker.frames(path, sampling(worker.probe(path), options, decoder))
        return units((frame.pixels for frame in shown), options)

    return Work(
        units=decoded,
        forward=lambda batch: forward(net, batch, options.precision),
        finish=lambda _, rows: finish(rows, options.l2_normalize),
    )


if __name__ == "__main__":
    video_stage("resnext101", Options, set_up)
