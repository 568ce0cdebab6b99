"""detectron2's network: names of its checkpoints, their loading, preprocessing, and what it says of a picture."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline_lib.core import checkpoint
from pipeline_lib.core.errors import UserError
from pipeline_lib.features.nets import boxes_d2, detectron2_backend
from pipeline_lib.features.nets.faster_rcnn_d2 import (
    ANCHOR_RATIOS,
    ANCHOR_SIZES,
    CELL_ANCHORS,
    FasterRCNNC4,
    preprocess,
)
from pipeline_lib.features.nets.resnet_d2 import FrozenNorm
from pipeline_lib.features.nets.untrained_faster_rcnn_d2 import untrained


@pytest.fixture(scope="module")
def net() -> FasterRCNNC4:
    """A detector whose activations stay of useful sizes; `untrained` takes longer."""
    torch.manual_seed(0)
    net = FasterRCNNC4(post_nms=20)
    for module in net.modules():
        if isinstance(module, FrozenNorm):
            module.weight.fill_(0.7)
            module.bias.normal_(std=0.1)
    return net.eval()


def picture(seed: int) -> np.ndarray:
    """Five rectangles on a plain ground, 96 × 160."""
    source = np.random.default_rng(seed)
    frame = np.full((96, 160, 3), source.integers(0, 256, 3), np.uint8)
    for x, y in source.integers(0, (120, 70), (5, 2)):
        frame[y : y + 30, x : x + 40] = source.integers(0, 256, 3)
    return frame


def inputs(seed: int) -> tuple[Tensor, Tensor]:
    image, _ = preprocess(picture(seed), 128)
    return image[None], torch.tensor([image.shape[1:]])


def test_keys_and_shapes_of_published_checkpoints(net: FasterRCNNC4) -> None:
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    sentinels = {
        "pixel_mean": (3, 1, 1),
        "backbone.stem.conv1.weight": (64, 3, 7, 7),
        "backbone.stem.conv1.norm.running_var": (64,),
        "backbone.res2.0.shortcut.weight": (256, 64, 1, 1),
        "backbone.res2.0.shortcut.norm.bias": (256,),
        "backbone.res3.3.conv2.norm.running_mean": (128,),
        "backbone.res4.22.conv3.weight": (1024, 256, 1, 1),
        "proposal_generator.rpn_head.conv.weight": (1024, 1024, 3, 3),
        "proposal_generator.rpn_head.objectness_logits.bias": (15,),
        "proposal_generator.rpn_head.anchor_deltas.weight": (60, 1024, 1, 1),
        "roi_heads.res5.0.shortcut.weight": (2048, 1024, 1, 1),
        "roi_heads.res5.2.conv2.weight": (512, 512, 3, 3),
        "roi_heads.box_predictor.cls_score.weight": (1601, 2048),
        "roi_heads.box_predictor.bbox_pred.weight": (6400, 2048),
    }
    assert {key: shapes.get(key) for key in sentinels} == sentinels
    assert len(shapes) == 530 + 2  # detectron2's own state, and the pixel mean and deviation


def test_blocks_stride_in_their_first_convolution(net: FasterRCNNC4) -> None:
    strided = [
        name for name, module in net.named_modules() if isinstance(module, nn.Conv2d) and module.stride == (2, 2)
    ]
    assert [name for name in strided if "shortcut" not in name] == [
        "backbone.stem.conv1",
        "backbone.res3.0.conv1",
        "backbone.res4.0.conv1",
        "roi_heads.res5.0.conv1",
    ]


def tiny_state(n_classes: int) -> dict[str, np.ndarray]:
    """A state of that many classes as the model zoo has it: numpy, with anchors, without pixel means."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in FasterRCNNC4(n_classes).state_dict().items() if "pixel" not in key}
    state = {key: np.broadcast_to(np.float32(0.5), shape) for key, shape in shapes.items()}
    return {**state, CELL_ANCHORS: boxes_d2.anchors(ANCHOR_SIZES, ANCHOR_RATIOS).numpy()}


