"""3-D ResNeXt-101 features: upstream's crop, clips filled up before the mean is taken off, stored rows."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline_lib.features import resnext101
from pipeline_lib.features.nets.resnext3d import MEAN
from pipeline_lib.video.decode import frames
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.sampling import Sampling

OPTIONS = resnext101.Options(batch=2)


def info(width: int, height: int) -> VideoInfo:
    return VideoInfo(width, height, fps=30.0, duration=9.0, codec="h264", streams=1, audio=False)


@pytest.mark.parametrize(
    ("width", "height", "filters"),
    [
        (1280, 720, "scale=199:112,crop=112:112:43:0"),  # (199 - 112) / 2 = 43.5
        (720, 1280, "scale=112:199,crop=112:112:0:43"),
        (640, 480, "scale=149:112,crop=112:112:18:0"),
        (480, 480, "scale=112:112,crop=112:112:0:0"),
    ],
)
def test_sampling(width: int, height: int, filters: str) -> None:
    assert resnext101.sampling(info(width, height), OPTIONS) == Sampling(1 / 24, "ffmpeg", filters)


def test_a_video_becomes_clips(make_video, tmp_path) -> None:
    """2 s are 48 frames at 24 a second, 3 clips; 2.1 s are 50 and begin a fourth."""
    for seconds, clips in ((2.0, 3), (2.1, 4)):
        video = make_video(tmp_path / f"{seconds}.mp4", seconds=seconds)
        shown = (frame.pixels for frame in frames(video, resnext101.sampling(info(64, 48), OPTIONS)))
        assert [clip.shape for clip in resnext101.units(shown, OPTIONS)] == [(16, 112, 112, 3)] * clips


def test_the_last_clip_is_filled_up_with_black() -> None:
    pictures = np.full((20, 4, 4, 3), 200, np.uint8)
    whole, filled = resnext101.units(iter(pictures), OPTIONS)
    assert (whole == 200).all()
    assert (filled[:4] == 200).all() and (filled[4:] == 0).all()
    assert len(list(resnext101.units(iter(pictures[:16]), OPTIONS))) == 1
    assert list(resnext101.units(iter(()), OPTIONS)) == []


class Seen(nn.Module):
    """Keeps its input; gives each clip's means over time and space."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        self.clips = clips
        return clips.mean(dim=(2, 3, 4))


def test_the_network_sees_black_as_minus_the_mean() -> None:
    net = Seen()
    pictures = np.zeros((17, 4, 4, 3), np.uint8)
    pictures[..., 2] = 255
    clips = torch.from_numpy(np.stack(list(resnext101.units(iter(pictures), OPTIONS))))
    rows = resnext101.forward(net, clips)
    assert net.clips.shape == (2, 3, 16, 4, 4) and net.clips.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(net.clips[1, :, 1, 0, 0], torch.tensor([-110.6, -103.2, -96.3]))
    torch.testing.assert_close(net.clips[1, :, 0, 0, 0], torch.tensor([-110.6, -103.2, 255 - 96.3]))
    torch.testing.assert_close(rows[0], torch.tensor([-110.6, -103.2, 255 - 96.3]))


def test_stored_rows_have_unit_length_and_follow_the_clips() -> None:
    pictures = (
        np.zeros((16 * 5, 2, 2, 3), np.uint8) + np.repeat(np.arange(5, dtype=np.uint8) * 50, 16)[:, None, None, None]
    )
    rows = resnext101.features(iter(pictures), Seen(), OPTIONS, torch.device("cpu"))
    assert rows.shape == (5, 3) and rows.dtype == np.float16
    by_hand = 50.0 * np.arange(5)[:, None] - np.array(MEAN)
    by_hand /= np.linalg.norm(by_hand, axis=1, keepdims=True)
    assert np.abs(rows - by_hand).max() < 1e-3
