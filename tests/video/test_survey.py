"""Surveys of files of every kind: the right pictures at the right places, and places where nothing can be decoded."""

import numpy as np
import pytest
from zoo import FPS, SECONDS, ZOO, drawings

from pipeline_lib.video.survey import Extent, survey


def look(path, count=8, side=16):
    extent, *pictures = survey(path, count, side)
    assert isinstance(extent, Extent) and [one.place for one in pictures] == list(range(count + 2))
    return extent, pictures


@pytest.fixture(scope="module")
def drawn():
    """The drawings in 16 × 16."""
    return np.stack([one.reshape(16, 4, 16, 6, 3).mean((1, 3)) for one in drawings()])


@pytest.mark.parametrize("name", ["h264_b_frames", "h264_ts", "h264_avi", "mpeg2", "hevc", "vp9", "h264_late_start"])
def test_pictures_are_those_shown_at_equal_steps(name, tmp_path, drawn):
    """The first, the middles of eighths of the duration, the last: numbers 0, 12, 37 … 187, 199."""
    extent, pictures = look(ZOO[name][0](tmp_path))
    assert extent.packets == SECONDS * FPS and extent.seconds == pytest.approx(SECONDS, abs=0.1)
    assert [one.fault for one in pictures] == [""] * 10
    numbers = [int(np.abs(drawn - one.pixels).mean((1, 2, 3)).argmin()) for one in pictures]
    expected = [0, *(int((i + 0.5) / 8 * extent.seconds * FPS + 1e-6) for i in range(8)), SECONDS * FPS - 1]
    assert np.abs(np.array(numbers) - expected).max() <= 1


@pytest.mark.parametrize("name", sorted(ZOO))
def test_odd_films_are_sound(name, tmp_path):
    extent, pictures = look(ZOO[name][0](tmp_path))
    assert extent.seconds > 5
    assert [one.fault for one in pictures[1:]] == [""] * 9  # the first may be missing behind an open keyframe


def test_a_rotated_film_is_turned(tmp_path):
    upright = look(ZOO["h264_b_frames"][0](tmp_path))[1][3].pixels.astype(int)
    turned = look(ZOO["h264_rotated"][0](tmp_path))[1][3].pixels.astype(int)
    assert np.abs(np.rot90(upright) - turned).mean() < 10 < np.abs(upright - turned).mean()


def test_places_that_cant_be_decoded_are_named(tmp_path):
    """The tenth of the file behind its middle is zero: what was sound before comes out, what follows does not."""
    path = ZOO["h264_b_frames"][0](tmp_path)
    content = path.read_bytes()
    start, length = len(content) // 2, len(content) // 10
    path.write_bytes(content[:start] + bytes(length) + content[start + length :])
    _, pictures = look(path)
    missing = [one.place for one in pictures if one.pixels is None]
    assert missing and set(missing) <= {4, 5, 6, 7, 8, 9}
    assert all(one.fault for one in pictures if one.pixels is None)


def test_a_film_of_one_frame(make_video, tmp_path):
    extent, pictures = look(make_video(tmp_path / "one.mp4", seconds=0.1))
    assert extent.packets == 1 and all(one.pixels is not None and one.time == 0 for one in pictures)
