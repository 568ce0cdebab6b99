"""ResNet-101 in the Caffe form → the trunk and the head of a C4 detector, with the parameter names of torchvision."""

from torch import nn
from torchvision.models import resnet101

STRIDE = 16  # image pixels per cell of the trunk's output
TRUNK_CHANNELS = 1024
HEAD_CHANNELS = 2048


def trunk_and_head() -> tuple[nn.Sequential, nn.Sequential]:
    """Untrained (conv1 … layer3: image (B, 3, H, W) → (B, 1024, H/16, W/16)) and (layer4, which halves once more).

    Published weights of the Caffe family expect three things that torchvision's ResNet does otherwise: a block that
    halves the resolution does it in its first 1 × 1 convolution, the first max-pool has no padding, and it keeps the
    partial window at the end (lib/model/faster_rcnn/resnet.py of jwyang/faster-rcnn.pytorch marks them "change").
    """
    net = resnet101(weights=None)
    for stage in (net.layer2, net.layer3, net.layer4):
        block = stage[0]
        block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    pool = nn.MaxPool2d(3, stride=2, padding=0, ceil_mode=True)
    trunk = nn.Sequential(net.conv1, net.bn1, net.relu, pool, net.layer1, net.layer2, net.layer3)
    return trunk, nn.Sequential(net.layer4)
