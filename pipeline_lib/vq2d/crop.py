"""Frames of a clip and a query → what a detector is given: the visual crop, the search window, frames of one height.

The numbers are those of the official code (vq2d/baselines/feature_retrieval.py and utils.py).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.vq2d.annotations import Box

PAD_VALUE = 125  # of the square's margins


@dataclass(frozen=True)
class Reference:
    """What is looked for.

    Attributes:
        picture: (h, w, 3) uint8 RGB, the frame that the crop is from, as searched frames are.
        box: x1 y1 x2 y2 of the crop in `picture`.
        crop: (size, size, 3) uint8 RGB, the crop with context in a square.
    """

    picture: np.ndarray
    box: np.ndarray
    crop: np.ndarray


def reference(frame: np.ndarray, box: Box, height: int, pad: int = 16, size: int = 256) -> Reference:
    """The reference of a query.

    Args:
        frame: (H, W, 3) uint8 RGB; the clip's, of any size.
        height: that searched frames are scaled to.

    Raises:
        ItemError: the crop lies outside the frame.
    """
    picture, scale = scaled(frame, (box.original_width, box.original_height), height)
    crop = visual_crop(resized(frame, (box.original_width, box.original_height)), box, pad, size)
    return Reference(picture, np.array(box.corners, np.float32) * scale, crop)


def visual_crop(frame: np.ndarray, box: Box, pad: int = 16, size: int = 256) -> np.ndarray:
    """(size, size, 3) uint8: the box and `pad` pixels around it, inside the frame, in the middle of a square.

    Args:
        frame: (original height, original width, 3) uint8.
    """
    height, width = frame.shape[:2]
    x1, y1, x2, y2 = (int(edge) for edge in box.corners)
    window = frame[max(y1 - pad, 0) : min(y2 + pad, height), max(x1 - pad, 0) : min(x2 + pad, width)]
    if box.is_outside or not window.size:
        corners = ", ".join(f"{edge:g}" for edge in box.corners)
        raise ItemError(Reason.BAD_ANNOTATION, f"the visual crop ({corners}) is outside the {width}×{height} frame")
    tall, wide = window.shape[:2]
    above, left = max(0, wide - tall) // 2, max(0, tall - wide) // 2
    square = np.full((max(tall, wide), max(tall, wide), 3), PAD_VALUE, np.uint8)
    square[above : above + tall, left : left + wide] = window
    pixels = torch.from_numpy(square).permute(2, 0, 1)[None].float()
    pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
    return pixels[0].permute(1, 2, 0).byte().numpy()  # .byte() drops the fraction, as upstream does


def search_window(query_frame: int, recency_factor: float = 1.0, subsampling_factor: float = 1.0) -> list[int]:
    """Numbers of the frames to search, ascending: those before the query frame, the recent share of them, evenly thinned.

    A share that leaves no frame is ignored.
    """
    window = list(range(query_frame))
    recent = round(len(window) * recency_factor)
    window = window[-recent:]
    chosen = np.linspace(0, len(window) - 1, int(subsampling_factor * len(window))).astype(int)
    return [window[i] for i in chosen] if len(chosen) else window


def resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The frame as it is if it has that (width, height), else scaled to it."""
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    return _bilinear(frame, (size[1], size[0]), None)


def scaled(frame: np.ndarray, original: tuple[int, int], height: int) -> tuple[np.ndarray, float]:
    """The frame at its original (width, height), then scaled to `height`, up or down; and that scale."""
    frame = resized(frame, original)
    scale = height / frame.shape[0]
    size = round(frame.shape[0] * scale), round(frame.shape[1] * scale)
    return (frame if scale == 1.0 else _bilinear(frame, size, scale)), scale


def to_original(boxes: np.ndarray, scale: float) -> np.ndarray:
    """Boxes (n, 4) of a scaled frame as integers in original pixels, their fractions dropped."""
    return (boxes / np.float32(scale)).astype(np.int32)


def _bilinear(frame: np.ndarray, size: tuple[int, int], scale: float | None) -> np.ndarray:
    """cv2.resize with INTER_LINEAR (half-pixel centres, no smoothing), but exact: cv2's fixed-point weights are off by a level.

    Args:
        size: (height, width) of the result.
        scale: steps between samples are 1 / scale, even where the rounded size isn't exactly that of the frame scaled.
    """
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    # F.interpolate takes a size or a scale, not both.
    result = torch.ops.aten.upsample_bilinear2d(pixels, list(size), False, scale, scale)
    return result[0].permute(1, 2, 0).round_().byte().numpy()
