"""A seed → Faster R-CNN with random weights, calibrated on generated pictures to propose and score like a trained one."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.models.resnet import Bottleneck

from pipeline_lib.features.nets.faster_rcnn import FasterRCNN, preprocess
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import calibrate, damp, initialise, spread

#: Standard deviation of each output of the detector's last layers over generated textures. Logits that spread by s over
#: 1600 classes give the best class a probability around 1 - √(2 ln 1600) / s: at 5 confidences fill the range 0 … 1,
#: so that thresholds have something to decide. Objectness must not saturate, and boxes stay near their anchors.
DEVIATIONS = {"RPN_cls_score": 1.0, "RPN_bbox_pred": 0.2, "RCNN_cls_score": 5.0, "RCNN_bbox_pred": 1.0}


def build() -> FasterRCNN:
    """The detector without weights, for a checkpoint to be loaded into."""
    return FasterRCNN()


def untrained(seed: int) -> FasterRCNN:
    """The detector with random weights, calibrated on 16 generated pictures; in evaluation mode."""
    net = build()
    initialise(net, seed)
    damp(module.bn3 for module in net.modules() if isinstance(module, Bottleneck))
    images = pictures(textures(16, frames=1, size=160, seed=seed), preprocess)
    im_info = torch.tensor([[images.shape[2], images.shape[3], 1.0]]).expand(len(images), 3)
    post_nms, net.post_nms = net.post_nms, 16  # regions enough for statistics
    calibrate(net, lambda: net(images, im_info))
    spread(net, lambda: net(images, im_info), DEVIATIONS)
    net.post_nms = post_nms
    return net


def pictures(clips: Tensor, preprocess: Callable[..., tuple[Tensor, object]]) -> Tensor:
    """The first frames of clips (n, 3, T, size, size) in 0 … 1, as a detector takes them, in their own size."""
    frames = (clips[:, :, 0].permute(0, 2, 3, 1) * 255).byte().numpy()
    return torch.stack([preprocess(frame, min(frame.shape[:2]))[0] for frame in frames])
