"""A work folder with two shards and two specs of one stage → status, its page, what is dead, what a run would do."""

import os
import time

import pytest
from filelock import FileLock

from pipeline_lib.core import check, files, gc, items, ledger, plan, status, survey, words
from pipeline_lib.core.errors import ItemError, UserError
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import run_stage
from pipeline_lib.report import status_page

SHARDS = {"0000": ["a", "b", "bad"], "0001": ["c", "d"]}
OLD, NEW = (Spec("length", {"n": n}, "", "code") for n in (1, 2))


def make(item, to):
    if item.video_id == "bad":
        raise ItemError("undecodable", "no frame")
    to.write_bytes(b"x" * 100)
    return 1


def run(work, spec, shard):
    run_stage(spec, work / "shards" / f"{shard}.json", work / "length" / f"{shard}.parquet", make, suffix=".bin")


@pytest.fixture
def work(tmp_path):
    """Both shards done with the old spec; with the new one the first, and one video of the second."""
    work = tmp_path / "work"
    for shard, videos in SHARDS.items():
        files.write_json(work / "shards" / f"{shard}.json", {video: {} for video in videos})
    files.write_json(work / "shards.json", {shard: len(videos) for shard, videos in SHARDS.items()})
    for shard in SHARDS:
        run(work, OLD, shard)
    for shard in SHARDS:
        run(work, NEW, shard)
    (work / "length" / "0001.parquet").unlink()
    journal = work / "length/items" / NEW.id / "0001" / "journal.jsonl"
    journal.write_text(journal.read_text().splitlines()[0] + "\n")
    return work


def age(work, spec, days):
    for path in (work / "length/items" / spec.id).glob("*/journal.jsonl"):
        os.utime(path, (time.time() - days * 86400,) * 2)


def test_what_a_stage_has(work):
    (stage,) = survey.stages(work)
    assert (stage.name, stage.finished, stage.shards, stage.begun, stage.done) == ("length", 1, 2, 1, 4)
    assert dict(stage.counts) == {"ok": 2, "failed": 1} and dict(stage.reasons) == {"undecodable": 1}
    assert stage.bytes == 200 and stage.timed == 3 and stage.left(5) == pytest.approx(stage.rate)
    assert {spec.id: (spec.live, spec.videos, spec.bytes) for spec in stage.specs.values()} == {
        OLD.id: (False, 4, 400),
        NEW.id: (True, 3, 300),
    }


def test_a_video_whose_artefact_is_gone_is_not_done(work):
    check.main(work, deep=False, dry=False)
    (work / "length/items" / NEW.id / "0000" / "a.bin").unlink()
    check.main(work, deep=False, dry=False)  # takes the ledger; "a" stays in the journal
    (stage,) = survey.stages(work)
    assert (stage.finished, stage.begun, stage.done) == (0, 3, 3)  # b, bad and c
    items.reopen(work / "length/items" / NEW.id / "0000", [ledger.Row("bad", "failed", "undecodable")])
    assert survey.stages(work)[0].done == 2
    run(work, NEW, "0000")
    assert survey.stages(work)[0].done == 4


def test_visual_queries_have_a_table_of_their_own(work, capsys):
    for folder, count in (("clips/ledger", 2), ("detections.queries", 3)):
        listing = work / "vq2d/val" / folder / "0007.json"
        files.write_json(listing, {f"q{number}": {} for number in range(count)})
        run_stage(NEW, listing, listing.with_suffix(".parquet"), make, suffix=".bin")
    assert [(one.name, one.finished, one.done) for one in survey.query_stages(work)] == [
        ("vq2d/val/clips", 1, 2),
        ("vq2d/val/detections.queries", 1, 3),
    ]
    status.main(work, html=work / "status.html", watch=None)
    assert "vq2d/val/detections.queries" in capsys.readouterr().out
    page = (work / "status.html").read_text()
    assert page.count('<table class="status">') == 2 and '<th scope="row">vq2d/val/clips</th>' in page
    for journal in work.glob("vq2d/val/**/journal.jsonl"):
        os.utime(journal, (0, 0))
    gc.main(work, older_than=0, really=True)
    assert len(list(work.glob("vq2d/val/**/*.bin"))) == 5


