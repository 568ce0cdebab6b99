"""A small collection with every kind of loss → its numbers by hand, and the page in a real browser."""

import json
import re
import shutil
import subprocess

import pytest

from pipeline_lib.clean import facts
from pipeline_lib.clean.facts import Facts
from pipeline_lib.clean.funnel import STAGES, Fall
from pipeline_lib.core import files, ids, ledger, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import Row
from pipeline_lib.report import dataset
from pipeline_lib.report.dataset_numbers import numbers, summary

HOSTILE = "</title><script>document.title = 'taken over'</script><img src=x onerror=alert(1)> \u202egnp.exe"
FILMS = ("long", "short", "twin", "leak")  # with a file that is a video
SHARDS = 2


@pytest.fixture(scope="module", autouse=True)
def one_commit():
    """The page names the commit it was made by, and others may commit while tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "commit", lambda: "0123456789")
        yield


@pytest.fixture(scope="module")
def work(video, tmp_path_factory):
    """Seven ids in two shards: two kept, a twin, a leak, one black, one without captions, one private."""
    work = tmp_path_factory.mktemp("collection") / "work"
    rows = {stage: {video_id: Row(video_id, "ok") for video_id in (*FILMS, "dark", "mute", "gone")} for stage in STAGES}
    for video_id in (*FILMS, "dark", "mute"):
        path = work / f"videos/items/{video_id}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(video.read_bytes() if video_id in FILMS else b"no video")
        rows["videos"][video_id] = Row(video_id, "ok", artefact=f"videos/items/{video_id}.mp4")
    rows["due_diligence"]["dark"] = Row("dark", "failed", "black", "every picture is black")
    rows["captions"]["mute"] = Row("mute", "failed", "no_captions", HOSTILE)
    rows["due_diligence"]["mute"] = Row("mute", "skipped", "upstream", "no_captions")
    for stage in STAGES:
        reason = ("failed", "private") if stage in STAGES[:3] else ("skipped", "upstream")
        rows[stage]["gone"] = Row("gone", *reason)
    known = [
        Facts("long", bytes=100, width=640, height=360, fps=25.0, seconds=120.0, codec="h264", audio=True,
              caption_kind="manual", segments=9, words=300, language="en"),
        Facts("short", bytes=50, width=320, height=240, fps=10.0, seconds=30.0, codec="vp9", caption_kind="auto",
              segments=3, words=30, language="de"),
        Facts("twin", seconds=30.0, words=1), Facts("leak", seconds=30.0, words=1),
    ]  # fmt: skip
    for index in range(SHARDS):
        name, mine = ids.shard_name(index), lambda v, index=index: ids.shard_of(v, SHARDS) == index
        files.write_json(work / f"shards/{name}.json", {v: {"title": HOSTILE} for v in rows["videos"] if mine(v)})
        for stage in STAGES:
            ledger.write(work / stage / f"{name}.parquet", [row for v, row in rows[stage].items() if mine(v)])
        facts.write(facts.path_of(work / f"due_diligence/{name}.parquet"), [one for one in known if mine(one.video_id)])
    leak = {"video_id": "leak", "kept": "long", "reason": "split_leak", "found": "near_duplicate", "distance": 3.5}
    twin = {"video_id": "twin", "kept": "short", "reason": "same_bytes", "found": "same_bytes", "distance": 0.0}
    pairs = [
        {**leak, "split": "train", "kept_split": "test", "drop": True},
        {**twin, "split": "test", "kept_split": "test", "drop": True},
    ]
    files.write_json(work / "duplicates.json", {"pairs": pairs})
    return work


@pytest.fixture(scope="module")
def made(work, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "dataset_report.html"
    dataset.main(work, SHARDS, out, pictures=10, seed=1, config="{}")
    return out


def test_the_numbers(made):
    found = json.loads(made.with_suffix(".json").read_text())
    assert (found["searched"], found["kept"]) == (7, 2)
    assert [(step["stage"], step["entered"], step["reasons"], step["left"]) for step in found["funnel"]] == [
        ("articles", 7, {"private": 1}, 6),
        ("captions", 6, {"no_captions": 1}, 5),
        ("videos", 5, {}, 5),
        ("inspection", 5, {}, 5),
        ("due_diligence", 5, {"black": 1}, 4),
        ("duplicates", 4, {"same_bytes": 1, "split_leak": 1}, 2),
    ]
    assert found["searched"] == found["kept"] + sum(found["reasons"].values())
    assert (found["seconds"]["total"], found["seconds"]["quantiles"]["median"]) == (150.0, 75.0)
    assert found["words_per_minute"]["quantiles"] == {
        "min": 60.0,
        "10 %": 69.0,
        "median": 105.0,
        "90 %": 141.0,
        "max": 150.0,
    }
    assert found["seconds"]["histogram"] == {"edges": [30, 45, 60, 90, 120, 180], "counts": [1, 0, 0, 0, 1]}
    assert found["languages"] == {"de": 1, "en": 1} and found["resolutions"] == {"320×240": 1, "640×360": 1}
    assert found["caption_kinds"] == {"auto": 1, "manual": 1} and (found["bytes"], found["with_sound"]) == (150, 1)
    assert found["duplicates"]["dropped"] == {"same_bytes": 1, "split_leak": 1}


def test_the_page_is_self_contained_and_escaped(made):
    html = made.read_text()
    assert "<script>document.title" not in html and "onerror=alert" in html and "<img src=x" not in html
    assert "\u202e" not in html
    assert not re.search(r'(?:src|href)="(?:https?:|//|file:)', html)
    assert html.count("data:image/jpeg") >= 4  # of the four films; two of them once more as pairs
    assert "3.5 of 64 bits apart" in html and "test ← train" in html


def test_the_same_seed_gives_the_same_page(work, made, tmp_path):
    dataset.main(work, SHARDS, tmp_path / "again.html", pictures=10, seed=1, config="{}")
    assert (tmp_path / "again.html").read_bytes() == made.read_bytes()
    dataset.main(work, SHARDS, tmp_path / "few.html", pictures=1, seed=1, config="{}")
    assert (tmp_path / "few.html").read_text().count('<figure class="card') == 4  # one, one, and a pair


def test_in_a_browser(made, tmp_path):
    """Scripts of ours run, nobody else's do: the title is still the page's, and every panel is there."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path}",
    ]
    done = subprocess.run(
        [*command, "--dump-dom", made.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "<title>Dataset report</title>" in done.stdout and 'class="js"' in done.stdout
    assert re.findall(r"<h2>([^<:]+)", done.stdout)[:5] == [
        "From found to usable", "What the usable videos are like", "Usable videos", "Rejected videos", "Equal videos",
    ]  # fmt: skip
    assert not re.search(r"CONSOLE.*(Refused|Error)", done.stderr)


def test_an_empty_collection_has_a_page():
    nothing = numbers({"a": Fall("articles", "private", "")}, [], [])
    assert nothing["kept"] == 0 and nothing["seconds"]["count"] == 0
    page = dataset.html(nothing, {"cards": [], "pairs": [], "all_pairs": 0}, {})
    assert "There are none." in page


def test_values_beyond_the_edges_are_counted():
    assert summary([-1, 5, 99], (0, 10, 20))["histogram"] == {"edges": [0, 10, 20], "counts": [2, 1]}


def test_without_duplicates_the_message_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match=r"run snakemake .*duplicates\.json first"):
        dataset.report(tmp_path, 1, video=dataset.Video(), pictures=1, seed=0)


@pytest.mark.parametrize("config", ["{", "[]", '{"video": 3}'])
def test_a_record_that_is_no_object(tmp_path, config):
    with pytest.raises(UserError, match=r"--config .*is not a JSON object"):
        dataset.main(tmp_path, 1, tmp_path / "out.html", config=config)
