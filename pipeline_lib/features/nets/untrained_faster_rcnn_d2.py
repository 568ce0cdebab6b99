"""A seed → detectron2's Faster R-CNN with random weights, calibrated on generated pictures to act like a trained one."""

import torch
from torch import Tensor, nn

from pipeline_lib.features.nets.faster_rcnn_d2 import FasterRCNNC4, preprocess
from pipeline_lib.features.nets.resnet_d2 import Bottleneck
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import calibrate, initialise, spread
from pipeline_lib.features.nets.untrained_faster_rcnn import RESIDUAL

#: As in untrained_faster_rcnn.py, which says why.
DEVIATIONS = {"objectness_logits": 1.0, "anchor_deltas": 0.2, "cls_score": 5.0, "bbox_pred": 1.0}


def build() -> FasterRCNNC4:
    """The detector without weights, for a checkpoint to be loaded into."""
    return FasterRCNNC4()


def untrained(seed: int) -> FasterRCNNC4:
    """The detector with random weights, calibrated on 16 generated pictures; in evaluation mode."""
    net = FasterRCNNC4(norm=nn.BatchNorm2d, post_nms=16)  # norms that can be calibrated, regions enough for statistics
    initialise(net, seed)
    for module in net.modules():
        if isinstance(module, Bottleneck):
            assert isinstance(module.conv3.norm, nn.BatchNorm2d)
            nn.init.constant_(module.conv3.norm.weight, RESIDUAL)
            nn.init.zeros_(module.conv3.norm.bias)
    images = _pictures(textures(16, frames=1, size=160, seed=seed))
    sizes = torch.tensor([images.shape[2:]]).expand(len(images), 2)
    calibrate(net, lambda: net(images, sizes))
    spread(net, lambda: net(images, sizes), DEVIATIONS)
    frozen = build()
    frozen.load_state_dict({key: value for key, value in net.state_dict().items() if "num_batches" not in key})
    return frozen.eval()


def _pictures(clips: Tensor) -> Tensor:
    """The first frames of clips (n, 3, T, size, size) in 0 … 1, as the detector takes them."""
    frames = (clips[:, :, 0].permute(0, 2, 3, 1) * 255).byte().numpy()
    return torch.stack([preprocess(frame, min(frame.shape[:2]))[0] for frame in frames])
