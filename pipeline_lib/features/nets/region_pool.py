"""Maps and regions → what torchvision's roi_align gives at every second cell of every second row, as sums of few rows.

Pooling is linear: a cell is a weighted sum of map positions, with the weights of its rows times those of its columns.
`F.embedding_bag` makes such sums, on all cores and over all channels at once, where roi_align uses one core. Only the
cells that a convolution of stride 2 looks at are made.
"""

import torch
from torch import Tensor


def taps(start: Tensor, end: Tensor, extent: int, pooled: int, scale: float, aligned: bool) -> tuple[Tensor, Tensor]:
    """Positions on one axis that the cells 0, 2, 4 … of R regions are made of, and their weights.

    In the order of operations of torchvision/csrc/ops/cpu/roi_align_common.h with sampling ratio 0: the number of samples
    per cell is a rounded-up length, so another rounding would show.

    Args:
        start, end: (R,) of the regions, in pixels of the input.
        extent: positions of the map on this axis.
        pooled: cells per region.

    Returns:
        positions and weights (R, ⌈pooled / 2⌉, T) int64 and float32.
    """
    shift = 0.5 if aligned else 0.0
    start = start * scale - shift
    length = end * scale - shift - start
    length = length if aligned else length.clamp(min=1.0)
    size = length / pooled  # of a cell
    samples = size.ceil()
    most = max(1, int(samples.max()))
    numbers = torch.arange(most, device=start.device)
    cells = torch.arange(0, pooled, 2, device=start.device)
    within = (numbers + 0.5) * (size / samples.clamp(min=1))[:, None]
    at = (start[:, None] + cells * size[:, None])[:, :, None] + within[:, None]  # (R, cells, samples)
    share = (numbers < samples[:, None])[:, None] & (at >= -1) & (at <= extent)
    share = share / samples.clamp(min=1)[:, None, None]
    at = at.clamp(min=0, max=extent - 1)
    low = at.floor()
    above = (at - low) * share
    low = low.long()
    # Samples are at most one position apart, so `most` + 2 positions hold them all, and each is listed once.
    first = low[:, :, :1]
    slots = torch.arange(most + 2, device=at.device)
    slot = (low - first)[..., None]
    weights = ((slot == slots) * (share - above)[..., None] + (slot + 1 == slots) * above[..., None]).sum(dim=2)
    positions = (first + slots).clamp(max=extent - 1)
    return positions, weights


def bags(
    rois: Tensor, images: Tensor, height: int, width: int, pooled: int, scale: float, aligned: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """What `F.embedding_bag` needs to pool R regions from maps as a table (images·height·width, channels).

    Args:
        rois: (R, 4) in pixels of the input.
        images: (R,) number of the image of each.

    Returns:
        rows (N,), their weights (N,) float32, and where the rows of each of the R·⌈pooled / 2⌉² cells begin.
    """
    x, weights_x = taps(rois[:, 0], rois[:, 2], width, pooled, scale, aligned)
    y, weights_y = taps(rois[:, 1], rois[:, 3], height, pooled, scale, aligned)
    y = (images[:, None, None] * height + y) * width
    rows = (y[:, :, None, :, None] + x[:, None, :, None, :]).flatten(3).flatten(0, 2)
    weights = (weights_y[:, :, None, :, None] * weights_x[:, None, :, None, :]).flatten(3).flatten(0, 2)
    used = weights != 0
    counts = used.sum(dim=1)
    return rows[used], weights[used], counts.cumsum(0) - counts
