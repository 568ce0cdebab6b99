"""Pictures or clips → the rows of a feature file, batch by batch; what several extractors share."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.core import device

Forward = Callable[[Tensor], Tensor]  # (B, …) uint8 on the device → (B, d) float32


def batches(units: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Arrays (B, …) of up to `size` units in order; memory holds one."""
    while batch := list(islice(units, size)):
        yield np.stack(batch)


def embed(units: Iterator[np.ndarray], forward: Forward, size: int, where: torch.device) -> Tensor:
    """One row per unit, (n, d) float32 on `where`; (0, 0) without units."""
    rows = []
    with torch.inference_mode():
        for batch in batches(units, size):
            rows.append(forward(torch.from_numpy(batch).to(where)))
    return torch.cat(rows) if rows else torch.empty(0, 0)


def finish(rows: Tensor | Sequence[np.ndarray], l2_normalize: bool = True, half_precision: bool = True) -> np.ndarray:
    """Rows (n, d) as they are stored: unit length, computed in float32 where the rows are, then rounded to float16.

    video_feature_extractor's extract.py does it in this order. Dot products of stored rows should be summed in float32.
    """
    values = rows.float() if isinstance(rows, Tensor) else torch.from_numpy(np.stack(rows)).float()
    if l2_normalize:
        values = F.normalize(values, dim=1)
    stored: np.ndarray = values.cpu().numpy()
    return stored.astype(np.float16) if half_precision else stored


def scaled(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height with the short side at `size`, the long one truncated (video_feature_extractor's video_loader.py)."""
    if height >= width:
        return size, height * size // width
    return width * size // height, size


def autocast(where: torch.device, precision: str) -> torch.autocast:
    """Context in which a network runs in `precision` (fp32 | bf16 | fp16); fp32 leaves everything as it is."""
    if precision == "fp32":
        return torch.autocast(where.type, enabled=False)
    return torch.autocast(where.type, device.dtype(precision, where))


def compiled(net: nn.Module, wanted: bool) -> nn.Module:
    """The network, through torch.compile if wanted."""
    return cast(nn.Module, torch.compile(net, dynamic=False)) if wanted else net