def test_the_number_of_classes_comes_from_the_file() -> None:
    net = FasterRCNNC4()
    state = {key: torch.from_numpy(value.copy()) for key, value in tiny_state(81).items()}
    net.load_state_dict(state, strict=True)
    assert net.roi_heads["box_predictor"].bbox_pred.weight.shape == (320, 2048)
    assert net.pixel_mean.flatten().tolist() == pytest.approx([103.53, 116.28, 123.675])
    with pytest.raises(RuntimeError, match="anchors"):
        net.load_state_dict({**state, CELL_ANCHORS: state[CELL_ANCHORS][:12]})
    with pytest.raises(RuntimeError, match="attr_score"):
        net.load_state_dict({**state, "roi_heads.box_predictor.attr_score.weight": torch.zeros(1)})


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_pickles_of_the_model_zoo(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model_final.pkl"
    arrays = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3, dtype=">f8")}
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "Detectron2 Model Zoo"}, protocol))
    read = checkpoint.read(path)
    assert read["a.weight"].tolist() == [[0, 1, 2], [3, 4, 5]] and read["b"].tolist() == [0, 1, 2]
    read["a.weight"].zero_()  # writable


def test_a_hostile_pickle_is_not_executed(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": {"a": Hostile()}}, 2))
    with pytest.raises(UserError, match="mkdir, which is not data; nothing was executed"):
        checkpoint.read(path)
    assert not (tmp_path / "executed").exists()


def test_preprocessing_bounds_both_sides() -> None:
    shapes = {(480, 640): (800, 1067), (720, 1280): (750, 1333), (640, 480): (1067, 800), (100, 1000): (133, 1333)}
    for size, wanted in shapes.items():
        image, scale = preprocess(np.zeros((*size, 3), np.uint8))
        assert image.shape == (3, *wanted) and scale == (wanted[1] / size[1], wanted[0] / size[0])
    image, _ = preprocess(np.full((4, 4, 3), (10, 20, 30), np.uint8), 8)
    assert image[:, 3, 3].tolist() == [30, 20, 10]  # blue first, no mean taken off yet
    with pytest.raises(ValueError, match="uint8 RGB"):
        preprocess(np.zeros((4, 4), np.uint8))


def test_what_it_says_of_a_picture(net: FasterRCNNC4) -> None:
    image, sizes = inputs(1)
    with torch.inference_mode():
        found = net(image, sizes)[0]
        padded = net(torch.nn.functional.pad(image, (0, 32, 0, 16), value=9.0), sizes)[0]
    assert [tuple(part.shape) for part in found] == [(20, 4), (20, 1601), (20, 6404), (20, 2048)]
    torch.testing.assert_close(found.scores.sum(dim=1), torch.ones(20))
    assert found.deltas[:, :4].eq(0).all()  # the background comes first and has no box
    assert (found.rois[:, :2] < found.rois[:, 2:]).all() and found.rois[:, 2].max() <= image.shape[3]
    assert padded.rois[:, 2].max() <= image.shape[3] and padded.rois[:, 3].max() <= image.shape[2]


def test_detectron2_says_the_same(net: FasterRCNNC4) -> None:
    pytest.importorskip("detectron2", reason="detectron2 is not installed; benchmarks/upstream_detectron2.py compares")
    theirs = detectron2_backend.Detectron2(post_nms=20)
    theirs.load_state_dict(net.state_dict(), strict=True)
    theirs.eval()
    with torch.inference_mode():
        for ours, their in zip(net(*inputs(1))[0], theirs(*inputs(1))[0], strict=True):
            torch.testing.assert_close(ours, their)


def test_without_detectron2_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "detectron2", None)
    monkeypatch.setitem(sys.modules, "detectron2.model_zoo", None)
    with pytest.raises(UserError, match="pip install") as error:
        detectron2_backend.Detectron2()
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_untrained_weights_tell_regions_apart() -> None:
    net = untrained(seed=0)
    assert net.post_nms == 1000
    net.post_nms = 20
    with torch.inference_mode():
        found = net(*inputs(1))[0]
    assert found.features.std(dim=0).mean() > 0.1 * found.features.mean()
    assert 0.2 < found.scores[:, 1:].amax(dim=1).mean() < 1
