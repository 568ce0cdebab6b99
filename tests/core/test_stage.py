import errno
import json
import os
from pathlib import Path

import pytest

from pipeline_lib.core import files, ledger
from pipeline_lib.core.errors import ItemError, StopStage, UserError
from pipeline_lib.core.items import Items
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage

SPEC = Spec("lengths", {"unit": "characters"})


class Stage:
    """A stage over strings: writes the title's length; counts how often each video is worked on."""

    def __init__(self, folder: Path, videos: dict[str, str]) -> None:
        self.work, self.made = folder / "work", []
        self.list = self.work / "shards" / "0000.json"
        self.out = self.work / "lengths" / "0000.parquet"
        self.titles = dict(videos)

    def make(self, item: Item, to: Path) -> int:
        self.made.append(item.video_id)
        title = self.titles[item.video_id]
        if title.startswith("!"):
            raise ItemError(title[1:], "two\nlines")
        to.write_text(str(len(title)))
        return len(title)

    def run(self, **options):
        files.write_json(self.list, {video_id: {} for video_id in self.titles})
        self.made = []
        options = {"version": lambda video_id: self.titles[video_id], **options}
        return run_stage(
            options.pop("spec", SPEC), self.list, self.out, options.pop("make", self.make), suffix=".txt", **options
        )


def test_every_video_has_a_row_and_a_second_run_makes_nothing(tmp_path):
    stage = Stage(tmp_path, {"b": "four", "a": "!private", "../../x": "bad", "new\nline": "bad"})
    rows = stage.run()
    assert stage.made == ["a", "b"]
    assert {key: (row.status, row.reason) for key, row in rows.items()} == {
        "../../x": ("failed", "invalid_id"),
        "new\nline": ("failed", "invalid_id"),
        "a": ("failed", "private"),
        "b": ("ok", None),
    }
    assert rows["a"].detail == "two lines"
    artefact = stage.work / rows["b"].artefact
    assert artefact.read_text() == "4" and rows["b"].bytes == 1 and rows["b"].sha256 == files.sha256(artefact)
    assert rows["b"].spec == SPEC.id and artefact.parts[-3] == SPEC.id
    first = ledger.read(stage.out)
    stage.out.unlink()
    assert stage.run() == first and stage.made == []
    assert not (tmp_path / "x").exists() and sorted(p.name for p in tmp_path.iterdir()) == ["work"]


def test_changed_source_and_lost_artefact_are_made_again(tmp_path):
    stage = Stage(tmp_path, {"a": "one", "b": "two"})
    rows = stage.run()
    stage.titles["b"] = "three"
    assert stage.run()["b"].rows == 5 and stage.made == ["b"]
    (stage.work / rows["a"].artefact).unlink()
    assert stage.run()["a"].attempts == 2 and stage.made == ["a"]
    stage.titles["b"] = "!truncated"
    assert stage.run()["b"].reason == "truncated"
    assert not (stage.work / rows["b"].artefact).exists()


def test_other_spec_leaves_old_artefacts_alone(tmp_path):
    stage = Stage(tmp_path, {"a": "one"})
    old = stage.run()["a"]
    new = stage.run(spec=Spec("lengths", {"unit": "bytes"}))["a"]
    assert stage.made == ["a"] and old.artefact != new.artefact and (stage.work / old.artefact).exists()


def test_kill_between_artefact_and_journal_costs_one_redo(tmp_path):
    stage = Stage(tmp_path, {"a": "one", "b": "two"})
    rows = stage.run()
    folder = (stage.work / rows["a"].artefact).parent
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1][:20])  # torn line of b
    (folder / f".0123-a.txt{files.PARTIAL}").write_text("half")
    assert stage.run() == {"a": rows["a"], "b": rows["b"]} | {"b": stage.run()["b"]}
    assert json.loads(journal.read_bytes().splitlines()[-1])["video_id"] == "b"
    assert not list(folder.glob(f".*{files.PARTIAL}"))
    stage.run()
    assert stage.made == []


