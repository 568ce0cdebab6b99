import numpy as np
import pytest
import torch

from pipeline_lib.config import S3D as Options
from pipeline_lib.core import device
from pipeline_lib.features import s3d
from pipeline_lib.features.nets import untrained_s3d

SMALL = {"fps": 5.0, "frames": 4, "size": 32}


def brightness(window):
    """Frame numbers of the test video (0 to 39, brightness 4·i), -1 for a black frame that fills up."""
    return [round(float(frame.mean()) / 4) for frame in window]


def test_windows_hold_the_frames_of_their_times(video):
    """4 s at 5 fps are 20 frames: every second of the file's 40."""
    found = [brightness(window) for window in s3d.windows(video, Options(**SMALL, stride=4))]
    assert found == [[2 * (4 * i + j) for j in range(4)] for i in range(5)]


def test_overlapping_windows(video):
    found = [brightness(window) for window in s3d.windows(video, Options(**SMALL, stride=2))]
    assert found == [[2 * (2 * i + j) for j in range(4)] for i in range(9)]


def test_strides_longer_than_a_window(video):
    found = [brightness(window) for window in s3d.windows(video, Options(**SMALL, stride=8))]
    assert found == [[2 * (8 * i + j) for j in range(4)] for i in range(3)]


def test_the_rest_fills_a_window_when_it_is_half_of_one(make_video, tmp_path):
    longer, shorter = (make_video(tmp_path / f"{n}.mp4", seconds=n / 10) for n in (12, 10))  # 6 and 5 frames at 5 fps
    assert [brightness(w) for w in s3d.windows(longer, Options(**SMALL, stride=4))] == [[0, 2, 4, 6], [8, 10, 0, 0]]
    assert [brightness(w) for w in s3d.windows(shorter, Options(**SMALL, stride=4))] == [[0, 2, 4, 6]]


def test_a_video_shorter_than_a_window_gives_one(make_video, tmp_path):
    tiny = make_video(tmp_path / "tiny.mp4", seconds=0.2)
    assert [brightness(w) for w in s3d.windows(tiny, Options(**SMALL, stride=4))] == [[0, 0, 0, 0]]


def test_square_is_central():
    picture = np.arange(6 * 8).reshape(6, 8, 1).repeat(3, axis=2)
    assert np.array_equal(s3d.square(picture, 4), picture[1:5, 2:6])


@pytest.fixture(scope="module")
def net():
    device.deterministic()
    return untrained_s3d.untrained(0)


def test_batches_change_nothing(video, net):
    rows = {
        batch: s3d.features(video, net, Options(**SMALL, stride=4, batch=batch), torch.device("cpu"))
        for batch in (1, 3)
    }
    assert rows[1].shape == (5, 1024) and rows[1].dtype == np.float32
    assert np.allclose(rows[1], rows[3], atol=1e-5)
