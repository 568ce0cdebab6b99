"""ResNets for features → the same networks with their norms folded into the convolutions; results differ by rounding."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import ResNet

from pipeline_lib.core.device import dtype
from pipeline_lib.features.nets.fused import FusedTrunk, fold


class FastResNet(nn.Module):
    """Images (B, 3, H, W) float32 → the last layer's mean over the picture, (B, channels) float32."""

    def __init__(self, net: ResNet, kind: torch.dtype) -> None:
        super().__init__()
        stages: list[Any] = [net.layer1, net.layer2, net.layer3, net.layer4]
        blocks = [block for stage in stages for block in stage]
        self.trunk = FusedTrunk(fold(net.conv1, net.bn1), net.maxpool, blocks, kind)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.trunk(images)
        return maps.float().mean(dim=(2, 3))


@torch.no_grad()
def optimise(net: ResNet, precision: str = "fp32") -> FastResNet:
    """A faster ResNet of bottlenecks, without classifier, for inference with the weights that `net` has now.

    Args:
        net: in evaluation mode, on the device that it is to run on; it stays as it is.
        precision: fp32 | bf16 | fp16 of the convolutions; the mean is always computed in float32.
    """
    return FastResNet(net, dtype(precision, net.conv1.weight.device)).eval()


@torch.no_grad()
def fold_norms(net: nn.Module) -> nn.Module:
    """A copy with bn1, bn2 … as parts of conv1, conv2 …, pairs of convolution and norm as one, and channels last in memory."""
    folded = copy.deepcopy(net)
    for module in folded.modules():
        parts: dict[str, Any] = dict(module.named_children())
        pairs = [(f"conv{name[2:]}", name) for name in parts if name.startswith("bn")]
        if isinstance(module, nn.Sequential) and len(module) == 2 and isinstance(module[1], nn.BatchNorm3d):
            pairs.append(("0", "1"))
        for convolution, norm in pairs:
            setattr(module, convolution, fuse_conv_bn_eval(parts[convolution], parts[norm]))
            setattr(module, norm, nn.Identity())
    return folded.to(memory_format=torch.channels_last_3d)
