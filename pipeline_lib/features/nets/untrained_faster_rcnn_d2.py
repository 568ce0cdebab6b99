"""A seed → detectron2's Faster R-CNN with random weights, calibrated on generated pictures to act like a trained one."""

import torch
from torch import nn

from pipeline_lib.features.nets.faster_rcnn_d2 import FasterRCNNC4, preprocess
from pipeline_lib.features.nets.resnet_d2 import Bottleneck
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import calibrate, damp, initialise, spread
from pipeline_lib.features.nets.untrained_faster_rcnn import pictures

#: As in untrained_faster_rcnn.py, which says why.
DEVIATIONS = {"objectness_logits": 1.0, "anchor_deltas": 0.2, "cls_score": 5.0, "bbox_pred": 1.0}


def build() -> FasterRCNNC4:
    """The detector without weights, for a checkpoint to be loaded into."""
    return FasterRCNNC4()


def untrained(seed: int) -> FasterRCNNC4:
    """The detector with random weights, calibrated on 16 generated pictures; in evaluation mode."""
    net = FasterRCNNC4(norm=nn.BatchNorm2d, post_nms=16)  # norms that can be calibrated, regions enough for statistics
    initialise(net, seed)
    damp(module.conv3.norm for module in net.modules() if isinstance(module, Bottleneck))
    images = pictures(textures(16, frames=1, size=160, seed=seed), preprocess)
    sizes = torch.tensor([images.shape[2:]]).expand(len(images), 2)
    calibrate(net, lambda: net(images, sizes))
    spread(net, lambda: net(images, sizes), DEVIATIONS)
    frozen = build()
    frozen.load_state_dict({key: value for key, value in net.state_dict().items() if "num_batches" not in key})
    return frozen.eval()
