"""The detector: names of the published checkpoint, preprocessing, and what the untrained one says of pictures."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline_lib.features.nets.faster_rcnn import PIXEL_MEANS, FasterRCNN, preprocess
from pipeline_lib.features.nets.untrained_faster_rcnn import untrained


@pytest.fixture(scope="module")
def net() -> FasterRCNN:
    net = untrained(seed=0)
    net.post_nms = 20
    return net


def picture(seed: int) -> np.ndarray:
    """Five rectangles on a plain ground, 96 × 160."""
    source = np.random.default_rng(seed)
    frame = np.full((96, 160, 3), source.integers(0, 256, 3), np.uint8)
    for x, y in source.integers(0, (120, 70), (5, 2)):
        frame[y : y + 30, x : x + 40] = source.integers(0, 256, 3)
    return frame


def inputs(*seeds: int) -> tuple[Tensor, Tensor]:
    images = torch.stack([preprocess(picture(seed), 128)[0] for seed in seeds])
    return images, torch.tensor([[images.shape[2], images.shape[3], 128 / 96]] * len(seeds))


def test_keys_and_shapes_of_the_published_checkpoint(net: FasterRCNN) -> None:
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    sentinels = {
        "RCNN_rpn.RPN_Conv.weight": (512, 1024, 3, 3),
        "RCNN_rpn.RPN_cls_score.bias": (24,),
        "RCNN_rpn.RPN_bbox_pred.weight": (48, 512, 1, 1),
        "RCNN_base.0.weight": (64, 3, 7, 7),
        "RCNN_base.1.running_var": (64,),
        "RCNN_base.4.0.downsample.0.weight": (256, 64, 1, 1),
        "RCNN_base.4.2.conv3.weight": (256, 64, 1, 1),
        "RCNN_base.5.3.bn2.num_batches_tracked": (),
        "RCNN_base.6.0.downsample.1.running_mean": (1024,),
        "RCNN_base.6.22.conv2.weight": (256, 256, 3, 3),
        "RCNN_top.0.0.conv1.weight": (512, 1024, 1, 1),
        "RCNN_top.0.2.bn3.bias": (2048,),
        "RCNN_cls_score.weight": (1601, 2048),
        "RCNN_bbox_pred.weight": (6404, 2048),
    }
    assert {key: shapes.get(key) for key in sentinels} == sentinels
    assert len(shapes) == 6 + 104 + 5 * 104 + 4  # proposal network, convolutions, their norms, two linear layers
    assert {key.split(".")[0] for key in shapes} == {
        "RCNN_rpn",
        "RCNN_base",
        "RCNN_top",
        "RCNN_cls_score",
        "RCNN_bbox_pred",
    }


def test_blocks_stride_as_in_caffe(net: FasterRCNN) -> None:
    strided = [
        name
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2) and "downsample" not in name
    ]
    assert strided == ["RCNN_base.0", "RCNN_base.5.0.conv1", "RCNN_base.6.0.conv1", "RCNN_top.0.0.conv1"]
    assert net.RCNN_base[3](torch.zeros(1, 1, 7, 8)).shape[2:] == (3, 4)  # partial windows count


def test_what_it_says_of_a_picture(net: FasterRCNN) -> None:
    images, info = inputs(1)
    with torch.inference_mode():
        found = net(images, info)[0]
    assert [tuple(part.shape) for part in found] == [(20, 4), (20, 1601), (20, 6404), (20, 2048)]
    assert all(torch.isfinite(part).all() for part in found)
    torch.testing.assert_close(found.scores.sum(dim=1), torch.ones(20))
    x1, y1, x2, y2 = found.rois.unbind(dim=1)
    assert (x1 >= 0).all() and (y1 >= 0).all() and (x2 <= images.shape[3] - 1).all() and (y2 <= 127).all()


def test_batch_equals_single_and_runs_are_equal(net: FasterRCNN) -> None:
    images, info = inputs(1, 2)
    with torch.inference_mode():
        together, again = net(images, info), net(images, info)
        alone = [net(images[i : i + 1], info[i : i + 1])[0] for i in range(2)]
    for first, second, single in zip(together, again, alone, strict=True):
        for one, other, third in zip(first, second, single, strict=True):
            assert torch.equal(one, other)
            torch.testing.assert_close(one, third, rtol=1e-3, atol=1e-3)


def test_untrained_detector_tells_pictures_apart(net: FasterRCNN) -> None:
    colours = [np.full((96, 96, 3), colour, np.uint8) for colour in ((220, 30, 30), (30, 220, 30), (30, 30, 220))]
    images = torch.stack([preprocess(frame, 128)[0] for frame in colours])
    with torch.inference_mode():
        found = net(images, torch.tensor([[128, 128, 4 / 3]] * 3))
        pictures = net(*inputs(1, 2, 3))
    means = nn.functional.normalize(torch.stack([one.features.mean(dim=0) for one in found]), dim=1)
    assert (means @ means.T).triu(1).max() < 0.95
    best = torch.cat([one.scores[:, 1:].max(dim=1).values for one in pictures])
    assert best.median() < 0.95 and best.max() > 0.5  # neither saturated nor flat
    centres = torch.cat([(one.rois[:, :2] + one.rois[:, 2:]) / 2 for one in pictures])
    assert (centres.std(dim=0) > 20).all()


@pytest.mark.parametrize(
    ("height", "width", "scale", "size"),
    [
        (480, 640, 1.25, (600, 800)),
        (640, 480, 1.25, (800, 600)),
        (400, 1000, 1.0, (400, 1000)),  # 1500 would be too long
        (601, 1002, 600 / 601, (600, 1000)),  # 1000.33 rounds to 1000: still fits
        (601, 1003, 1000 / 1003, (599, 1000)),  # 1001.33 doesn't
    ],
)
def test_scale_rule(height: int, width: int, scale: float, size: tuple[int, int]) -> None:
    image, found = preprocess(np.zeros((height, width, 3), np.uint8))
    assert found == pytest.approx(scale, abs=1e-12)
    assert tuple(image.shape) == (3, *size)


def test_channels_become_bgr_less_their_means() -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[..., 0] = 255  # red
    image, _ = preprocess(frame, short_side=4)
    expected = torch.tensor([0.0, 0, 255]) - torch.tensor(PIXEL_MEANS)
    torch.testing.assert_close(image[:, 1, 1], expected)


def test_pixels_are_resampled_at_half_pixel_centres() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[:, 1] = 100
    image, _ = preprocess(frame, short_side=4)
    torch.testing.assert_close(image[0, 0] + PIXEL_MEANS[0], torch.tensor([0.0, 25, 75, 100]))


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_other_frames_are_refused(frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        preprocess(frame)
