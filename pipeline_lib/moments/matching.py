"""Predicted spans and moments → which belongs to which: the cheapest one-to-one assignment (DETR's Hungarian matching)."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pipeline_lib.config.moments_model import Loss
from pipeline_lib.moments import spans


class Matched(NamedTuple):
    """Pairs of a predicted span and a moment."""

    query: Tensor  # (pairs,) int64
    span: Tensor  # (pairs,) int64: of the query's predicted ones
    moment: Tensor  # (pairs,) int64: of the query's


@torch.no_grad()
def costs(logits: Tensor, predicted: Tensor, moments: Tensor, options: Loss) -> Tensor:
    """What it costs to match spans (n, Q, 2), of logits (n, Q, 2), with moments (n, M, 2): (n, Q, M)."""
    predicted, moments = predicted[:, :, None], moments[:, None]
    distance = (predicted - spans.centred(moments)).abs().sum(-1)
    overlap = spans.giou(spans.ends(predicted), moments)
    foreground = logits.softmax(-1)[..., :1]
    return options.cost_span * distance - options.cost_giou * overlap - options.cost_class * foreground


def match(logits: Tensor, predicted: Tensor, moments: Tensor, mask: Tensor, options: Loss) -> Matched:
    """Match the spans of each query (n, Q) with its moments (n, M), of which `mask` are there.

    If no query can have several, the cheapest span of each is taken where the tensors are. Of more moments than spans,
    those that are cheapest to match have one.
    """
    cost = costs(logits, predicted, moments, options)
    if mask.shape[1] == 1:
        query = mask[:, 0].nonzero()[:, 0]
        return Matched(query, cost[:, :, 0].argmin(1)[query], torch.zeros_like(query))
    table = np.nan_to_num(cost.cpu().numpy())  # NaN: the loss will be, too, and the training loop says so
    found: list[np.ndarray] = []
    for i, there in enumerate(mask.cpu().numpy()):
        places = np.flatnonzero(there)
        span, moment = linear_sum_assignment(table[i][:, places])
        found.append(np.stack((np.full_like(span, i), span, places[moment])))
    return Matched(*torch.from_numpy(np.concatenate(found, 1).astype(np.int64)).to(logits.device))
