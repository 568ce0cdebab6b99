"""Retrieval from the demo's videos to its table: what is asked for and no more; nothing again; after an edit what follows."""

import pytest
from workflow_project import Project

from pipeline_lib.core import files

pytestmark = pytest.mark.slow

TARGET = "results/retrieval_eval.json"
RETRIEVAL = {
    "model": {"dimension": 32},
    "training": {"epochs": 1, "batch_pairs": 16},
    "evaluation": {"losses": ["contrastive", "ranp"], "bootstrap": 20},
}


def with_retrieval(project, **changes):
    project.configure(retrieval={**RETRIEVAL, **changes})


def test_from_videos_to_the_table(project):
    with_retrieval(project)
    assert project.planned(TARGET) == {
        "retrieval_lexicon": 1,
        "retrieval_split": 3,
        "retrieval_role_graphs": 1,
        "retrieval_train": 2,
        "retrieval_eval": 1,
    }
    project.run(TARGET)
    found = files.read_json(project.folder / TARGET)
    assert set(found["results"]) >= {"contrastive", "ranp"}
    table = (project.folder / TARGET).with_suffix(".md").read_text()
    assert "| ranp |" in table
    assert project.planned(TARGET) == {}

    with_retrieval(project, training={**RETRIEVAL["training"], "threshold": 0.2})
    assert project.planned(TARGET) == {"retrieval_train": 2, "retrieval_eval": 1}
    with_retrieval(project, evaluation={**RETRIEVAL["evaluation"], "losses": ["contrastive", "ranp", "ran"]})
    assert project.planned(TARGET) == {"retrieval_train": 1, "retrieval_eval": 1}


def test_words_of_other_films_must_be_given(tmp_path):
    (tmp_path / "films").mkdir()
    project = Project.create(
        tmp_path / "project",
        source={"kind": "local", "local": {"folder": str(tmp_path / "films")}},
        retrieval=RETRIEVAL,
    )
    said = project.run("-n", TARGET, check=False)
    assert (
        said.returncode == 1
        and "give retrieval.lexicon" in said.stdout
        and "(most recent call last)" not in said.stdout
    )
