"""A seed → networks with random weights whose activations and outputs are nevertheless well-scaled.

A deep network with fresh weights and the statistics 0 and 1 in its norms either fades or blows up, and tells inputs
hardly apart. Here the norms get the statistics of generated textures, and chosen last layers outputs of a useful spread.
"""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

#: What batch norms add. It keeps five of six activations on the straight side of the ReLU, so that colours survive the
#: depth: a linear probe tells six colours of moving squares apart in 91 % of clips by mixed_5c, but with 0 in 49 %.
OFFSET = 1.0

#: Weight of the last norm of every residual branch. With 1, the sum over 30 blocks drowns what the first layers saw, and
#: inputs unlike the textures drive the activations far from the statistics.
RESIDUAL = 0.3


def initialise(net: nn.Module, seed: int) -> None:
    """Set every parameter of `net`: He's normal initialisation (arXiv:1502.01852), zero biases, norms with OFFSET.

    Random numbers come from a generator of their own on the CPU, drawn in the order of the parameters, so the weights
    depend on the seed and the network, not on torch's default initialisation or on the device.
    """
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, _BatchNorm):
                module.reset_running_stats()
                module.weight.fill_(1.0)
                module.bias.fill_(OFFSET)
            elif isinstance(module, nn.Embedding):
                module.weight.copy_(torch.randn(module.weight.shape, generator=source))
            elif isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
                weight = torch.randn(module.weight.shape, generator=source)
                module.weight.copy_(weight * math.sqrt(2.0 / module.weight[0].numel()))
                if module.bias is not None:
                    module.bias.zero_()


def damp(norms: Iterable[nn.Module]) -> None:
    """Weaken the residual branches that end in these norms, by RESIDUAL."""
    for norm in norms:
        assert isinstance(norm, _BatchNorm)
        nn.init.constant_(norm.weight, RESIDUAL)
        nn.init.zeros_(norm.bias)


def calibrate(net: nn.Module, forward: Callable[[], object]) -> None:
    """Set the statistics of every batch norm to those of what reaches it in one run of `forward`.

    The network is left in evaluation mode; nothing else of it changes.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the statistics of the one run, not a moving average
        norm.train()
    try:
        with torch.no_grad():
            forward()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        net.eval()


def spread(net: nn.Module, forward: Callable[[], object], deviations: Mapping[str, float]) -> None:
    """Scale and shift the layers named in `deviations` so that each of their outputs has mean 0 and that deviation.

    One run does, since every layer is set just before its turn (as in LSUV, Mishkin and Matas 2016, arXiv:1511.06422).
    """

    def standardise(layer: nn.Module, inputs: tuple[Tensor], wanted: float) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None
        layer.bias.zero_()
        outputs = layer.forward(*inputs).movedim(1, 0).flatten(1)  # (outputs, samples)
        factor = wanted / outputs.std(dim=1).clamp(min=1e-6)
        layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.copy_(-outputs.mean(dim=1) * factor)

    hooks = [
        module.register_forward_pre_hook(
            lambda layer, inputs, wanted=deviations[name]: standardise(layer, inputs, wanted)
        )
        for path, module in net.named_modules()
        if (name := path.rpartition(".")[2]) in deviations
    ]
    try:
        with torch.no_grad():
            forward()
    finally:
        for hook in hooks:
            hook.remove()
