"""One finished tiny run of the whole workflow, and copies of it for tests to change."""

import pytest
from workflow_project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A finished tiny run. Shared: copy it before changing it."""
    project = Project.create(tmp_path_factory.mktemp("finished") / "project")
    project.run()
    return project


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished tiny run, for a test to change."""
    return finished.copy(tmp_path / "project")
