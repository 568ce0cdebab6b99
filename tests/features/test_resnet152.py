"""ResNet-152 features: upstream's scaling, pooling over odd sizes, what is rounded when."""

import numpy as np
import pytest
import torch

from pipeline_lib.core import device
from pipeline_lib.features import resnet152
from pipeline_lib.features.embed import finish, scaled
from pipeline_lib.features.nets import resnet2d, untrained_resnet152
from pipeline_lib.video.decode import frames
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.sampling import Sampling

OPTIONS = resnet152.Options(batch=2)
CPU = torch.device("cpu")


def info(width: int, height: int) -> VideoInfo:
    return VideoInfo(width, height, fps=30.0, duration=9.0, codec="h264", streams=1, audio=False)


@pytest.mark.parametrize(
    ("width", "height", "filters"),
    [
        (1280, 720, "scale=398:224"),  # 398.2
        (720, 1280, "scale=224:398"),
        (640, 480, "scale=298:224"),  # 298.67 is cut, not rounded
        (480, 480, "scale=224:224"),
        (100, 101, "scale=224:226"),  # 226.24, and small pictures are enlarged
    ],
)
def test_sampling(width: int, height: int, filters: str) -> None:
    assert resnet152.sampling(info(width, height), OPTIONS) == Sampling(1.0, "ffmpeg", filters)


def test_scaled_frames_have_the_sizes_asked_for(video) -> None:
    shown = list(frames(video, resnet152.sampling(info(64, 48), OPTIONS)))
    assert [frame.pixels.shape for frame in shown] == [(224, 298, 3)] * 4  # 4 s, one a second


def test_short_sides_are_exact() -> None:
    for width in range(16, 200, 7):
        for height in range(16, 200, 5):
            assert min(scaled(width, height, 112)) == 112


def test_normalise_by_hand() -> None:
    pixels = torch.tensor([0.0, 128.0, 255.0]).view(1, 3, 1, 1)
    by_hand = [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    torch.testing.assert_close(resnet152.normalise(pixels).flatten(), torch.tensor(by_hand))


def test_finish() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-5, 0.0]])
    stored = finish(rows)
    assert stored.dtype == np.float16
    assert np.array_equal(stored, np.array([[0.6, 0.8], [0, 0], [1, 0]], np.float16))  # no NaN for a row of zeros
    assert np.array_equal(finish(rows, l2_normalize=False), rows.numpy().astype(np.float16))
    assert finish(rows, half_precision=False).dtype == np.float32


@pytest.fixture(scope="module")
def net():
    device.deterministic()
    return untrained_resnet152.untrained(0)


def test_features(net) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 81, 3), np.uint8)
    pictures[2] //= 4
    rows = resnet152.features(iter(pictures), net, OPTIONS, CPU)
    assert rows.shape == (3, 2048) and rows.dtype == np.float16
    assert np.abs(np.linalg.norm(rows.astype(np.float32), axis=1) - 1).max() < 1e-3
    alone = resnet152.features(iter(pictures[2:]), net, OPTIONS, CPU)
    assert np.abs(alone.astype(np.float32) - rows[2:]).max() < 1e-4
    with torch.inference_mode():  # bfloat16 has 8 bits, float32's rounding is far below that
        batch = torch.from_numpy(pictures)
        exact, rounded = (resnet152.forward(net, batch, precision) for precision in ("fp32", "bf16"))
        assert rounded.dtype == torch.float32
        assert 0 < (exact - rounded).norm() / exact.norm() < 0.05
        by_hand = net.layer4(net.layer3(net.layer2(net.layer1(stem(net, batch)))))  # pooled over an odd map, 2 × 3
        assert by_hand.shape[2:] == (2, 3)
        torch.testing.assert_close(exact, by_hand.mean(dim=(-2, -1)))


def stem(net, batch):
    pixels = resnet152.normalise(batch.permute(0, 3, 1, 2).float())
    return net.maxpool(net.relu(net.bn1(net.conv1(pixels))))


def test_untrained_tells_pictures_apart(net) -> None:
    """Not so alike that float16 would lose the difference."""
    colours = np.zeros((2, 64, 64, 3), np.uint8)
    colours[0, 16:48, 16:48, 0] = colours[1, 16:48, 16:48, 2] = 230
    red, blue = resnet152.features(iter(colours), net, OPTIONS, CPU).astype(np.float32)
    assert 0.5 < red @ blue < 0.995


def test_parameters_are_those_of_torchvision_without_its_classifier() -> None:
    with torch.device("meta"):
        net = resnet2d.build()
    assert sum(parameter.numel() for parameter in net.parameters()) == 60_192_808 - 2048 * 1000 - 1000
    assert not any(key.startswith("fc") for key in net.state_dict())


def test_a_classifier_in_the_file_is_left_unread() -> None:
    net = resnet2d.build()
    state = net.state_dict() | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    net.load_state_dict(state, strict=True)
    with pytest.raises(RuntimeError, match="head"):
        net.load_state_dict(state | {"head": torch.zeros(1)}, strict=True)
