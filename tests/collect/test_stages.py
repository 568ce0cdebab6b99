from pathlib import Path

import pytest

from pipeline_lib.collect.limiter import REQUESTS, Limiter, Refused
from pipeline_lib.collect.stages import politely, spec_of
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.config.youtube import Politeness
from pipeline_lib.core import files, ledger
from pipeline_lib.core.errors import StopStage
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import run_stage

LIMITS = Politeness(stop_after=4, wait=0, max_wait=10)


@pytest.fixture
def run(tmp_path):
    """Run a stage over videos a … whose tries are answered as scripted: '.' served, 'r' refused; the last one repeats."""

    def go(**script):
        limiter = Limiter(tmp_path / "limits", LIMITS)
        tries = dict.fromkeys(script, 0)
        order = []

        def make(item, to):
            fates = script[item.video_id]
            fate = fates[min(tries[item.video_id], len(fates) - 1)]
            tries[item.video_id] += 1
            order.append(item.video_id)
            if fate == "r":
                limiter.refused("pages", refusal := Refused("HTTP Error 429"))
                raise refusal
            limiter.answered("pages")
            Path(to).write_text("x")
            return 1

        shard, out = tmp_path / "shards/0000.json", tmp_path / "videos/0000.parquet"
        files.write_json(shard, {video_id: {} for video_id in script})
        try:
            run_stage(Spec("videos"), shard, out, produce=politely(make, limiter), suffix=".txt", max_failed_fraction=1)
        except StopStage as stop:
            return "".join(order), str(stop)
        return "".join(order), {video_id: row.reason for video_id, row in ledger.read(out).items()}

    return go


def test_a_refused_video_waits_for_the_next_and_passes(run):
    assert run(a=".", b="r.", c=".", d=".") == ("abcbd", dict.fromkeys("abcd"))


def test_one_that_is_refused_while_others_are_served_is_charged(run):
    assert run(a="r", b=".", c=".", d=".") == ("abacad", {"a": "rate_limited", "b": None, "c": None, "d": None})


def test_two_that_are_refused_let_a_third_decide(run):
    order, reasons = run(a="r", b="r", c=".", d=".", e=".")
    assert order[:4] == "abac" and order.count("a") == order.count("b") == 3
    assert reasons == {"a": "rate_limited", "b": "rate_limited", "c": None, "d": None, "e": None}


def test_the_last_one_is_tried_as_often(run):
    assert run(a=".", b="r") == ("abbb", {"a": None, "b": "rate_limited"})


def test_the_last_one_may_pass(run):
    assert run(a=".", b="rr.") == ("abbb", {"a": None, "b": None})


def test_when_nobody_is_served_nobody_is_charged(run, tmp_path):
    order, stop = run(a=".", b="r", c="r", d="r", e="r")
    assert order == "abcbd"
    assert "Resume after" in stop
    assert not (tmp_path / "videos/0000.parquet").exists()
    (journal,) = tmp_path.rglob("journal.jsonl")
    assert [line.count("rate_limited") for line in journal.read_text().splitlines()] == [0]


def test_a_stop_lets_other_shards_stop_before_they_ask(run, tmp_path):
    run(a="r", b="r", c="r", d="r", e="r")
    with pytest.raises(StopStage, match="Resume after"):
        Limiter(tmp_path / "limits", LIMITS).acquire(REQUESTS)


def test_what_names_the_artefacts_of_youtube():
    def spec(stage, decides, **youtube):
        options = SourceOptions.model_validate({"kind": "youtube", "youtube": youtube})
        return spec_of(stage, f"pipeline_lib.collect.{stage}", options, decides)

    videos = ("youtube/videos/max_height", "youtube/videos/audio")
    plain = spec("videos", videos)
    assert plain.options == {"kind": "youtube", "max_height": 720, "audio": True} and len(plain.code) == 1
    assert spec("videos", videos, politeness={"burst": 1}, videos={"max_bytes": 7}).id == plain.id
    assert spec("videos", videos, videos={"max_height": 360}).id != plain.id
    local = spec_of("videos", "pipeline_lib.collect.videos", SourceOptions(kind="local"), videos)
    assert local.options == {"kind": "local"} and len(local.code) == 16
