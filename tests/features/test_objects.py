import numpy as np
import pytest
import torch

from pipeline_lib.config import Frames, Objects
from pipeline_lib.core import device
from pipeline_lib.features import objects
from pipeline_lib.features.nets import untrained_faster_rcnn
from pipeline_lib.video import frames


@pytest.fixture(scope="module")
def net():
    device.deterministic()
    found = untrained_faster_rcnn.untrained(0)
    found.post_nms = 16
    return found


def test_regions_of_every_stored_frame_in_pixels_of_the_video(make_video, tmp_path, net):
    from pipeline_lib.collect.sources.demo import DemoSource

    source = DemoSource(train=1, val=0, test=0)
    video = tmp_path / "v.mp4"
    source.video(next(iter(source.search("*", 1))), video)
    options, cpu = Objects(boxes=6, short_side=64, max_side=107, proposals=16), torch.device("cpu")
    found = {}
    for side in (1280, 160):  # stored as they are (320 × 192), and at half the size
        tar = tmp_path / f"{side}.tar"
        count = frames.store(video, tar, Frames(max_side=side))
        found[side] = objects.features(tar, net, options, cpu)
        shapes = {name: array.shape for name, array in found[side].items()}
        assert shapes == {
            "features": (count, 6, 2048),
            "boxes": (count, 6, 4),
            "scores": (count, 6),
            "labels": (count, 6),
        }
        boxes = found[side]["boxes"]
        assert boxes.dtype == np.float32 and boxes.min() >= 0
        assert 160 < boxes[..., 2].max() <= 320 and 96 < boxes[..., 3].max() <= 192
        assert (found[side]["labels"] >= 1).all() and np.isfinite(found[side]["features"]).all()
