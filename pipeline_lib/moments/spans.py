"""Spans (centre, width) ↔ (start, end), and how well they overlap; all in fractions of a video."""

import torch
from torch import Tensor


def ends(spans: Tensor) -> Tensor:
    """(centre, width) → (start, end), in the last axis."""
    centre, width = spans.unbind(-1)
    return torch.stack((centre - 0.5 * width, centre + 0.5 * width), -1)


def centred(moments: Tensor) -> Tensor:
    """(start, end) → (centre, width), in the last axis."""
    return torch.stack((0.5 * moments.sum(-1), moments[..., 1] - moments[..., 0]), -1)


def giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU of (start, end), of shapes that broadcast up to the last axis: -1 far apart, 1 equal.

    IoU minus the share of their hull that neither covers (Rezatofighi et al., CVPR 2019). Two empty spans at one place
    are equal: 1, where the quotient isn't defined.
    """
    start, end = one.unbind(-1)
    other_start, other_end = other.unbind(-1)
    inner = (torch.minimum(end, other_end) - torch.maximum(start, other_start)).clamp(min=0)
    union = (end - start) + (other_end - other_start) - inner
    hull = torch.maximum(end, other_end) - torch.minimum(start, other_start)
    tiny = torch.finfo(hull.dtype).tiny
    found = inner / union.clamp(min=tiny) - (hull - union) / hull.clamp(min=tiny)
    return torch.where(hull > 0, found, 1 + hull)  # + hull: something to differentiate
