import contextlib

import pytest

from pipeline_lib.clean.due_diligence import check
from pipeline_lib.config.collect import DueDiligence
from pipeline_lib.core.errors import ItemError
from pipeline_lib.video.worker import Worker


@pytest.fixture(scope="module")
def worker():
    with Worker() as one:
        yield one


@pytest.fixture
def reason(worker):
    def get(path, **limits):
        with pytest.raises(ItemError) as error:
            check(path, DueDiligence(**limits), worker)
        return str(error.value.reason)

    return get


def test_a_good_video_passes(video, worker):
    assert check(video, DueDiligence(), worker).width == 64


def test_limits(video, reason):
    assert reason(video, max_seconds=3) == "too_long"
    assert reason(video, min_seconds=5) == "too_short"
    assert reason(video, max_pixels=64 * 47) == "too_large"
    assert reason(video, max_bytes=100) == "too_large"


def test_spoiled_files(video, tmp_path, reason):
    path = tmp_path / "x.mp4"
    assert reason(path) == "missing_file"
    path.write_bytes(b"")
    assert reason(path) == "empty_file"
    path.write_bytes(bytes(range(256)) * 4)
    assert reason(path) == "not_a_video"
    path.write_text("<html>Not found</html>")
    assert reason(path) == "not_a_video"


def test_truncated(make_video, tmp_path, reason):
    """The index of a Matroska file stands in front, so a cut file still opens and declares its whole duration."""
    whole = make_video(tmp_path / "whole.mkv", seconds=20, size=(160, 120))
    content = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(content[: len(content) // 2])
    assert reason(cut) in ("truncated", "undecodable")


def test_every_flipped_byte_is_a_reason_or_passes(video, tmp_path, worker):
    content = video.read_bytes()
    path = tmp_path / "x.mp4"
    for place in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with contextlib.suppress(ItemError):
            check(path, DueDiligence(), worker)
