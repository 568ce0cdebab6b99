from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline_lib.config.features import Objects
from pipeline_lib.config.video import Frames
from pipeline_lib.core import device
from pipeline_lib.features import objects
from pipeline_lib.features.nets import untrained_faster_rcnn, untrained_faster_rcnn_d2
from pipeline_lib.video import decode, frames

CPU = torch.device("cpu")
SMALL = {"boxes": 6, "short_side": 64, "max_side": 107, "proposals": 16}


@pytest.fixture(scope="module")
def net():
    device.deterministic()
    found = untrained_faster_rcnn.untrained(0)
    found.post_nms = 16
    return found


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    from pipeline_lib.collect.sources.demo import DemoSource

    source = DemoSource(train=1, val=0, test=0)
    path = tmp_path_factory.mktemp("film") / "v.mp4"
    source.video(next(iter(source.search("*", 1))), path)
    return path


class InProcess:
    """A decoder without a process of its own."""

    frames = staticmethod(decode.frames)


def extracted(source, path, net, options):
    with torch.inference_mode():
        rows = [objects.regions(picture[None], net, options, CPU)[0] for picture in source.pictures(path, InProcess())]
    return source.stack(path, rows)


def test_regions_of_every_stored_frame_in_pixels_of_the_video(film, tmp_path, net):
    options = Objects(**SMALL)
    for side in (1280, 160):  # stored as they are (320 × 192), and at half the size
        tar, wanted = tmp_path / f"{side}.tar", Frames(max_side=side)
        count = frames.store(decode.frames(film, frames.sampling(wanted)), tar, wanted)
        found = extracted(objects.Source(True, wanted, "auto"), tar, net, options)
        assert {name: array.shape for name, array in found.items()} == {
            "features": (count, 6, 2048),
            "boxes": (count, 6, 4),
            "scores": (count, 6),
            "labels": (count, 6),
            "size": (2,),
        }
        boxes = found["boxes"]
        assert boxes.dtype == np.float32 and boxes.min() >= 0 and found["size"].tolist() == [320, 192]
        assert 160 < boxes[..., 2].max() <= 320 and 96 < boxes[..., 3].max() <= 192
        assert (found["labels"] >= 1).all() and np.isfinite(found["features"]).all()


def test_videos_can_be_decoded_instead_of_stored(film, tmp_path, net):
    """At JPEG quality 100 little is lost, so that most regions of both ways are the same ones."""
    options, wanted = Objects(**SMALL), Frames(quality=100)
    frames.store(decode.frames(film, frames.sampling(wanted)), tmp_path / "x.tar", wanted)
    stored = extracted(objects.Source(True, wanted, "auto"), tmp_path / "x.tar", net, options)
    direct = extracted(objects.Source(False, wanted, "auto"), film, net, options)
    assert direct["features"].shape == stored["features"].shape
    assert np.corrcoef(direct["features"].mean(axis=1).ravel(), stored["features"].mean(axis=1).ravel())[0, 1] > 0.95


def test_between_a_least_and_a_most_number_of_regions(film, net):
    options = Objects(**SMALL | {"boxes": 16, "min_boxes": 3, "confidence": 0.5})
    found = extracted(objects.Source(False, Frames(every=1.0), "auto"), film, net, options)
    kept = (found["labels"] > 0).sum(axis=1)
    assert kept.min() >= 3 and kept.max() <= 16 and len(set(kept.tolist())) > 1
    assert found["labels"].shape[1] == kept.max() and (found["features"][found["labels"] == 0] == 0).all()


def test_detectron2s_network(film):
    options = Objects(**SMALL, network="detectron2_c4")
    net = untrained_faster_rcnn_d2.untrained(0)
    net.post_nms = 16
    found = extracted(objects.Source(False, Frames(), "auto"), film, net, options)
    assert found["features"].shape[1:] == (6, 2048) and found["boxes"][..., 2].max() <= 320


def test_boxes_of_a_film_that_changes_its_size_are_in_pixels_of_one():
    """Pictures of 100 × 60 and, once it is larger, of 200 × 120 pixels: the same place is the same box."""
    small, large = np.zeros((60, 100, 3), np.uint8), np.zeros((120, 200, 3), np.uint8)
    source, path = objects.Source(False, Frames(), "auto"), Path("v.mp4")
    shown = [decode.Frame(0, 0.0, 0.0, (100, 60), small), decode.Frame(1, 3.0, 3.0, (400, 240), large)]
    assert len(list(source.pictures(path, SimpleNamespace(frames=lambda *_: iter(shown))))) == 2

    def row(*box):
        ones = np.ones(1, np.float32)
        return {"boxes": np.array([box], np.float32), "scores": ones, "labels": ones, "features": ones[None]}

    found = source.stack(path, [row(10, 10, 50, 30), row(20, 20, 100, 60)])
    assert found["size"].tolist() == [400, 240]
    assert found["boxes"].tolist() == [[[40, 40, 200, 120]]] * 2
