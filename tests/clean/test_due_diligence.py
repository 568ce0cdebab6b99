import contextlib

import pytest

from pipeline_lib.clean.due_diligence import check
from pipeline_lib.config import DueDiligence
from pipeline_lib.core.errors import ItemError


def reason(path, **limits):
    with pytest.raises(ItemError) as error:
        check(path, DueDiligence(**limits))
    return str(error.value.reason)


def test_a_good_video_passes(video):
    assert check(video, DueDiligence()).width == 64


def test_limits(video):
    assert reason(video, max_seconds=3) == "too_long"
    assert reason(video, min_seconds=5) == "too_short"
    assert reason(video, max_pixels=64 * 47) == "too_large"
    assert reason(video, max_bytes=100) == "too_large"


def test_spoiled_files(video, tmp_path):
    path = tmp_path / "x.mp4"
    assert reason(path) == "missing_file"
    path.write_bytes(b"")
    assert reason(path) == "empty_file"
    path.write_bytes(bytes(range(256)) * 4)
    assert reason(path) == "not_a_video"
    path.write_text("<html>Not found</html>")
    assert reason(path) == "not_a_video"


def test_truncated(make_video, tmp_path):
    """The index of a Matroska file stands in front, so a cut file still opens and declares its whole duration."""
    whole = make_video(tmp_path / "whole.mkv", seconds=20, size=(160, 120))
    content = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(content[: len(content) // 2])
    assert reason(cut) in ("truncated", "undecodable")


def test_every_flipped_byte_is_a_reason_or_passes(video, tmp_path):
    content = video.read_bytes()
    path = tmp_path / "x.mp4"
    for place in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with contextlib.suppress(ItemError):
            check(path, DueDiligence())
