import logging
import subprocess
import sys

import pytest
from filelock import FileLock

from pipeline_lib.collect.retry import main, reopen
from pipeline_lib.collect.split import main as split
from pipeline_lib.core import files, ledger
from pipeline_lib.core.errors import ItemError, UserError
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import run_stage

FATES = {"a": None, "b": "rate_limited", "c": "private", "d": "network", "e": "private", "../f": "invalid_id"}


class Stage:
    """Videos that fail as FATES has it, and which of them are tried."""

    def __init__(self, work):
        self.work, self.spec, self.tried, self.fates = work, Spec("videos"), [], dict(FATES)
        files.write_json(work / "shards/0000.json", {video_id: {} for video_id in FATES})

    def run(self, stage="videos", listing="shards/0000.json"):
        self.tried = []

        def make(item, to):
            self.tried.append(item.video_id)
            if self.fates[item.video_id]:
                raise ItemError(self.fates[item.video_id], "as scripted")
            to.write_text(item.video_id)
            return 1

        out = self.work / stage / "0000.parquet"
        return run_stage(self.spec, self.work / listing, out, make, suffix=".txt", max_failed_fraction=1)


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path / "work")
    made.run()
    return made


def test_exactly_those_are_opened(stage):
    stage.fates = dict.fromkeys(FATES)
    assert reopen(stage.work, {"private"})[0] == {("videos", "private"): 2}
    assert not (stage.work / "videos/0000.parquet").exists()
    rows = stage.run()
    assert {"c", "e"} <= set(stage.tried) and "a" not in stage.tried
    assert rows["c"].ok and rows["c"].attempts == 2 and rows["a"].attempts == 1
    stage.run()
    assert stage.tried == []


def test_the_list_says_so_and_a_split_keeps_it(stage):
    videos = {video_id: {} for video_id in FATES}
    files.write_json(stage.work / "vid_urls.json", videos)
    for count in (1, 2):
        reopen(stage.work, {"private"})
        assert files.read_json(stage.work / "shards/0000.json")["c"] == {"reopened": count}
        stage.run()
    split(videos=stage.work / "vid_urls.json", shards=1, out=stage.work / "shards.json")
    assert files.read_json(stage.work / "shards/0000.json") == {
        video_id: {"reopened": 2} if FATES[video_id] == "private" else {} for video_id in FATES
    }


def test_a_dry_run_changes_nothing(stage):
    before = {path: path.read_bytes() for path in stage.work.rglob("*") if path.is_file()}
    found, _ = reopen(stage.work, {"private", "network"}, dry=True)
    assert found == {("videos", "private"): 2, ("videos", "network"): 1}
    assert before == {path: path.read_bytes() for path in stage.work.rglob("*") if path.is_file()}


def test_only_the_stages_asked_for(stage):
    stage.run("captions")
    assert reopen(stage.work, {"private"}, {"captions"})[0] == {("captions", "private"): 2}
    assert (stage.work / "videos/0000.parquet").exists()


def test_a_ledger_without_such_videos_stays(stage):
    assert reopen(stage.work, {"truncated"}) == ({}, [])
    assert (stage.work / "videos/0000.parquet").exists()


def test_still_failing_is_remembered_again(stage):
    reopen(stage.work, {"private"})
    assert stage.run()["c"].attempts == 2
    stage.run()
    assert "c" not in stage.tried


@pytest.mark.parametrize("folder", ["vq2d/val/clips/ledger", "vq2d/val/detections.queries"])
def test_visual_queries_are_opened_too_and_asked_for_by_name(stage, caplog, folder):
    path = stage.work / folder / "0000.parquet"
    files.write_json(path.with_suffix(".json"), {video_id: {} for video_id in FATES})
    stage.run(folder, path.with_suffix(".json"))
    shards = (stage.work / "shards/0000.json").stat()
    with caplog.at_level(logging.INFO):
        main(stage.work, "private", folder.removesuffix("/ledger"), dry=True)
        assert path.exists() and "name these" not in caplog.text
        main(stage.work, "private", folder.removesuffix("/ledger"), dry=False)
    assert not path.exists() and f"for the target vq2d; before another one name these: {path}" in caplog.text
    assert (stage.work / "videos/0000.parquet").exists() and (stage.work / "shards/0000.json").stat() == shards
    stage.run(folder, path.with_suffix(".json"))
    assert {"c", "e"} <= set(stage.tried) and "a" not in stage.tried


def test_a_torn_journal_keeps_its_whole_lines(stage):
    (journal,) = stage.work.rglob("journal.jsonl")
    with open(journal, "a") as stream:
        stream.write('{"video_id": "c", "sta')
    reopen(stage.work, {"private"})
    stage.run()
    assert {"c", "e"} <= set(stage.tried) and "a" not in stage.tried


def test_kept_pages_are_forgotten_and_hostile_ids_touch_nothing(stage):
    pages = stage.work / "youtube/pages"
    pages.mkdir(parents=True)
    for name in ("a", "c"):
        (pages / f"{name}.json").write_text("{}")
    (stage.work / "youtube/f.json").write_text("{}")
    reopen(stage.work, {"private", "invalid_id"})
    assert (pages / "a.json").exists() and not (pages / "c.json").exists()
    assert (stage.work / "youtube/f.json").exists()


def test_a_running_stage_is_left_alone(stage):
    (lock,) = stage.work.rglob(".lock")
    with FileLock(lock), pytest.raises(UserError, match="a process works on"):
        reopen(stage.work, {"private"})
    assert len(ledger.read(stage.work / "videos/0000.parquet")) == len(FATES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reason", "bad_luck", "."], "no such reason: bad_luck; there are age_restricted"),
        (["--reason", "network", "--stage", "dreams", "."], "no such stage: dreams"),
        (["."], "--reason is missing"),
        (["--reason", "network", "nowhere"], "no work folder nowhere"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path, words, message):
    command = [sys.executable, "-m", "pipeline_lib.collect.retry", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
