"""A shard of good and bad files through inspection and due diligence: where the files go, that they come back, and kills."""

import contextlib
import json
import os
from pathlib import Path

import pytest

from pipeline_lib.clean import due_diligence, facts, inspection, quarantine
from pipeline_lib.core import check, files, ledger
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import run_stage

TEXT = {"article": "A description.", "url": "u", "duration": 0.0}
SPEECH = {"captions": [{"start": 0, "duration": 1, "text": "six words are in this sentence"}], "language": "en"}


class Shard:
    """A work folder whose stages run as the workflow runs them."""

    def __init__(self, folder: Path, contents: dict[str, bytes]) -> None:
        self.work, self.contents, self.fetched = folder / "work", contents, []
        self.list = self.work / "shards/0000.json"
        files.write_json(self.list, {name: {"url": f"https://youtu.be/{name:0>11}"} for name in contents})

    def ledger(self, stage: str) -> Path:
        return self.work / stage / "0000.parquet"

    def run(self, **options) -> dict[str, str]:
        """All stages; {video_id: ok or reason} of due diligence."""

        def fetch(item, to):
            self.fetched.append(item.video_id)
            to.write_bytes(self.contents[item.video_id])
            return 1

        def write(value):
            return lambda item, to: files.write_json(to, value) or 1

        run_stage(Spec("videos"), self.list, self.ledger("videos"), fetch, suffix=".mp4")
        run_stage(Spec("articles"), self.list, self.ledger("articles"), write(TEXT), suffix=".json")
        run_stage(Spec("captions"), self.list, self.ledger("captions"), write(SPEECH), suffix=".json")
        inspection.main(self.list, self.ledger("videos"), self.ledger("inspection"))
        stages = [self.ledger(stage) for stage in ("videos", "inspection", "articles", "captions", "due_diligence")]
        due_diligence.main(self.list, *stages, options=json.dumps(options))
        rows = ledger.read(self.ledger("due_diligence"))
        return {video_id: str(row.reason or row.status) for video_id, row in rows.items()}

    def video(self, video_id: str) -> Path:
        return self.work / str(ledger.read(self.ledger("videos"))[video_id].artefact)

    def aside(self) -> list[str]:
        found = (self.work / "quarantine").rglob("*")
        return sorted(str(path.relative_to(self.work / "quarantine")) for path in found if path.is_file())


@pytest.fixture
def shard(video, tmp_path):
    return Shard(tmp_path, {"bad": b"<html>no</html>", "empty": b"", "good": video.read_bytes()})


VERDICTS = {"bad": "not_a_video", "empty": "empty_file", "good": "ok"}
ASIDE = ["empty_file/empty.json", "empty_file/empty.mp4", "not_a_video/bad.json", "not_a_video/bad.mp4"]


def test_bad_files_go_aside_with_their_reason(shard):
    assert shard.run() == VERDICTS
    assert shard.aside() == ASIDE
    record = files.read_json(shard.work / "quarantine/not_a_video/bad.json")
    assert (record["reason"], record["file"], record["bytes"]) == ("not_a_video", "bad.mp4", 15)
    assert "HTML" in record["detail"] and record["from"].endswith("/bad.mp4")
    assert shard.video("bad").is_symlink() and shard.video("bad").read_bytes() == b"<html>no</html>"
    assert not shard.video("good").is_symlink()
    assert [one.video_id for one in facts.read(facts.path_of(shard.ledger("due_diligence")))] == ["good"]


def test_nothing_is_fetched_again_and_nothing_is_damaged(shard):
    shard.run()
    shard.fetched.clear()
    assert shard.run() == VERDICTS and shard.fetched == [] and shard.aside() == ASIDE
    assert check.damaged(shard.ledger("videos"), deep=True) == []


