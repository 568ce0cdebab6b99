"""Kills, spoiled files, hostile ids and full disks: the run ends well, says why, and nothing is lost."""

import json
import random
import shutil
import subprocess

import pytest
from workflow_project import TINY, Project

from pipeline_lib.core import ledger

pytestmark = pytest.mark.slow


def test_killed_three_times_the_results_are_the_same(finished, tmp_path):
    project = Project.create(tmp_path / "project")
    random.seed(0)
    killed = [
        project.run_and_kill(seconds)
        for seconds in (random.uniform(6, 12), random.uniform(8, 20), random.uniform(8, 30))
    ]
    project.run("--unlock", check=False)
    project.run()
    assert any(killed)
    assert project.results() == finished.results()
    assert not list(project.folder.rglob("*.partial"))


@pytest.fixture
def folder_of_films(finished, tmp_path):
    """A project over a local folder: films of the demo, some of them spoiled, with one hostile id in vid_urls.json."""
    films = tmp_path / "films"
    films.mkdir()
    gold = json.loads((finished.folder / "work/annotations.json").read_text())
    texts = json.loads((finished.folder / "work/vid2article_master_filtered.json").read_text())
    for path in (finished.folder / "work/videos/items").rglob("*.mp4"):
        shutil.copy(path, films / path.name)
        entry = texts[path.stem]
        lines = [
            f"{_clock(part['start'])} --> {_clock(part['start'] + part['duration'])}\n{part['text']}"
            for part in entry["captions"]
        ]
        (films / f"{path.stem}.en.vtt").write_text("WEBVTT\n\n" + "\n\n".join(lines) + "\n")
        (films / f"{path.stem}.info.json").write_text(
            json.dumps({"title": entry["title"], "description": entry["article"]})
        )
    (films / "annotations.json").write_text(json.dumps(gold))
    source = {"kind": "local", "local": {"folder": str(films)}}
    project = Project.create(tmp_path / "project", source=source)
    shutil.copytree(finished.folder / "work/weights", project.folder / "work/weights")  # the same, and made slowly
    return project, films, gold


def _clock(seconds):
    return f"{int(seconds // 3600):02d}:{int(seconds // 60) % 60:02d}:{seconds % 60:06.3f}"


def test_spoiled_files_and_hostile_ids(folder_of_films, tmp_path):
    project, films, gold = folder_of_films
    train = sorted(video_id for video_id in gold if gold[video_id]["split"] == "train")
    (films / f"{train[0]}.mp4").write_bytes(random.Random(0).randbytes(1024))
    (films / f"{train[1]}.mp4").write_bytes(b"")
    (films / f"{train[2]}.mp4").write_text("<!DOCTYPE html><html><body>Video unavailable</body></html>")
    outside = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if project.folder not in path.parents)
    project.run("work/vid_urls.json")
    urls = json.loads((project.folder / "work/vid_urls.json").read_text())
    example = next(iter(urls.values()))
    urls |= {"../../x": example, "line\nbreak": example, "$(touch pwned)": example}
    (project.folder / "work/vid_urls.json").write_text(json.dumps(urls))
    project.run()
    rows = ledger.read_shards(project.folder / "work/due_diligence", TINY["shards"])
    assert set(rows) == set(urls)
    assert {v: rows[v].reason for v in train[:3]} == dict.fromkeys(train[:3], "not_a_video") | {train[1]: "empty_file"}
    assert "HTML" in rows[train[2]].detail
    assert {rows[v].reason for v in ("../../x", "line\nbreak", "$(touch pwned)")} == {"invalid_id"}
    assert all(row.ok for v, row in rows.items() if v in gold and v not in train[:3])
    assert outside == sorted(
        path.relative_to(tmp_path) for path in tmp_path.rglob("*") if project.folder not in path.parents
    )
    assert not list(project.folder.rglob("pwned")) and not list(project.folder.rglob("x"))
    assert json.loads((project.folder / "results/coref_eval.json").read_text())

    (films / f"{train[0]}.mp4").write_bytes((films / f"{train[3]}.mp4").read_bytes())  # repaired: found by the next run
    project.run()
    assert ledger.read_shards(project.folder / "work/s3d", TINY["shards"])[train[0]].ok


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"feature": {}}, "feature: no such key; remove it or correct its spelling"),
        ({"shards": "many"}, "shards = 'many': Input should be a valid integer"),
        ({"weights": {"s3d": "no/s3d.pth"}}, "weights.s3d = 'no/s3d.pth': no such file or folder; correct the path"),
    ],
)
def test_mistakes_in_the_configuration_are_one_line(tmp_path, overlay, message):
    project = Project.create(tmp_path / "project", **overlay)
    done = project.run("-n", check=False)
    assert done.returncode == 2
    assert f"error in the configuration: {message}" in done.stdout and "Traceback" not in done.stdout


def test_a_full_disk_stops_the_stage_and_a_rerun_completes(finished, tmp_path):
    """The work folder of one stage lies on a 300 kB file system."""
    project = finished.copy(tmp_path / "project")
    stage = project.folder / "work/frames"
    shutil.rmtree(stage)
    stage.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(stage)], check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        done = project.run(check=False)
        assert done.returncode == 1
        assert "stopped: frames: no space left in" in done.stdout and "Traceback" not in done.stdout
        subprocess.run(["mount", "-o", "remount,size=100m", str(stage)], check=True)
        project.run()
        assert project.results() == finished.results()
    finally:
        subprocess.run(["umount", str(stage)], check=True)
