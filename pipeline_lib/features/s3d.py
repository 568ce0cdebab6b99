"""Video file → S3D clip features (n_clips, 1024), one row per window of frames."""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline_lib.config.features import S3D as Options
from pipeline_lib.core.checkpoint import load
from pipeline_lib.features.extract import Work
from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.features.nets.s3d_fast import optimise
from pipeline_lib.features.stages import video_stage
from pipeline_lib.video.sampling import Sampling

OUTPUTS = {"mixed_5c": ("mixed_5c",), "video_embedding": ("video_embedding",), "both": ("mixed_5c", "video_embedding")}


def sampling(options: Options, decoder: str = "auto") -> Sampling:
    """Frames at `fps`, their central square scaled to size × size: crop first, as MIL-NCE_HowTo100M's loader does."""
    side = "'min(iw,ih)'"
    return Sampling(1.0 / options.fps, "ffmpeg", f"crop={side}:{side},scale={options.size}:{options.size}", decoder)


def windows(frames: Iterable[np.ndarray], options: Options) -> Iterator[np.ndarray]:
    """Windows (frames, size, size, 3) uint8 of frames (size, size, 3) at `fps`, one every `stride` frames.

    A window past the end is filled with black (MIL-NCE's loader pads with zeros) and kept when at least half of the
    frames it adds exist; a video shorter than one window gives one. Memory holds one window.
    """
    held: deque[np.ndarray] = deque()
    start = seen = 0  # frame number of held[0]; frames seen so far
    for frame in frames:
        seen += 1
        if seen > start:
            held.append(frame)
        if len(held) == options.frames:
            yield np.stack(held)
            start += options.stride
            for _ in range(min(options.stride, len(held))):
                held.popleft()
    fresh = min(options.stride, options.frames)  # frames that a window adds to those before it, its last ones
    if seen and (start == 0 or seen - (start + options.frames - fresh) >= fresh / 2):
        window = np.zeros((options.frames, options.size, options.size, 3), np.uint8)
        window[: len(held)] = np.stack(held)
        yield window


def forward(net: nn.Module, clips: Tensor, options: Options) -> Tensor:
    """Rows (B, d) float32 of windows (B, T, size, size, 3) uint8 RGB; pixels go in as 0 … 1, without mean or deviation."""
    found = net(clips.permute(0, 4, 1, 2, 3).float().div_(255.0))
    return torch.cat([found[name].float() for name in OUTPUTS[options.output]], dim=1)


def set_up(options: Options, weights: Path, where: torch.device, decoder: str) -> Work:
    """The network with its weights, and what is done to a video."""
    net = optimise(load(S3D(None), weights).to(where), options.precision, options.compile)
    shown = sampling(options, decoder)
    return Work(
        units=lambda path, worker: windows((frame.pixels for frame in worker.frames(path, shown)), options),
        forward=lambda clips: forward(net, clips, options),
    )


if __name__ == "__main__":
    video_stage("s3d", Options, set_up)
