"""Moments from the demo's videos to table and page: what is asked for and no more; nothing again; after an edit what follows."""

import pytest
from workflow_project import TINY

from pipeline_lib.core import files

pytestmark = pytest.mark.slow

TARGET, PAGE = "results/moments_eval.json", "results/moments_report.html"
MOMENTS = {
    "own_features": ["s3d"],
    "model": {"dimension": 16, "heads": 2, "feedforward": 16},
    "training": {"epochs": 1},
    "evaluation": {"bootstrap": 20},
}


def with_moments(project, **changes):
    project.configure(moments={**MOMENTS, **changes})


def test_from_videos_to_table_and_page(project):
    with_moments(project)
    assert project.planned(TARGET) == {"moments_train": 1, "moments_eval": 1}
    project.run(TARGET, PAGE)
    found = files.read_json(project.folder / TARGET)
    assert list(found["systems"]) == ["constant", "mesm", "random", "full_video"]
    assert found["weights"]["s3d"]["name"].startswith("untrained")
    table = (project.folder / TARGET).with_suffix(".md").read_text()
    assert "| mesm − constant |" in table and "untrained" in table
    assert "Moment retrieval, query by query" in (project.folder / PAGE).read_text()
    assert project.planned(TARGET, PAGE) == {}

    # other ways of measuring train nothing again; another loss does
    with_moments(project, evaluation={"bootstrap": 30})
    assert project.planned(TARGET) == {"moments_eval": 1}
    with_moments(project, loss={"recss_coef": 0.3})
    assert project.planned(TARGET) == {"moments_train": 1, "moments_eval": 1}


def test_clip_features_are_made_when_they_are_asked_for(project):
    with_moments(project, own_features=["clip", "s3d"])
    planned = project.planned(TARGET)
    assert planned["clip"] == TINY["shards"] and planned["hdf5"] == 1 and planned["moments_train"] == 1
