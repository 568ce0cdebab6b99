"""A seed → ResNet-152 with random weights, calibrated on generated pictures."""

from torchvision.models import ResNet
from torchvision.models.resnet import Bottleneck

from pipeline_lib.features.nets.resnet2d import build, normalise
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import calibrate, damp, initialise


def untrained(seed: int) -> ResNet:
    """The network with random weights, in evaluation mode."""
    net = build()
    initialise(net, seed)
    damp(module.bn3 for module in net.modules() if isinstance(module, Bottleneck))
    pictures = normalise(textures(16, frames=1, size=128, seed=seed)[:, :, 0] * 255)
    calibrate(net, lambda: net(pictures))
    return net
