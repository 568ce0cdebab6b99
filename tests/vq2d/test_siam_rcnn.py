"""Siam-RCNN's checkpoints; what needs detectron2 is skipped without it (equality with upstream: docs/upstream.md)."""

import importlib.util

import numpy as np
import pytest
import torch

from pipeline_lib.config.vq2d import Detection
from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import siam_rcnn
from pipeline_lib.vq2d.crop import Reference

needs_detectron2 = pytest.mark.skipif(
    importlib.util.find_spec("detectron2") is None, reason="detectron2 is not installed"
)


def test_the_head_has_the_published_names():
    names = set(siam_rcnn.SiamHead(4).state_dict())
    blocks = {f"projector.{i}.conv{j}.weight" for i in range(4) for j in (1, 2)}
    linear = {f"projector.{i}.{kind}" for i in (6, 8) for kind in ("weight", "bias")}
    assert names == blocks | linear | {"compare.weight", "compare.bias"}


def test_one_product_is_the_bilinear_form():
    torch.manual_seed(0)
    head = siam_rcnn.SiamHead(1).eval()
    regions, crop = torch.randn(5, siam_rcnn.HIDDEN), torch.randn(siam_rcnn.HIDDEN)
    expected = head.compare(regions, crop.expand(5, -1))[:, 0]
    torch.testing.assert_close(
        regions @ (head.compare.weight[0] @ crop) + head.compare.bias, expected, atol=1e-3, rtol=1e-4
    )


def test_other_checkpoints_are_refused(tmp_path):
    torch.save({"model": {"conv.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="no Siam-RCNN with a shared residual projector"):
        siam_rcnn.load(tmp_path / "other.pth")


@pytest.mark.skipif(importlib.util.find_spec("detectron2") is not None, reason="detectron2 is installed")
def test_without_detectron2_one_line_says_what_to_do(tmp_path):
    state = {"roi_heads.siam_head.projector.0.conv1.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(UserError, match=r"set vq2d\.detection\.detector = 'similarity'"):
        siam_rcnn.load(tmp_path / "model.pth")


@needs_detectron2
@pytest.mark.slow
def test_checkpoints_load_strictly_and_a_picture_gives_ordered_boxes(tmp_path):
    torch.manual_seed(0)
    state = siam_rcnn.SiamRCNN(2).state_dict()
    assert "backbone.fpn_lateral2.weight" in state and "proposal_generator.rpn_head.conv.weight" in state
    torch.save({"model": state, "iteration": 1}, tmp_path / "model.pth")
    detector = siam_rcnn.SiamDetector(tmp_path / "model.pth", Detection(), torch.device("cpu"))
    picture = np.random.default_rng(0).integers(0, 255, (1, 96, 128, 3), dtype=np.uint8)
    reference = Reference(picture[0], np.zeros(4, np.float32), np.zeros((256, 256, 3), np.uint8))
    with torch.inference_mode():
        query = detector.query(reference, detector.background(picture))
        found = detector.find(detector.regions(picture, None)[0], query)
    assert 1 <= len(found.scores) <= 10 and (np.diff(found.scores) <= 0).all() and found.similarity is None
    assert found.boxes.min() >= 0 and found.boxes[:, 2].max() <= 128 and found.boxes[:, 3].max() <= 96
    del state["backbone.fpn_lateral2.weight"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(UserError, match="fpn_lateral2"):
        siam_rcnn.load(tmp_path / "less.pth")
