import pytest

from pipeline_lib.core.errors import ItemError
from pipeline_lib.video.probe import probe


def reason(path):
    with pytest.raises(ItemError) as error:
        probe(path)
    return error.value.reason, error.value.detail


def test_a_real_file(video):
    info = probe(video)
    assert (info.width, info.height, info.fps, info.codec, info.audio) == (64, 48, 10.0, "h264", False)
    assert info.duration == pytest.approx(4.0)


def test_what_is_no_video_gets_its_reason(tmp_path):
    path = tmp_path / "x.mp4"
    assert reason(path)[0] == "missing_file"
    path.write_bytes(b"")
    assert reason(path)[0] == "empty_file"
    path.write_bytes(b"\x13\x37" * 512)
    assert reason(path)[0] == "not_a_video"
    path.write_text("<!DOCTYPE html><html><body>Sorry</body></html>")
    assert reason(path) == ("not_a_video", reason(path)[1]) and "HTML" in reason(path)[1]


def test_playlists_are_refused(tmp_path, video):
    path = tmp_path / "x.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\nfile://{video}\n#EXT-X-ENDLIST\n")
    assert reason(path)[0] == "not_a_video"
    path.write_text(f"ffconcat version 1.0\nfile '{video}'\n")
    assert reason(path)[0] == "not_a_video"


def test_names_that_look_like_protocols(tmp_path, video):
    odd = tmp_path / "concat:a|b.mp4"
    odd.write_bytes(video.read_bytes())
    assert probe(odd).width == 64
