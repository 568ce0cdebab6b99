"""Visual queries as a whole: Ego4D's files, some of them wrong, through every rule to peaks, measures and pictures."""

import copy
import json
import os

import numpy as np
import pytest
from workflow_project import TINY, Project

from pipeline_lib.core import ledger
from pipeline_lib.vq2d import demo

pytestmark = pytest.mark.slow

GENERATED = {"val": 1, "test": 1, "seconds": 22, "width": 128, "height": 96, "fps": 5}
TARGETS = ("results/vq2d_peaks_val.json", "results/vq2d_peaks_test.json", "vq2d")
LISTS = ("dataset_uids", "accessed_frames", "total_frames")


def spoil(folder):
    """Add a query of every kind that can't be searched, or only looks so, to the generated annotations.

    Returns:
        kind → its query's uid
    """
    path = folder / "ego4d/vq_val.json"
    export = json.loads(path.read_text())
    clips = export["videos"][0]["clips"]
    good = clips[0]["annotations"][0]["query_sets"]["1"]
    size = {"original_width": 128, "original_height": 96}
    bad = {
        "outside": {**good, "visual_crop": {**good["visual_crop"], "x": 128.0, **size}},
        "early": {**good, "query_frame": 60, "visual_crop": {**good["visual_crop"], "frame_number": 60}},
        "beyond": {**good, "query_frame": 400},
        "malformed": {key: value for key, value in good.items() if key != "visual_crop"},
    }
    count = [len(clip["annotations"][0]["query_sets"]) for clip in clips]
    clips[0]["annotations"].append({"query_sets": dict(enumerate(bad.values(), 1)), "warnings": []})
    uids = dict(zip(bad, range(count[0], count[0] + 4), strict=True))
    # A clip that goes on behind its video's end, and one of a video that isn't there.
    long = copy.deepcopy(clips[1]) | {"clip_uid": "long", "video_end_frame": 400, "video_end_sec": 80.0}
    absent = copy.deepcopy(clips[1]) | {"clip_uid": "absent"}
    clips.append(long)
    export["videos"].append({"video_uid": "absent", "split": "val", "clips": [absent]})
    path.write_text(json.dumps(export))
    uids |= {"long": sum(count) + 4, "absent": sum(count) + 4 + count[1]}
    return {kind: f"val_{number:010d}" for kind, number in uids.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run over good and bad queries, and the uids of the bad ones by kind."""
    project = Project.create(tmp_path_factory.mktemp("vq2d") / "project")
    for split in ("val", "test"):
        demo.main(project.folder / "ego4d", split, json.dumps(GENERATED), seed=3)
    uids = spoil(project.folder)
    vq2d = {
        "source": "ego4d",
        "annotations_val": "ego4d/vq_val.json",
        "annotations_test": "ego4d/vq_test_unannotated.json",
        "videos": "ego4d/videos",
        "shards": 1,
        "plots": 1,
        "frames": True,
        "detection": {"downscale_height": 64, "proposals": 32},
    }
    project.configure(features=TINY["features"], vq2d=vq2d, max_failed_fraction=0.9)
    project.run(*TARGETS)
    return project, uids


def test_what_cannot_be_searched_is_named_and_counted_and_the_others_go_on(made):
    project, uids = made
    rows = ledger.read(project.folder / "work/vq2d/val/detections.queries/0000.parquet")
    reasons = {kind: rows[uid].reason for kind, uid in uids.items() if uid in rows}
    assert reasons == {
        "outside": "bad_annotation",
        "early": None,
        "beyond": "too_short",
        "long": "missing_file",
        "absent": "missing_file",
    }
    assert "outside the 128×96 frame" in rows[uids["outside"]].detail
    assert "query_frame is at frame 400, but the clip has 111 frames" in rows[uids["beyond"]].detail
    clips = ledger.read(project.folder / "work/vq2d/val/clips/ledger/0000.parquet")
    assert sorted(row.reason for row in clips.values() if not row.ok) == ["missing_file", "truncated"]
    log = (project.folder / "work/logs/vq2d/process_val.log").read_text()
    assert "'visual_crop' is missing" in log and "# left out   : 1 malformed" in log
    assert uids["early"] in log.partition("before their crop")[2]
    measured = json.loads((project.folder / "results/vq2d_eval.json").read_text())
    assert measured["queries"] == len(rows)


def test_every_target_has_what_was_published(made):
    """Gaps, fall-backs and sums of clip_score as measured on EgoLoc's published file."""
    project, _ = made
    rows = ledger.read(project.folder / "work/vq2d/val/detections.queries/0000.parquet")
    content = json.loads((project.folder / TARGETS[0]).read_text())["predictions"]
    found = dict(zip(content["dataset_uids"], content["predicted_response_track"], strict=True))
    assert sorted(found) == sorted(rows)
    for uid, accessed, frames in zip(*(content[key] for key in LISTS), strict=True):
        boxes = found[uid]["bboxes"]
        assert bool(boxes) == rows[uid].ok and accessed == (frames if boxes else 0)
        if boxes:
            numbers = [box["fno"] for box in boxes]
            assert (np.diff(numbers) >= 25).all() or numbers == list(range(frames))
            assert numbers[-1] < frames
            assert sum(box["clip_score"] for box in boxes) == pytest.approx(1, abs=2**-10)
            assert {*boxes[0]} == {"fno", "x1", "x2", "y1", "y2", "clip_score", "detection_score"}
    challenge = json.loads((project.folder / TARGETS[1]).read_text())
    sets = [
        one["bboxes"]
        for video in challenge["results"]["videos"]
        for clip in video["clips"]
        for prediction in clip["predictions"]
        for one in prediction["query_sets"].values()
    ]
    assert sets and all(sets)
    assert len(list((project.folder / "results/vq2d/val").glob("*.png"))) == 1
    good = [row for row in ledger.read(project.folder / "work/vq2d/val/frames/ledger/0000.parquet").values() if row.ok]
    assert [row.rows for row in good] == [111, 111]


def test_a_second_run_does_nothing(made):
    project, _ = made
    assert "Nothing to be done" in project.run(*TARGETS).stdout


def test_the_target_makes_lost_ledgers_again(tmp_path):
    """Planned only: every file is empty, and a second younger than those it is made from."""
    project = Project.create(tmp_path / "project", vq2d={"shards": 1, "plots": 0, "frames": True})
    names = [f"weights/objects.{suffix}" for suffix in ("safetensors", "json")]
    names += ["vq2d/demo/vq_val.json", "vq2d/demo/vq_test_unannotated.json"]
    lost = {"clips/ledger": "vq2d_clips", "frames/ledger": "vq2d_frames", "detections.queries": "vq2d_detect"}
    for split in ("val", "test"):
        names += [f"vq2d/{split}_annot.json.gz", *(f"vq2d/{split}/{one}/0000.parquet" for one in lost)]
        names += [f"vq2d/{split}/detections.json.gz", f"../results/vq2d_peaks_{split}.json"]
    for second, name in enumerate([*names, "../results/vq2d_eval.json"], 10**9):
        path = project.folder / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (second, second))
    plan = ("vq2d", "--dry-run", "--rerun-triggers", "mtime")
    assert "Nothing to be done" in project.run(*plan).stdout
    for folder, rule in lost.items():
        path = project.folder / "work/vq2d/test" / folder / "0000.parquet"
        path.rename(tmp_path / "away")
        assert f"rule {rule}:" in project.run(*plan).stdout
        (tmp_path / "away").rename(path)
