"""Upstream's CSV lists: what is written, skipped, reported; on a network that gives each frame's mean colour."""

import logging
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline_lib.core.errors import ItemError, StopStage, UserError
from pipeline_lib.features import from_csv, resnet152, resnext101
from pipeline_lib.features.embed import finish
from pipeline_lib.features.from_csv import Extractor, Row
from pipeline_lib.features.parallel import side_by_side
from pipeline_lib.video import decode, probe


class Here:
    """A decoder in this process."""

    probe = staticmethod(probe.probe)
    frames = staticmethod(decode.frames)

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Mean(nn.Module):
    """Mean colour of every unit."""

    def forward(self, batch: Tensor) -> Tensor:
        return batch.flatten(1, -2).float().mean(dim=1)


def small(kind: str) -> Extractor:
    module = resnet152 if kind == "2d" else resnext101
    options = module.Options(size=32)
    return Extractor(
        Mean,
        partial(module.sampling, options=options),
        partial(module.units, options=options),
        lambda net, batch: net(batch),
        lambda net: net,
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function (rows, arguments of main) that writes the list and runs it; returns the log's lines."""
    monkeypatch.setattr(from_csv, "extractor", small)
    monkeypatch.setattr(from_csv, "Worker", Here)
    torch.save({}, tmp_path / "mean.pth")

    def call(rows, caplog, kind="2d", header="video_path,feature_path", **options) -> list[str]:
        listed = tmp_path / "list.csv"
        listed.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
        with caplog.at_level(logging.INFO):
            caplog.clear()
            options = {"weights": tmp_path / "mean.pth", "where": "cpu", "threads": 2, "batch": 3} | options
            from_csv.main(listed, kind, **options)
        return [record.getMessage() for record in caplog.records]

    return call


def test_rows_of_both_types(run, video, tmp_path, caplog) -> None:
    run([(video, tmp_path / "a.npy")], caplog, "2d")
    run([(video, tmp_path / "new" / "b.npy")], caplog, "3d")
    flat, deep = np.load(tmp_path / "a.npy"), np.load(tmp_path / "new" / "b.npy")
    assert (flat.shape, deep.shape) == ((4, 3), (6, 3))  # 4 s: one a second; 96 frames by 16
    assert flat.dtype == deep.dtype == np.float16
    assert np.allclose(np.linalg.norm(flat[1:].astype(np.float32), axis=1), 1, atol=1e-3)


def test_options_of_the_output(run, video, tmp_path, caplog) -> None:
    run([(video, tmp_path / "a.npy")], caplog, half=0, unit=0)
    rows = np.load(tmp_path / "a.npy")
    assert rows.dtype == np.float32
    # The filter fps rounds times, and shows the last of the frames that fall on a second: 4, 14 … of brightness 4·i.
    assert np.abs(rows[:, 0] - [16, 56, 96, 136]).max() < 3


def test_bad_videos_are_reported_and_the_rest_goes_on(run, video, tmp_path, caplog) -> None:
    (tmp_path / "page.mp4").write_text("<html>not found</html>")
    (tmp_path / "torn.mp4").write_bytes(video.read_bytes()[:2000])
    names = ("missing", "page", "torn")
    bad = [(tmp_path / f"{name}.mp4", tmp_path / f"{name}.npy") for name in names]
    lines = run([*bad, (video, tmp_path / "good.npy")], caplog)
    assert (tmp_path / "good.npy").is_file()
    assert not any(path.exists() for _, path in bad)
    assert any(f"missing.mp4: missing_file: {tmp_path}/missing.mp4 does not exist" in line for line in lines)
    assert any("page.mp4: not_a_video: an HTML page" in line for line in lines)
    assert lines[-1].startswith("4 videos: 1 written, 0 already there, 3 without features (missing_file 1, not_a_video")
    assert not list(tmp_path.glob(".*"))  # nothing half-written


def test_what_is_there_is_left_alone(run, video, tmp_path, caplog) -> None:
    (tmp_path / "a.npy").write_text("mine")
    lines = run([(video, tmp_path / "a.npy"), (tmp_path / "gone.mp4", tmp_path / "a2.npy")], caplog)
    assert (tmp_path / "a.npy").read_text() == "mine"
    assert lines[-1] == "2 videos: 0 written, 1 already there, 1 without features (missing_file 1)"


def test_features_are_written_where_the_list_says_and_nowhere_else(run, video, tmp_path, caplog) -> None:
    """np.save would put .npy behind the name, as it does upstream, and never find the file again."""
    out = tmp_path / "out"
    run([(video, out / "features.bin")], caplog)
    assert [path.name for path in out.iterdir()] == ["features.bin"]
    assert np.load(out / "features.bin").shape == (4, 3)


def test_a_single_frame_gives_one_row(run, make_video, tmp_path, caplog) -> None:
    """Upstream's squeeze drops such videos."""
    video = make_video(tmp_path / "second.mp4", seconds=1.0)
    run([(video, tmp_path / "a.npy")], caplog)
    assert np.load(tmp_path / "a.npy").shape == (1, 3)


def test_rows_that_cant_be_stored(tmp_path) -> None:
    row = Row(tmp_path / "a.mp4", tmp_path / "a.npy")
    for rows, reason in (
        ([np.full(2, np.nan, np.float32)], "not_finite"),
        ([], "undecodable"),
        (ItemError("truncated"), "truncated"),
    ):
        with pytest.raises(ItemError, match=reason):
            from_csv.write(row, rows, finish)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("video,features\na,b\n", "has to be video_path,feature_path"),
        ("video_path,feature_path,more\na,b,c\n", "has to be video_path,feature_path"),
        ("", "has to be video_path,feature_path"),
        ("video_path,feature_path\na\n", "line 2"),
        ("video_path,feature_path\na,b\nc,\n", "line 3"),
        ("video_path,feature_path\na,x\nb,x\n", "line 3: x is the feature_path of another video"),
        ('video_path,feature_path\n"a,b\n', "can't be read"),
    ],
)
def test_wrong_lists(tmp_path, content: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        from_csv.read(tmp_path / "list.csv")
    with pytest.raises(UserError, match=r"can't be read .*; give a CSV file with the header video_path,feature_path"):
        from_csv.read(tmp_path / "none.csv")


def test_lists_of_spreadsheets(tmp_path) -> None:
    """A byte order mark, carriage returns, quotes, blank lines and a repeated row."""
    (tmp_path / "list.csv").write_bytes(
        b'\xef\xbb\xbfvideo_path,feature_path\r\n"a, b.mp4",c.npy\r\n\r\n"a, b.mp4",c.npy\r\nd,e\r\n'
    )
    rows = from_csv.read(tmp_path / "list.csv")
    assert rows == [Row(Path("a, b.mp4"), Path("c.npy")), Row(Path("d"), Path("e"))]


def test_mistakes_of_the_command_line(tmp_path, video, run, caplog, monkeypatch) -> None:
    with pytest.raises(UserError, match="--type 2d needs --weights"):
        run([(video, tmp_path / "a.npy")], caplog, weights=None)
    with pytest.raises(UserError, match=r"model/resnext101\.pth are missing"):
        run([(video, tmp_path / "a.npy")], caplog, "3d", weights=None, resnext=Path("model/resnext101.pth"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        run([(video, tmp_path / "file" / "a.npy")], caplog)
    monkeypatch.undo()
    with pytest.raises(UserError, match="choose 2d or 3d"):
        from_csv.extractor("4d")


def test_side_by_side() -> None:
    """Every item once, its parts in order; a fault of one is not the others'; an exception that matters ends all."""

    def parts(item: int, _decoder: Here):
        for i in range(item):
            yield np.array([item, i])
        if item == 7:
            raise ZeroDivisionError("seven")

    seen: dict[int, list] = {}
    for item, content in side_by_side(list(range(12)), parts, 3, Here):
        seen.setdefault(item, []).append(content)
    for item, contents in seen.items():
        assert [part.tolist() for part in contents[:-1]] == [[item, i] for i in range(item)]
        assert contents[-1] is None or item == 7
    assert len(seen) == 12 and seen[7][-1].reason == "internal" and "seven" in seen[7][-1].detail

    def stopping(item: int, _decoder: Here):
        raise StopStage("disk")
        yield

    with pytest.raises(StopStage):
        list(side_by_side([1, 2], stopping, 2, Here))
    half_way = side_by_side(list(range(50)), parts, 3, Here)
    next(half_way)
    started = [thread for thread in threading.enumerate() if thread.name.startswith("side_by_side")]
    half_way.close()
    assert started and not any(thread.is_alive() for thread in started)
    assert list(side_by_side([], parts, 3, Here)) == []
