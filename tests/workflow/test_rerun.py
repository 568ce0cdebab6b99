"""What runs again after a change, and what does not."""

import re

import pytest
from workflow_project import TINY

pytestmark = pytest.mark.slow


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


AFTER_S3D = {"hdf5": 1, "coref_train": 1, "coref_eval": 1, "coref_tables": 1, "coref_report": 1, "all": 1}


def test_nothing_to_do(project):
    assert "Nothing to be done" in project.run().stdout


def test_a_comment_runs_nothing(project):
    file = project.folder / "pipeline_lib/features/s3d.py"
    file.write_text("# A remark.\n" + file.read_text())
    edit(file, '"""Rows (B, d)', '"""The rows (B, d)')
    assert project.planned() == {}


def test_changed_arithmetic_runs_its_stage_and_what_follows(project):
    edit(project.folder / "pipeline_lib/features/s3d.py", "div_(255.0)", "div_(256.0)")
    assert project.planned() == {"s3d": 2, **AFTER_S3D}
    before = project.results()
    project.run()
    after = project.results()
    assert [name for name in before if before[name] != after[name]] == ["results/coref_eval.json", "work/s3d.hdf5"]
    assert len(list((project.folder / "work/s3d/items").iterdir())) == 2  # the old features are still there


def test_changed_option_runs_its_stage_and_what_follows(project):
    project.configure(features={**TINY["features"], "objects": {**TINY["features"]["objects"], "proposals": 11}})
    assert project.planned() == {"objects": 2, **AFTER_S3D}


def test_one_video_more_touches_its_shard_alone(project):
    project.configure(source={"demo": {**TINY["source"]["demo"], "train": 7}})
    output = project.run().stdout
    per_shard = ("articles", "captions", "videos", "inspection", "due_diligence", "frames", "objects", "s3d")
    ran = {rule: len(re.findall(rf"^(?:local)?rule {rule}:", output, re.MULTILINE)) for rule in per_shard}
    assert set(ran.values()) == {1}, ran
    assert not re.search(r"^(?:local)?rule weights:", output, re.MULTILINE)
    assert project.planned() == {}


def test_one_deleted_file_is_made_again_with_what_follows(project):
    before = project.results()
    (project.folder / "work/s3d.hdf5").unlink()
    assert project.planned() == AFTER_S3D
    project.run()
    assert project.results() == before and project.planned() == {}
