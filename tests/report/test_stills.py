"""Pictures at wanted times: the nearest stored frame, else decoded, else a reason."""

import io

import numpy as np
import pytest
from PIL import Image
from report_case import SIZE, work

from pipeline_lib.config.video import Video
from pipeline_lib.core import ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import OK, Row
from pipeline_lib.report.stills import Stills


def blue(content: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(content)))[..., 2].mean())


@pytest.fixture
def folder(tmp_path):
    return work(tmp_path)


def test_nearest_stored_frame(folder):
    with Stills(folder / "frames", None, Video(), max_side=80) as stills:
        found, reason = stills.of("fire0000001", [0.0, 6.2, 4.54, 4.6, 99.0])
    assert reason == ""
    assert {time: still.time for time, still in found.items()} == {
        0.0: 0.04,
        4.54: 3.04,
        4.6: 6.04,
        6.2: 6.04,
        99.0: 12.04,
    }
    assert blue(found[6.2].content) == pytest.approx(100, abs=6)
    assert found[0.0].size == SIZE
    assert Image.open(io.BytesIO(found[0.0].content)).size == (80, 48)


def test_equal_bytes(folder):
    contents = []
    for _ in range(2):
        with Stills(folder / "frames", None, Video()) as stills:
            contents.append(stills.of("fire0000001", [3.0])[0][3.0].content)
    assert contents[0] == contents[1]


def test_decoded_from_the_video(folder, video):
    ledger.write(folder / "videos/0000.parquet", [Row("film0000001", OK, artefact="videos/film.mp4")])
    (folder / "videos/film.mp4").symlink_to(video)
    with Stills(None, folder / "videos", Video(), every=1.0) as stills:
        found, reason = stills.of("film0000001", [2.0, 50.0])
    assert reason == ""
    assert found[2.0].time == pytest.approx(2.0) and found[2.0].size == (64, 48)
    assert blue(found[2.0].content) == pytest.approx(4 * 20, abs=6)  # brightness 4·i of frame i at 10 fps
    assert found[50.0].time == pytest.approx(3.0)  # the last one there is


def test_video_stands_in_for_lost_frames(folder, video):
    ledger.write(folder / "videos/0000.parquet", [Row("fire0000001", OK, artefact="videos/film.mp4")])
    (folder / "videos/film.mp4").symlink_to(video)
    (folder / "frames/items/fire0000001.tar").unlink()
    with Stills(folder / "frames", folder / "videos", Video()) as stills:
        assert stills.of("fire0000001", [0.0])[0][0.0].size == (64, 48)


def test_reasons(folder):
    (folder / "frames/items/calm0000001.tar").write_bytes(b"no tar" * 200)
    (folder / "frames/items/fire0000001.tar").unlink()
    with Stills(folder / "frames", None, Video()) as stills:
        assert stills.of("lost0000001", [0.0]) == ({}, "truncated: the file ends at 3 s")
        assert stills.of("fire0000001", [0.0]) == ({}, "fire0000001.tar is gone")
        assert "calm0000001.tar can't be read" in stills.of("calm0000001", [0.0])[1]
        assert stills.of("nobody", [0.0]) == ({}, "neither stored frames nor the video are at hand")


def test_a_film_that_is_none(folder):
    ledger.write(folder / "videos/0000.parquet", [Row("fire0000001", OK, artefact="videos/film.mp4")])
    (folder / "videos/film.mp4").write_bytes(b"<html>not a film</html>")
    with Stills(None, folder / "videos", Video()) as stills:
        found, reason = stills.of("fire0000001", [0.0])
    assert found == {} and reason


def test_a_plain_folder_of_videos(tmp_path, video):
    for name in ("film.avi.mp4", "other.MKV", "notes.txt"):
        (tmp_path / name).symlink_to(video)
    with Stills(None, tmp_path, Video(), every=1.0) as stills:
        assert stills.of("film.avi", [1.0])[0][1.0].size == (64, 48)
        assert stills.of("film.avi.mp4", [1.0])[0][1.0].size == (64, 48)
        assert stills.of("other", [1.0])[1] == ""
        for video_id in ("notes", "notes.txt", "../film.avi.mp4", str(video)):
            assert stills.of(video_id, [1.0]) == ({}, "neither stored frames nor the video are at hand")


def test_a_folder_without_ledgers(tmp_path):
    with pytest.raises(UserError, match=r"holds no ledgers.*<work>/frames"):
        Stills(tmp_path, None, Video())
    with pytest.raises(UserError, match=r"holds no ledgers.*<work>/videos"):
        Stills(None, tmp_path, Video())
