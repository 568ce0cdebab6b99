import numpy as np
import pytest
import torch

from pipeline_lib.config.features import S3D as Options
from pipeline_lib.core import device
from pipeline_lib.features import s3d
from pipeline_lib.features.nets import untrained_s3d
from pipeline_lib.video import decode

SMALL = {"fps": 5.0, "frames": 4, "size": 32}


def shown(video, options):
    """The windows of a video, decoded in this process."""
    return s3d.windows((frame.pixels for frame in decode.frames(video, s3d.sampling(options))), options)


def brightness(window):
    """Frame numbers of the test video (0 to 39, brightness 4·i), -1 for a black frame that fills up."""
    return [round(float(frame.mean()) / 4) for frame in window]


def test_windows_hold_the_frames_of_their_times(video):
    """4 s at 5 fps are 20 frames: every second of the file's 40."""
    found = [brightness(window) for window in shown(video, Options(**SMALL, stride=4))]
    assert found == [[2 * (4 * i + j) for j in range(4)] for i in range(5)]


def test_overlapping_windows(video):
    found = [brightness(window) for window in shown(video, Options(**SMALL, stride=2))]
    assert found == [[2 * (2 * i + j) for j in range(4)] for i in range(9)]


def test_strides_longer_than_a_window(video):
    found = [brightness(window) for window in shown(video, Options(**SMALL, stride=8))]
    assert found == [[2 * (8 * i + j) for j in range(4)] for i in range(3)]


@pytest.mark.parametrize(("count", "starts"), [(8, [0]), (9, [0]), (10, [0, 8]), (16, [0, 8]), (17, [0, 8])])
def test_a_window_behind_a_gap_needs_half_of_its_own_frames(count, starts):
    source = (np.full((32, 32, 3), i + 1, np.uint8) for i in range(count))
    found = [int(window[0, 0, 0, 0]) - 1 for window in s3d.windows(source, Options(**SMALL, stride=8))]
    assert found == starts


def test_the_rest_fills_a_window_when_it_is_half_of_one(make_video, tmp_path):
    longer, shorter = (make_video(tmp_path / f"{n}.mp4", seconds=n / 10) for n in (12, 10))  # 6 and 5 frames at 5 fps
    assert [brightness(w) for w in shown(longer, Options(**SMALL, stride=4))] == [[0, 2, 4, 6], [8, 10, 0, 0]]
    assert [brightness(w) for w in shown(shorter, Options(**SMALL, stride=4))] == [[0, 2, 4, 6]]


def test_a_video_shorter_than_a_window_gives_one(make_video, tmp_path):
    tiny = make_video(tmp_path / "tiny.mp4", seconds=0.2)
    assert [brightness(w) for w in shown(tiny, Options(**SMALL, stride=4))] == [[0, 0, 0, 0]]


def test_presets_give_what_is_not_set():
    published = Options()
    assert (published.fps, published.frames, published.stride, published.size) == (10.0, 32, 32, 200)
    dense = Options(preset="dense_16fps_32", size=112)
    assert (dense.fps, dense.frames, dense.stride, dense.size) == (16.0, 32, 16, 112)


def test_the_central_square_is_scaled(video):
    frame = next(iter(decode.frames(video, s3d.sampling(Options(size=32)))))
    assert frame.pixels.shape == (32, 32, 3)
    assert s3d.sampling(Options(size=32)).filters == "crop='min(iw,ih)':'min(iw,ih)',scale=32:32"


@pytest.fixture(scope="module")
def net():
    device.deterministic()
    return untrained_s3d.untrained(0)


@pytest.mark.parametrize(("output", "width"), [("mixed_5c", 1024), ("video_embedding", 512), ("both", 1536)])
def test_rows_hold_what_is_asked_for(video, net, output, width):
    options = Options(**SMALL, stride=4, output=output)
    clips = torch.from_numpy(np.stack(list(shown(video, options))))
    with torch.inference_mode():
        rows = s3d.forward(net, clips, options)
        found = net(clips.permute(0, 4, 1, 2, 3) / 255.0)
    assert rows.shape == (5, width)
    names = s3d.OUTPUTS[output]
    assert torch.allclose(rows, torch.cat([found[name] for name in names], dim=1), atol=1e-5)
