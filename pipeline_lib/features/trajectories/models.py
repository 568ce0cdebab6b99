"""Frames of a video, and prompts → their embeddings in one space, by S3D or CLIP."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_lib.config.features import CLIP
from pipeline_lib.core import checkpoint, files, weights
from pipeline_lib.core.errors import ItemError, Reason, UserError
from pipeline_lib.features import clip as clip_features
from pipeline_lib.features.nets import untrained_clip, untrained_s3d
from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.features.nets.s3d_fast import optimise

Similarity = Literal["cosine", "dot"]


class Model(Protocol):
    """A network that embeds videos and prompts.

    Attributes:
        about: of its weights: {network, trained, name, sha256, …}.
    """

    about: dict[str, Any]

    def video(self, frames: np.ndarray) -> Tensor:
        """(d,) float32 of frames (n, h, w, 3) uint8 RGB. Raises ItemError: frames it can't take."""

    def text(self, prompts: Sequence[str]) -> Tensor:
        """(prompts, d) float32."""

    def unknown(self, prompts: Sequence[str]) -> list[str]:
        """Prompts that it can't tell from an empty one."""


def similarities(videos: Tensor, prompts: Tensor, kind: Similarity) -> Tensor:
    """(videos, prompts): dot products of embeddings, for cosine scaled to unit length before."""
    if kind == "cosine":
        videos, prompts = (rows / rows.norm(p=2, dim=-1, keepdim=True) for rows in (videos, prompts))
    return videos @ prompts.T


def clip_of(frames: np.ndarray, size: int | None) -> Tensor:
    """(1, 3, n, h, w) in 0 … 1 of frames (n, h, w, 3) uint8, made smaller by bicubic interpolation, as upstream does.

    An odd row or column is cut off behind that, because the network takes pairs; upstream stops there with an error.

    Args:
        size: pixels of the square to stretch frames to (s3d_evaluator_v2.py has 224); None halves their sides.
    """
    pixels = torch.from_numpy(frames).float() / 255
    pixels = pixels.permute(0, 3, 1, 2)
    if size is None:
        pixels = F.interpolate(pixels, mode="bicubic", scale_factor=0.5)
    else:
        pixels = F.interpolate(pixels, mode="bicubic", size=(size, size))
    height, width = (side - side % 2 for side in pixels.shape[2:])
    return pixels[..., :height, :width].transpose(0, 1).clamp(0, 1).unsqueeze(0)


class S3DModel:
    """S3D's joint space of clips and sentences."""

    SMALLEST = 16  # pixels of a side behind resizing; the network halves it four times

    def __init__(self, net: S3D, about: dict[str, Any], where: torch.device, size: int | None = None) -> None:
        self.about = about
        self._text = net.text_module.to(where)
        self._video = optimise(net.to(where))
        self._where, self._size = where, size

    def video(self, frames: np.ndarray) -> Tensor:
        """See Model."""
        clip = clip_of(frames, self._size)
        if min(clip.shape[3:]) < self.SMALLEST:
            raise ItemError(
                Reason.TOO_SMALL, f"{clip.shape[4]}×{clip.shape[3]} pixels are too few for S3D; use --size 224"
            )
        with torch.inference_mode():
            row: Tensor = self._video(clip.to(self._where))["video_embedding"][0]
        return row.cpu()

    def text(self, prompts: Sequence[str]) -> Tensor:
        """See Model."""
        with torch.inference_mode():
            rows: Tensor = self._text(list(prompts))["text_embedding"]
        return rows.cpu()

    def unknown(self, prompts: Sequence[str]) -> list[str]:
        """Those without any word of the dictionary."""
        known = self._text.tokenise(list(prompts)).any(dim=1).tolist()
        return [prompt for prompt, is_known in zip(prompts, known, strict=True) if not is_known]


class CLIPModel:
    """CLIP's space of pictures and sentences: a video is the mean of its frames' unit vectors, a prompt a unit vector.

    So the dot product is the mean of the frames' cosines with the prompt, and the cosine that of the mean picture.
    """

    def __init__(self, ready: clip_features.Clip, about: dict[str, Any], options: CLIP, where: torch.device) -> None:
        self.about = about
        self._ready, self._options, self._where = ready, options, where

    def video(self, frames: np.ndarray) -> Tensor:
        """See Model."""
        units = np.stack(list(clip_features.units(iter(frames), self._ready.preprocessing)))
        with torch.inference_mode():
            rows = clip_features.forward(self._ready, torch.from_numpy(units).to(self._where), self._options.precision)
        return F.normalize(rows, dim=1).mean(dim=0).cpu()

    def text(self, prompts: Sequence[str]) -> Tensor:
        """See Model."""
        with torch.inference_mode():
            tokens = self._ready.tokenise(list(prompts)).to(self._where)
            rows = clip_features.forward_text(self._ready, tokens, self._options.precision)
        return F.normalize(rows, dim=1).cpu()

    def unknown(self, prompts: Sequence[str]) -> list[str]:
        """None: it spells what it doesn't know."""
        return []


def load_s3d(
    wanted: str,
    dictionary: Path | None,
    prompts: Sequence[str],
    seed: int,
    where: torch.device,
    size: int | None = None,
) -> S3DModel:
    """S3D with weights, and its dictionary: the one named, or s3d_dict.npy beside the checkpoint.

    Untrained weights have no dictionary of their own; without one they take the prompts' words.
    """
    if wanted == weights.UNTRAINED:
        words = dictionary or sorted({word for prompt in prompts for word in re.findall(r"[\w']+", prompt.lower())})
        net = untrained_s3d.untrained(seed)
        about = _untrained("s3d", seed)
    else:
        path, about = _located("s3d", wanted)
        words = dictionary or path.with_name("s3d_dict.npy")
        net = checkpoint.load(S3D(None), path)
    net.text_module.rows = S3D(words).text_module.rows if words else {}
    return S3DModel(net, about, where, size)


def load_clip(wanted: str, options: CLIP, seed: int, where: torch.device) -> CLIPModel:
    """A model of open_clip with weights."""
    if wanted == weights.UNTRAINED:
        net = untrained_clip.untrained(seed, options.model).to(where)
        return CLIPModel(clip_features.equip(net, options), _untrained("clip", seed), options, where)
    path, about = _located("clip", wanted)
    return CLIPModel(clip_features.load(options, path, where), about, options, where)


def _untrained(network: str, seed: int) -> dict[str, Any]:
    return {"network": network, "trained": False, "name": f"untrained (seed {seed})"}


def _located(network: str, wanted: str) -> tuple[Path, dict[str, Any]]:
    """The checkpoint, and what is known of it: pipeline_lib.features.weights leaves that beside the files it writes."""
    try:
        found = weights.locate(network, wanted, Path(".cache/weights"), Path("weights.lock"))
    except UserError as error:
        raise UserError(str(error).replace(f"weights.{network} =", "--model-checkpoint-path")) from None
    beside = found.path.with_suffix(".json")
    known = files.read_json(beside) if found.path.suffix == ".safetensors" and beside.is_file() else {}
    return found.path, {
        "network": network,
        "trained": known.get("trained", True),
        "name": found.name,
        "sha256": found.sha256,
    }
