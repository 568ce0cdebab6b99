"""Video file → CLIP image embeddings (n_frames, d) float16, one row every 3 s; sentences → embeddings in the same space.

Rows of both have unit length, so that their dot product is CLIP's cosine similarity (Radford et al. 2021,
arXiv:2103.00020). Networks, tokeniser and preprocessing are open_clip's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.transform import PreprocessCfg
from PIL import Image
from torch import Tensor, nn

from pipeline_lib.config.features import CLIP as Options
from pipeline_lib.core import checkpoint
from pipeline_lib.features.embed import autocast, compiled, embed, finish
from pipeline_lib.features.extract import Work
from pipeline_lib.features.nets import clip as nets
from pipeline_lib.features.parallel import Decoder
from pipeline_lib.features.stages import video_stage
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.sampling import Sampling


@dataclass(frozen=True)
class Clip:
    """A network with what has to be done before it."""

    net: nn.Module
    tokenise: nets.Tokeniser
    preprocessing: PreprocessCfg


def load(options: Options, weights: Path, where: torch.device) -> Clip:
    """The model with the weights of a checkpoint (open_clip's keys) on a device."""
    net = checkpoint.load(nets.build(options.model), weights)
    return equip(net.to(where), options)


def equip(net: nn.Module, options: Options) -> Clip:
    """A network of options.model with its tokeniser and preprocessing."""
    return Clip(net, nets.tokeniser(options.model), nets.preprocessing(net, options.model, options.preprocessing))


def sampling(info: VideoInfo, options: Options, decoder: str = "auto") -> Sampling:
    """Frames as they are: CLIP's own resizing differs from ffmpeg's."""
    return Sampling(options.every, "at_or_after", decoder=decoder)


def units(frames: Iterator[np.ndarray], preprocessing: PreprocessCfg) -> Iterator[np.ndarray]:
    """Frames (h, w, 3) resized and cropped by PIL as open_clip does it, (size, size, 3) uint8."""
    fit = nets.geometry(preprocessing)
    for frame in frames:
        yield np.array(fit(Image.fromarray(frame)))


def forward(clip: Clip, batch: Tensor, precision: str = "fp32") -> Tensor:
    """(B, d) float32, not normalised, of units (B, size, size, 3) uint8."""
    net: Any = clip.net
    with autocast(batch.device, precision):
        rows: Tensor = net.encode_image(nets.normalise(batch.permute(0, 3, 1, 2).contiguous(), clip.preprocessing))
    return rows.float()


def features(frames: Iterator[np.ndarray], clip: Clip, options: Options, where: torch.device) -> np.ndarray:
    """The stored rows of one video, (n, d) float16."""
    run = partial(forward, clip, precision=options.precision)
    return finish(embed(units(frames, clip.preprocessing), run, options.batch, where))


def forward_text(clip: Clip, tokens: Tensor, precision: str = "fp32") -> Tensor:
    """(B, d) float32, not normalised, of tokens (B, context) int64."""
    net: Any = clip.net
    with autocast(tokens.device, precision):
        rows: Tensor = net.encode_text(tokens)
    return rows.float()


def sentences(texts: list[str], clip: Clip, options: Options, where: torch.device) -> np.ndarray:
    """Stored rows of captions in their order, (n, d) float16; (0, 0) for none."""
    run = partial(forward_text, clip, precision=options.precision)
    tokens = iter(clip.tokenise(texts).numpy()) if texts else iter(())
    return finish(embed(tokens, run, options.batch, where))


def set_up(options: Options, weights: Path, where: torch.device, decoder: str) -> Work:
    """The network with its weights, and what is done to a video."""
    ready = load(options, weights, where)
    net: Any = ready.net
    net.visual = compiled(net.visual, options.compile)

    def decoded(path: Path, worker: Decoder) -> Iterator[np.ndarray]:
        shown = worker.frames(path, sampling(worker.probe(path), options, decoder))
        return units((frame.pixels for frame in shown), ready.preprocessing)

    return Work(
        units=decoded,
        forward=lambda batch: forward(ready, batch, options.precision),
        finish=lambda _, rows: finish(rows),
    )


if __name__ == "__main__":
    video_stage("clip", Options, set_up)
