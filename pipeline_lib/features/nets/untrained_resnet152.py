"""A seed → ResNet-152 with random weights, calibrated on generated pictures."""

from torch import nn
from torchvision.models import ResNet
from torchvision.models.resnet import Bottleneck

from pipeline_lib.features.nets.resnet2d import build, normalise
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import calibrate, initialise

#: Weight of the last norm of every residual branch. With 1, the sum over the blocks drowns what the first layers saw.
RESIDUAL = 0.3


def untrained(seed: int) -> ResNet:
    """The network with random weights, in evaluation mode."""
    net = build()
    initialise(net, seed)
    for module in net.modules():
        if isinstance(module, Bottleneck):
            nn.init.constant_(module.bn3.weight, RESIDUAL)
            nn.init.zeros_(module.bn3.bias)
    pictures = normalise(textures(16, frames=1, size=128, seed=seed)[:, :, 0] * 255)
    calibrate(net, lambda: net(pictures))
    return net