def test_after_a_kill_the_artefact_of_another_source_is_not_taken_for_this_ones(tmp_path, monkeypatch):
    stage = Stage(tmp_path, {"a": "one"})
    stage.run()
    stage.titles["a"] = "tiny"
    note = Items.note

    def killed_before_the_line(self, row):
        if row.source_sha256 == "tiny":
            raise KeyboardInterrupt
        note(self, row)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Items, "note", killed_before_the_line)
        stage.run()
    stage.titles["a"] = "one"
    row = stage.run()["a"]
    artefact = stage.work / row.artefact
    assert stage.made == ["a"] and artefact.read_text() == "3" and row.sha256 == files.sha256(artefact)


def test_half_a_surrogate_pair_in_an_id_is_a_row(tmp_path):
    stage = Stage(tmp_path, {"b": "four", "\ud800": "bad"})
    assert stage.run()["\ud800"].reason == "invalid_id"
    assert {key: row.status for key, row in ledger.read(stage.out).items()} == {"b": "ok", "\\ud800": "failed"}


def test_transient_failures_are_tried_again_and_many_stop_the_stage(tmp_path):
    stage = Stage(tmp_path, {"a": "!network", "b": "two", "c": "three"})
    assert stage.run()["a"].reason == "network"
    assert stage.run()["a"].attempts == 2 and stage.made == ["a"]
    stage.titles |= {"b": "!network", "d": "!network"}
    with pytest.raises(StopStage, match="of 4 videos failed with network"):
        stage.run()
    stage.titles |= {"a": "1", "b": "12", "d": "1234"}
    assert all(row.ok for row in stage.run().values())


def test_unexpected_error_is_a_row(tmp_path):
    def broken(item, to):
        raise KeyError("oops")

    stage = Stage(tmp_path, {"a": "one", "b": "two", "c": "three"})
    row = stage.run(make=broken, max_failed_fraction=1.0)["a"]
    assert (row.status, row.reason) == ("failed", "internal") and "oops" in row.detail


def test_full_disk_stops_and_a_rerun_completes(tmp_path):
    stage = Stage(tmp_path, {"a": "one", "b": "two"})

    def full(item, to):
        if item.video_id == "b":
            to.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
        return Stage.make(stage, item, to)

    with pytest.raises(StopStage, match="no space left"):
        stage.run(make=full)
    assert not stage.out.exists() and not list(stage.work.rglob(f"*{files.PARTIAL}"))
    stage.run()
    assert stage.made == ["b"]


def test_a_line_that_did_not_fit_stops_and_a_rerun_completes(tmp_path, monkeypatch):
    stage = Stage(tmp_path, {"a": "one", "b": "two"})
    write = os.write
    with monkeypatch.context() as nearly_full, pytest.raises(StopStage, match="no space left"):
        nearly_full.setattr(os, "write", lambda handle, line: write(handle, line[:20] if b'"b"' in line else line))
        stage.run()
    assert not stage.out.exists()
    assert {key: row.rows for key, row in stage.run().items()} == {"a": 3, "b": 3} and stage.made == ["b"]


def test_source_and_gate_ledgers_decide_what_is_worked_on(tmp_path):
    stage = Stage(tmp_path, {"a": "one", "b": "two", "c": "three", "d": "four"})
    before = stage.work / "before" / "0000.parquet"
    ok = ledger.Row("a", "ok", artefact="before/items/x/0000/a.mp4", sha256="s1")
    skipped = ledger.Row("c", "skipped", "upstream", "truncated: at 3 s")
    ledger.write(before, [ok, ledger.Row("b", "failed", "private", "gone"), skipped])
    rows = stage.run(source=before, version=None)
    assert stage.made == ["a"] and rows["a"].source_sha256 == "s1"
    assert [(rows[v].status, rows[v].reason, rows[v].detail) for v in "bcd"] == [
        ("skipped", "upstream", "private: gone"),
        ("skipped", "upstream", "truncated: at 3 s"),
        ("skipped", "upstream", "not in the ledger of the stage before"),
    ]
    ledger.write(before, [ledger.Row("a", "ok", artefact="before/items/x/0000/a.mp4", sha256="s2")])
    stage.run(source=before, version=None)
    assert stage.made == ["a"]


