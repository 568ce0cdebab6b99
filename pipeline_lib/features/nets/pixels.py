"""Pixels → what a network takes: less the mean, by the deviation, as video_feature_extractor's preprocessing.py has it."""

import torch
from torch import Tensor

EPSILON = 1e-8  # added to the deviations there; in float32 it moves ImageNet's by one unit


def standardise(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...], axis: int) -> Tensor:
    """(pixels - mean) / (std + EPSILON), both per channel of `axis`."""
    shape = [1] * pixels.ndim
    shape[axis] = -1
    centre = torch.tensor(mean, device=pixels.device).view(shape)
    deviation = torch.tensor(std, device=pixels.device).view(shape)
    return (pixels - centre) / (deviation + EPSILON)
