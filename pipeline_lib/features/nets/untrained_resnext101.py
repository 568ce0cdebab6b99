"""A seed → 3-D ResNeXt-101 with random weights, calibrated on generated clips."""

from torch import nn

from pipeline_lib.features.nets.resnext3d import Bottleneck, ResNeXt3D, normalise
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import calibrate, initialise

#: Weight of the last norm of every residual branch. With 1, the sum over the blocks drowns what the first layers saw.
RESIDUAL = 0.3


def build() -> ResNeXt3D:
    """The network without weights, for a checkpoint to be loaded into."""
    return ResNeXt3D()


def untrained(seed: int) -> ResNeXt3D:
    """The network with random weights, in evaluation mode."""
    net = build()
    initialise(net, seed)
    for module in net.modules():
        if isinstance(module, Bottleneck):
            nn.init.constant_(module.bn3.weight, RESIDUAL)
            nn.init.zeros_(module.bn3.bias)
    clips = normalise(textures(12, frames=16, size=80, seed=seed) * 255)
    calibrate(net, lambda: net(clips))
    return net
