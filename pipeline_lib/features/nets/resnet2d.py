"""ImageNet pictures → ResNet-152's pooled last layer (B, 2048), with torchvision's parameter names.

Heights and widths are free: the last layer is averaged over the whole picture, as upstream's GlobalAvgPool does
(antoine77340/video_feature_extractor, model.py).
"""

from typing import Any

from torch import Tensor, nn
from torchvision.models import ResNet, resnet152

from pipeline_lib.features.nets.pixels import standardise

FEATURES = 2048
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in 0 … 1


def build() -> ResNet:
    """The network without weights and without its classifier; a checkpoint's classifier is left unread."""
    net = resnet152(weights=None)
    net.fc = nn.Identity()
    net.register_load_state_dict_pre_hook(_drop_classifier)
    return net


def normalise(pixels: Tensor) -> Tensor:
    """Pixels (B, 3, h, w) in 0 … 255 as the network takes them."""
    return standardise(pixels / 255.0, MEAN, STD, axis=1)


def _drop_classifier(_net: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in ("fc.weight", "fc.bias"):
        state.pop(prefix + key, None)
