"""A seed → CLIP with random weights: images apart from images, sentences apart from sentences, the two unrelated."""

import math

import torch
from torch import nn

from pipeline_lib.features.nets.clip import MODEL
from pipeline_lib.features.nets.clip import build as build

LOGIT_SCALE = math.log(1 / 0.07)  # where CLIP's training starts (Radford et al. 2021, arXiv:2103.00020, §2.5)
EMBEDDING = 0.1  # deviation of token embeddings; positions get a tenth, so that words matter more than their places


def untrained(seed: int, model: str = MODEL) -> nn.Module:
    """The network with random weights, in evaluation mode.

    Matrices are normal with deviation 1/√inputs, which keeps activations at 1 behind a LayerNorm.
    """
    net = build(model)
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            last = name.rpartition(".")[2]
            if name == "logit_scale":
                parameter.fill_(LOGIT_SCALE)
            elif parameter.ndim == 1 and last != "class_embedding":
                parameter.fill_(0.0 if last.endswith("bias") else 1.0)  # of norms and linear layers
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=source) * _deviation(name, parameter))
    return net


def _deviation(name: str, parameter: torch.Tensor) -> float:
    last = name.rpartition(".")[2]
    if name == "token_embedding.weight":
        return EMBEDDING
    if last in ("positional_embedding", "class_embedding"):
        return 0.1 * EMBEDDING
    inputs = parameter.shape[0] if last in ("proj", "text_projection") else parameter[0].numel()
    return 1.0 / math.sqrt(inputs)