def test_other_limits_bring_a_file_back_and_put_another_aside(shard):
    assert shard.run(max_seconds=3.0)["good"] == "too_long"
    assert shard.video("good").is_symlink() and "too_long/good.mp4" in shard.aside()
    assert shard.run(min_seconds=5.0)["good"] == "too_short"
    assert "too_short/good.mp4" in shard.aside() and not any("too_long" in name for name in shard.aside())
    assert shard.run() == VERDICTS
    assert not shard.video("good").is_symlink() and shard.aside() == ASIDE
    assert shard.fetched == ["bad", "empty", "good"]


def test_keep_leaves_and_returns_everything(shard):
    shard.run()
    assert shard.run(quarantine="keep") == VERDICTS
    assert shard.aside() == [] and not shard.video("bad").is_symlink()


def test_deleted_files_stay_away_until_they_are_restored(shard):
    shard.run(max_seconds=3.0, quarantine="delete")
    assert shard.aside() == ["empty_file/empty.json", "not_a_video/bad.json", "too_long/good.json"]
    assert not shard.video("good").exists()
    assert check.damaged(shard.ledger("videos"), deep=True) == []
    shard.fetched.clear()
    assert shard.run(max_seconds=3.0, quarantine="delete")["good"] == "too_long" and shard.fetched == []
    assert shard.run()["good"] == "missing_file" and shard.fetched == []  # it would pass now, but it is gone
    assert quarantine.restore(shard.work)["too_long"] == 1
    assert shard.run() == VERDICTS and set(shard.fetched) == {"bad", "empty", "good"}


def test_restore_puts_everything_back(shard):
    shard.run()
    assert quarantine.restore(shard.work) == {"empty_file": 1, "not_a_video": 1}
    assert shard.aside() == [] and shard.video("bad").read_bytes() == b"<html>no</html>"
    assert not shard.video("bad").is_symlink()
    assert not (shard.work / "quarantine").exists()


def test_the_next_run_judges_restored_files_again(shard):
    """Snakemake only sees files: without its ledger due diligence of the shard runs again, and comes to the same."""
    shard.run()
    before = shard.ledger("due_diligence").read_bytes()
    quarantine.restore(shard.work)
    assert not shard.ledger("due_diligence").exists()
    assert shard.run() == VERDICTS and shard.aside() == ASIDE
    assert shard.ledger("due_diligence").read_bytes() == before


def test_a_replaced_file_leaves_nothing_behind(shard, video):
    """The source has a sound file under the id of a bad one: the old one and its record go."""
    shard.run()
    shard.contents["bad"] = video.read_bytes()
    shard.video("bad").unlink()
    assert shard.run() == {**VERDICTS, "bad": "ok"}
    assert shard.aside() == ASIDE[:2]


@pytest.mark.parametrize("moment", range(8))
def test_killed_at_any_moment_the_next_run_completes_it(shard, monkeypatch, moment):
    """Every change of the file system in turn is the last before the kill."""

    class Killed(BaseException):
        pass

    shard.run(quarantine="keep")
    left = [moment]

    def counted(function):
        def call(*arguments, **options):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(quarantine.os, "link", counted(os.link))
        patch.setattr(quarantine.os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(Path, "symlink_to", counted(Path.symlink_to))
        rows = [ledger.read(shard.ledger(stage)) for stage in ("videos", "due_diligence")]
        with contextlib.suppress(Killed):
            quarantine.settle(shard.work, *rows, "move")
    assert shard.run() == VERDICTS
    assert shard.aside() == ASIDE and shard.fetched == ["bad", "empty", "good"]


def test_a_record_that_leads_elsewhere_is_left_alone(shard, tmp_path):
    shard.run()
    (tmp_path / "target").write_text("keep me")
    (tmp_path / "link").symlink_to("target")
    for name, origin in {"up": "../link", "far": str(tmp_path / "link")}.items():
        files.write_json(shard.work / f"quarantine/black/{name}.json", {"from": origin})
    (shard.work / "quarantine/black/odd.json").write_text("[]")
    assert quarantine.restore(shard.work)["black"] == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "keep me"
