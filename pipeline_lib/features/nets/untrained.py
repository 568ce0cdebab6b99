"""A seed → networks with random weights whose activations and outputs are nevertheless well-scaled.

A deep network with fresh weights and the statistics 0 and 1 in its norms either fades or blows up, and tells inputs
hardly apart. Here the norms get the statistics of generated textures, and the last layers outputs of a useful spread.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline_lib.features.nets.faster_rcnn import FasterRCNN, preprocess
from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.features.nets.textures import textures

#: Standard deviation of each output of the detector's last layers over generated textures. Logits that spread by s over
#: 1600 classes give the best class a probability around 1 - √(2 ln 1600) / s: at 8 confidences fill the range 0 … 1,
#: so that thresholds have something to decide. Objectness must not saturate, and boxes stay near their anchors.
SPREAD = {"RPN_cls_score": 1.0, "RPN_bbox_pred": 0.2, "RCNN_cls_score": 8.0, "RCNN_bbox_pred": 1.0}


def initialise(net: nn.Module, seed: int) -> None:
    """Set every parameter of `net`, in place: He's normal initialisation (arXiv:1502.01852), zero biases, fresh norms.

    Random numbers come from a generator of their own on the CPU, drawn in the order of the parameters, so the weights
    depend on the seed and the network, not on torch's default initialisation or on the device.
    """
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, _BatchNorm):
                module.reset_running_stats()
                module.weight.fill_(1.0)
                module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.copy_(torch.randn(module.weight.shape, generator=source))
            elif isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
                weight = torch.randn(module.weight.shape, generator=source)
                module.weight.copy_(weight * math.sqrt(2.0 / module.weight[0].numel()))
                if module.bias is not None:
                    module.bias.zero_()


def calibrate(net: nn.Module, forward: Callable[[Tensor], object], batches: Iterable[Tensor]) -> None:
    """Set the running statistics of all batch norms to the mean over `batches`, each sent through `forward`.

    The network is left in evaluation mode; nothing else of it changes.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over batches
        norm.train()
    try:
        with torch.no_grad():
            for batch in batches:
                forward(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        net.eval()


def untrained_s3d(seed: int) -> S3D:
    """S3D-G with random weights, calibrated on four generated clips; in evaluation mode, without a dictionary."""
    net = S3D(None)
    initialise(net, seed)
    calibrate(net, net, textures(4, frames=16, size=112, seed=seed).split(4))
    return net


def untrained_faster_rcnn(seed: int) -> FasterRCNN:
    """The detector with random weights, calibrated on four generated pictures; in evaluation mode."""
    net = FasterRCNN()
    initialise(net, seed)
    images = _pictures(textures(4, frames=1, size=240, seed=seed))
    im_info = torch.tensor([[images.shape[2], images.shape[3], 1.0]]).expand(len(images), 3)
    post_nms, net.post_nms = net.post_nms, 64  # regions enough for statistics
    calibrate(net, lambda batch: net(batch, im_info), [images])
    _spread(net, lambda: net(images, im_info))
    net.post_nms = post_nms
    return net


def _pictures(clips: Tensor) -> Tensor:
    """The first frames of clips (n, 3, T, size, size) in 0 … 1, as the detector takes them."""
    frames = (clips[:, :, 0].permute(0, 2, 3, 1) * 255).byte().numpy()
    return torch.stack([preprocess(frame, min(frame.shape[:2]))[0] for frame in frames])


def _spread(net: nn.Module, forward: Callable[[], object]) -> None:
    """Scale and shift the layers named in SPREAD so that each of their outputs has mean 0 and that deviation.

    One run does, since every layer is set just before its turn (as in LSUV, Mishkin and Matas 2016, arXiv:1511.06422).
    """

    def standardise(layer: nn.Module, inputs: tuple[Tensor], spread: float) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None
        layer.bias.zero_()
        outputs = layer.forward(*inputs).movedim(1, 0).flatten(1)  # (outputs, samples)
        factor = spread / outputs.std(dim=1).clamp(min=1e-6)
        layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.copy_(-outputs.mean(dim=1) * factor)

    hooks = [
        module.register_forward_pre_hook(lambda layer, inputs, spread=SPREAD[name]: standardise(layer, inputs, spread))
        for path, module in net.named_modules()
        if (name := path.rpartition(".")[2]) in SPREAD
    ]
    try:
        with torch.no_grad():
            forward()
    finally:
        for hook in hooks:
            hook.remove()
