"""A seed → 3-D ResNeXt-101 with random weights, calibrated on generated clips."""

from pipeline_lib.features.nets.resnext3d import Bottleneck, ResNeXt3D, normalise
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import calibrate, damp, initialise


def build() -> ResNeXt3D:
    """The network without weights, for a checkpoint to be loaded into."""
    return ResNeXt3D()


def untrained(seed: int) -> ResNeXt3D:
    """The network with random weights, in evaluation mode."""
    net = build()
    initialise(net, seed)
    damp(module.bn3 for module in net.modules() if isinstance(module, Bottleneck))
    clips = normalise(textures(12, frames=16, size=80, seed=seed) * 255)
    calibrate(net, lambda: net(clips))
    return net