def test_table_and_page(work, capsys):
    status.main(work, html=work / "status.html", watch=None)
    shown = capsys.readouterr().out
    assert f"{NEW.id} (+1 old)" in shown and "1/2" in shown and "4/5" in shown and "1 undecodable" in shown
    page = (work / "status.html").read_text()
    assert 'style="width:40.00%"' in page and 'http-equiv="refresh"' not in page and "undecodable" in page
    assert 'http-equiv="refresh" content="10"' in status_page.content(survey.stages(work), 5, 10)


def test_before_the_split(tmp_path, capsys):
    with pytest.raises(UserError, match="no work folder"):
        status.main(tmp_path / "nowhere")
    status.main(tmp_path)
    assert "stages" in capsys.readouterr().out and survey.stages(tmp_path) == []


def test_only_old_specs_that_no_ledger_names_are_dead(work, capsys):
    found = survey.stages(work)
    assert gc.dead(found, 7, time.time()) == []  # written just now
    age(work, OLD, 8), age(work, NEW, 8)
    assert [spec.id for _, spec in gc.dead(survey.stages(work), 7, time.time())] == [OLD.id]
    gc.main(work, older_than=9)
    told = capsys.readouterr().out
    assert "1 younger spec that no ledger names (400 B) left" in told and "--older-than 0 takes them too" in told
    gc.main(work)
    assert "could go: run again with --delete" in capsys.readouterr().out
    assert (work / "length/items" / OLD.id / "0000" / "a.bin").exists()
    gc.main(work, really=True)
    assert sorted(path.name for path in (work / "length/items").iterdir()) == [NEW.id]
    gc.main(work, really=True)
    assert "nothing to delete" in capsys.readouterr().out


def test_a_stage_in_its_first_shard_is_left_alone(work):
    (work / "length" / "0000.parquet").unlink()
    age(work, OLD, 8), age(work, NEW, 8)
    assert gc.dead(survey.stages(work), 7, time.time()) == []


def test_what_a_process_works_on_stays(work, capsys):
    age(work, OLD, 8)
    folder = work / "length/items" / OLD.id
    with FileLock(folder / "0001" / ".lock"):
        gc.main(work, really=True)
    assert "a process works on it" in capsys.readouterr().out
    assert (folder / "0001" / "c.bin").exists() and not (folder / "0000").exists()


def test_what_is_half_deleted_counts_as_done_no_more(work, monkeypatch):
    age(work, OLD, 8)
    monkeypatch.setattr(gc.shutil, "rmtree", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        gc.main(work, really=True)
    folder = work / "length/items" / OLD.id / "0000"
    assert (folder / "a.bin").exists() and items.read_journal(folder / "journal.jsonl") == {}


def test_estimate_by_hand(tmp_path):
    folder = tmp_path / "benchmarks"
    for name, seconds in (("s3d/0000", 10), ("s3d/0001", 20), ("s3d/0002", 90), ("coref_train", 30)):
        files.write_text(folder / f"{name}.tsv", f"s\th:m:s\n{seconds}\t0:00:10\n")
    files.write_text(folder / "s3d" / "0003.tsv", "s\th:m:s\n-\t-\n")
    assert plan.past_seconds(tmp_path) == {"s3d": 20.0, "coref_train": 30.0}
    todo = {"s3d": 4, "coref_train": 1, "new": 3}
    assert plan.estimate(todo, plan.past_seconds(tmp_path), 2) == (55.0, ["new"])
    assert plan.estimate(todo, plan.past_seconds(tmp_path), 16) == (30.0, ["new"])  # no job is split
    assert plan.estimate({}, {}, 4) == (0.0, [])


def test_words():
    assert [words.size(n) for n in (0, 999, 1000, 1.5e9, 2e15)] == ["0 B", "999 B", "1.0 kB", "1.5 GB", "2000.0 TB"]
    assert [words.duration(s) for s in (None, 5, 600, 7200, 864000)] == ["?", "5 s", "10 min", "2.0 h", "10.0 d"]
