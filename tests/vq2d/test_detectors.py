"""The similarity detector on maps that show the picture itself, so that what is alike is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipeline_lib.config.features import Objects
from pipeline_lib.config.vq2d import Detection
from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import detectors
from pipeline_lib.vq2d.crop import Reference

SIZE = 64  # a picture is 4 × 4 cells


def propose(images, info):
    """Each cell's mean colour, and boxes of 2 × 2 cells everywhere."""
    boxes = [[x, y, x + 32, y + 32] for y in (0, 16, 32) for x in (0, 16, 32)]
    return F.avg_pool2d(images, 16), [torch.tensor(boxes, dtype=torch.float32)] * len(images)


@pytest.fixture
def similar():
    detector = detectors.Similarity.__new__(detectors.Similarity)
    detector.net = SimpleNamespace(propose=propose)
    detector.preprocess = lambda picture, *_: (torch.from_numpy(picture).permute(2, 0, 1).float(), 1.0)
    detector.options, detector.where = Detection(boxes=3), torch.device("cpu")
    return detector


def picture(seed, thing=None):
    """Noise in dull colours, with a thing of two bright halves at (x, y)."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 130, (4, 4, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    if thing:
        x, y = thing
        pixels[y : y + 32, x : x + 16] = (250, 20, 20)
        pixels[y : y + 32, x + 16 : x + 32] = (20, 20, 250)
    return pixels


def test_the_thing_is_found_where_it_is_and_only_there(similar):
    frames = [picture(seed) for seed in range(12)] + [picture(20, (16, 16)), picture(21, (32, 0))]
    background = similar.background(np.stack(frames))
    reference = Reference(frames[12], np.array([16, 16, 48, 48], np.float32), np.zeros((256, 256, 3), np.uint8))
    query = similar.query(reference, background)
    found = [similar.find(one, query) for one in similar.regions(np.stack(frames), background)]
    assert found[12].boxes[0].tolist() == [16, 16, 48, 48] and found[12].scores[0] == pytest.approx(0.9734, abs=1e-3)
    assert found[12].similarity == pytest.approx(1.0, abs=1e-5)
    assert found[13].boxes[0].tolist() == [32, 0, 64, 32] and found[13].scores[0] > 0.8
    assert max(one.scores[0] for one in found[:12]) < 0.7
    assert np.percentile([one.scores[0] for one in found], 25) < 0.09  # what the scale calls a frame without the thing
    for one in found:
        assert (np.diff(one.scores) <= 0).all() and 1 <= len(one.scores) <= 3


def test_a_thing_that_is_in_most_frames_is_still_told_from_the_rest(similar):
    there = [picture(seed, (16 * (seed % 3), 16 * (seed % 2))) for seed in range(10)]
    frames = np.stack([*there, *(picture(seed) for seed in range(10, 15))])
    background = similar.background(frames)
    reference = Reference(frames[1], np.array([16, 16, 48, 48], np.float32), np.zeros((256, 256, 3), np.uint8))
    query = similar.query(reference, background)
    scores = [similar.find(one, query).scores[0] for one in similar.regions(frames, background)]
    assert min(scores[:10]) - max(scores[10:]) > 0.4


def test_regions_dont_depend_on_the_other_pictures_of_a_batch(similar):
    frames = np.stack([picture(seed, (0, 32)) for seed in range(3)])
    background = similar.background(frames)
    together = similar.regions(frames, background)
    for i, one in enumerate(together):
        alone = similar.regions(frames[i : i + 1], background)[0]
        assert (one.features == alone.features).all() and (one.boxes == alone.boxes).all()


def test_a_crop_like_everything_else_gives_finite_scores(similar):
    frames = np.full((3, SIZE, SIZE, 3), 100, np.uint8)
    background = similar.background(frames)
    reference = Reference(frames[0], np.array([0, 0, 32, 32], np.float32), frames[0])
    query = similar.query(reference, background)
    found = similar.find(similar.regions(frames[:1], background)[0], query)
    assert np.isfinite(found.scores).all() and query.high - query.low >= detectors.LEAST_RANGE


def test_a_threshold_may_leave_nothing(similar):
    frames = np.stack([picture(seed) for seed in range(3)])
    background = similar.background(frames)
    query = similar.query(Reference(frames[0], np.array([0, 0, 32, 32], np.float32), frames[0]), background)
    similar.options = Detection(score_thresh=1.0)
    found = similar.find(similar.regions(frames[1:2], background)[0], query)
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,) and found.similarity is None


def test_for_another_networks_weights_the_fix_comes_before_the_keys(tmp_path):
    torch.save({"base.0.weight": torch.zeros(1)}, tmp_path / "s3d.pth")
    fix = "give --weights the object detector's .*--network objects .*"
    with pytest.raises(UserError, match=rf"^{fix}; .*s3d\.pth doesn't fit FasterRCNN"):
        detectors.build(tmp_path / "s3d.pth", Detection(), Objects(), torch.device("cpu"))


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(UserError, match="--weights is missing"):
        detectors.build(None, Detection(), Objects(), torch.device("cpu"))
    with pytest.raises(UserError, match=r"weights .* are missing"):
        detectors.build(tmp_path / "none", Detection(), Objects(), torch.device("cpu"))
