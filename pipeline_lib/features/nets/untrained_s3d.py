"""A seed → S3D-G with random weights, calibrated on generated clips."""

import torch

from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.features.nets.textures import textures
from pipeline_lib.features.nets.untrained import calibrate, initialise


def build() -> S3D:
    """The network without weights or dictionary, for a checkpoint to be loaded into."""
    return S3D(None)


def untrained(seed: int) -> S3D:
    """The network with random weights, in evaluation mode, without a dictionary."""
    net = build()
    initialise(net, seed)
    clips = textures(12, frames=16, size=96, seed=seed).contiguous(memory_format=torch.channels_last_3d)  # faster
    calibrate(net, lambda: net(clips))
    return net
