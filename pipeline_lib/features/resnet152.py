"""Video file → ResNet-152 features (n_seconds, 2048) float16 of unit length, one row per second.

The contract is that of antoine77340/video_feature_extractor with --type 2d (extract.py, preprocessing.py,
video_loader.py): ffmpeg's frames at 1 a second, short side 224, no crop, ImageNet's mean and deviation.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline_lib.config.features import ResNet152 as Options
from pipeline_lib.core.checkpoint import load
from pipeline_lib.features.embed import autocast, compiled, embed, finish, scaled
from pipeline_lib.features.extract import Work
from pipeline_lib.features.nets import resnet2d
from pipeline_lib.features.nets.resnet2d import normalise
from pipeline_lib.features.nets.resnet_fast import optimise
from pipeline_lib.features.parallel import Decoder
from pipeline_lib.features.stages import video_stage
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.sampling import Sampling


def sampling(info: VideoInfo, options: Options, decoder: str = "auto") -> Sampling:
    """The frames of a video of this size, scaled."""
    width, height = scaled(info.width, info.height, options.size)
    return Sampling(1.0 / options.fps, "ffmpeg", f"scale={width}:{height}", decoder)


def units(frames: Iterator[np.ndarray], options: Options) -> Iterator[np.ndarray]:
    """What gets a row each: the frames (h, w, 3) themselves. All of one video have one size."""
    return frames


def forward(net: nn.Module, batch: Tensor, precision: str = "fp32") -> Tensor:
    """(B, 2048) float32, not normalised, of frames (B, h, w, 3) uint8."""
    with autocast(batch.device, precision):
        rows: Tensor = net(normalise(batch.permute(0, 3, 1, 2).contiguous()))
    return rows.float()


def features(frames: Iterator[np.ndarray], net: nn.Module, options: Options, where: torch.device) -> np.ndarray:
    """The stored rows of one video, (n, 2048) float16."""
    run = partial(forward, net, precision=options.precision)
    return finish(embed(units(frames, options), run, options.batch, where), options.l2_normalize)


def set_up(options: Options, weights: Path, where: torch.device, decoder: str) -> Work:
    """The network with its weights, and what is done to a video."""
    net = compiled(optimise(load(resnet2d.build(), weights).to(where), options.precision), options.compile)

    def decoded(path: Path, worker: Decoder) -> Iterator[np.ndarray]:
        shown = worker.frames(path, sampling(worker.probe(path), options, decoder))
        return units((frame.pixels for frame in shown), options)

    return Work(
        units=decoded,
        forward=lambda batch: forward(net, batch),
        finish=lambda _, rows: finish(rows, options.l2_normalize),
    )


if __name__ == "__main__":
    video_stage("resnet152", Options, set_up)