def test_two_processes_on_one_shard(tmp_path):
    from filelock import FileLock

    stage = Stage(tmp_path, {"a": "one"})
    stage.run()
    with (
        FileLock(stage.work / "lengths" / "items" / SPEC.id / "0000" / ".lock"),
        pytest.raises(UserError, match="another"),
    ):
        stage.run()


def test_a_producer_may_finish_videos_in_any_order(tmp_path):
    stage = Stage(tmp_path, {"a": "one", "b": "!private", "c": "three"})
    asked = []

    def produce(items):
        asked.append([item.video_id for item in items])
        for item in reversed(items):
            yield item, lambda to, item=item: stage.make(item, to)

    rows = stage.run(make=None, produce=produce)
    assert list(rows) == ["a", "b", "c"] and [row.status for row in rows.values()] == ["ok", "failed", "ok"]
    assert stage.made == ["c", "b", "a"]
    stage.titles["c"] = "changed"
    stage.run(make=None, produce=produce)
    assert asked == [["a", "b", "c"], ["c"]]


def test_a_producer_that_fails_keeps_what_is_done(tmp_path):
    stage = Stage(tmp_path, {"a": "one", "b": "two"})

    def produce(items):
        yield items[0], lambda to: stage.make(items[0], to)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage.run(make=None, produce=produce)
    assert not stage.out.exists()
    stage.run()
    assert stage.made == ["b"]


def test_a_producer_that_forgets_a_video_is_a_fault(tmp_path):
    stage = Stage(tmp_path, {"a": "one", "b": "two"})

    def produce(items):
        yield items[0], lambda to: stage.make(items[0], to)

    with pytest.raises(RuntimeError, match="no result for 1 videos, the first b"):
        stage.run(make=None, produce=produce)


def test_further_stages_are_read_and_make_stale(tmp_path):
    """The key of a video is made of all it is made from; a video that is not ok in one of them is skipped."""
    shard = tmp_path / "0000.json"
    files.write_json(shard, {"a": {}, "b": {}})
    for stage, digest in (("video", "v"), ("text", "t")):
        rows = [ledger.Row("a", "ok", artefact=f"{stage}/a", sha256=digest)]
        other = ledger.Row("b", "failed", "private") if stage == "text" else ledger.Row("b", "ok", sha256="w")
        ledger.write(tmp_path / stage / "0000.parquet", [*rows, other])
    seen = []

    def make(item, to):
        seen.append((item.video_id, item.source, item.also, item.source_sha256))
        to.write_text("x")
        return 1

    def run():
        source, also = tmp_path / "video/0000.parquet", [tmp_path / "text/0000.parquet"]
        return run_stage(
            Spec("judge"), shard, tmp_path / "judge/0000.parquet", make, suffix=".txt", source=source, also=also
        )

    rows = run()
    assert seen == [("a", tmp_path / "video/a", (tmp_path / "text/a",), "v+t")]
    assert (rows["b"].status, rows["b"].reason, rows["b"].detail) == ("skipped", "upstream", "private")
    run()
    assert len(seen) == 1
    ledger.write(tmp_path / "text/0000.parquet", [ledger.Row("a", "ok", artefact="text/a", sha256="u")])
    run()
    assert len(seen) == 2


def test_a_missing_file_is_looked_for_again(tmp_path):
    shard = tmp_path / "0000.json"
    files.write_json(shard, {"a": {}})
    tries = []

    def make(item, to):
        tries.append(item.video_id)
        raise ItemError("missing_file" if len(tries) < 3 else "truncated")

    for expected in (1, 2, 3, 3):
        run_stage(Spec("s"), shard, tmp_path / "s/0000.parquet", make, suffix=".txt")
        assert len(tries) == expected
