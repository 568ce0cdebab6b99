import numpy as np

from pipeline_lib.config.video import Frames
from pipeline_lib.video import decode, frames


def stored(video, to, options):
    return frames.store(decode.frames(video, frames.sampling(options)), to, options)


def test_pictures_and_times(video, tmp_path):
    tar = tmp_path / "x.tar"
    assert stored(video, tar, Frames(every=1.5)) == 3
    index, pictures = frames.read(tar)
    assert index == {"width": 64, "height": 48, "every": 1.5, "mode": "exact", "times": [0.0, 1.5, 3.0]}
    assert np.allclose([p.mean() for p in pictures], [0, 60, 120], atol=3)


def test_keyframes_are_stored_with_their_own_times(video, tmp_path):
    stored(video, tmp_path / "x.tar", Frames(every=1.5, mode="keyframe"))
    index, _ = frames.read(tmp_path / "x.tar")
    assert index["times"] == [0.0, 2.0, 2.0]


def test_large_pictures_are_stored_smaller_and_the_size_is_kept(video, tmp_path):
    tar = tmp_path / "x.tar"
    stored(video, tar, Frames(max_side=32))
    index, pictures = frames.read(tar)
    assert (index["width"], index["height"]) == (64, 48) and next(pictures).shape == (24, 32, 3)


def test_same_bytes_every_time(video, tmp_path):
    for name in ("a", "b"):
        stored(video, tmp_path / name, Frames())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
