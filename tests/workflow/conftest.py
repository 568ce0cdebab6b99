"""One finished tiny run of the whole workflow, and copies of it for tests to change."""

import os

import pytest
from filelock import FileLock
from workflow_project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A finished tiny run. Shared, by processes that test side by side as well: copy it before running in it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # then `base` is this process's own
        base = base.parent
    project, done = Project(base / "finished"), base / "finished.done"
    with FileLock(base / "finished.lock"):
        if not done.exists():
            Project.create(project.folder).run()
            done.touch()
    return project


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished tiny run, for a test to change."""
    return finished.copy(tmp_path / "project")
