"""Edits of the project's own modules and options → exactly the jobs that docs/reruns.md names, or none once adopted."""

import re
import subprocess
import sys

import h5py
import pytest
from workflow_project import TINY

from pipeline_lib.core import ledger

pytestmark = pytest.mark.slow

EVALUATED = {"coref_eval": 1, "coref_tables": 1, "coref_report": 1, "all": 1}
TRAINED = {"coref_train": 1, **EVALUATED}
S3D = {"s3d": 2, "hdf5": 1, **TRAINED}
OBJECTS = {"objects": 2, "hdf5": 1, **TRAINED}


@pytest.fixture(scope="module")
def copied(finished, tmp_path_factory):
    """One copy for all tests that only plan."""
    return finished.copy(tmp_path_factory.mktemp("partial") / "project")


def edit(path, old, new):
    text = path.read_text()
    assert old in text, f"{path} no longer has {old!r}"
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("module", "old", "new", "runs"),
    [
        ("features/s3d.py", "    start = seen = 0  #", "    # A remark.\n\n    start = seen = 0  # now:", {}),
        ("features/s3d.py", "        seen += 1\n", "        seen += (\n            1\n        )\n", {}),
        ("features/s3d.py", "Memory holds one window.", "One window is in memory.", {}),
        ("core/progress.py", "interval: float = 30.0", "interval: float = 31.0", {}),
        ("features/s3d.py", "held", "waiting", S3D),  # a local variable: a name counts
        ("features/objects.py", "(path)], np.float32)", "(path)], np.float64)", OBJECTS),
        (
            "features/nets/s3d.py",
            "dim=(2, 3, 4)",
            "dim=(2, 3)",
            {"weights": 1, **S3D},
        ),  # untrained weights are made by it
        ("text/random_indexing.py", "SHARE = 0.3", "SHARE = 0.4", {"word_vectors": 1, **TRAINED}),
    ],
    ids=["comment", "layout", "docstring", "core", "local name", "constant", "network", "words"],
)
def test_edit(copied, module, old, new, runs):
    path = copied.folder / "pipeline_lib" / module
    before = path.read_text()
    edit(path, old, new)
    try:
        assert copied.planned() == runs
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("feature", "option", "value", "runs"),
    [("s3d", "stride", 7, S3D), ("objects", "nms", 0.31, OBJECTS), ("clip", "every", 4.0, EVALUATED)],
)
def test_option(copied, feature, option, value, runs):
    """One feature's. Clip isn't made in this run; but the evaluation writes down the whole configuration."""
    of_feature = {**TINY["features"].get(feature, {}), option: value}
    copied.configure(features={**TINY["features"], feature: of_feature})
    try:
        assert copied.planned() == runs
    finally:
        copied.configure()


def command(project, module, *words):
    """Status and output of a module of the copied project, run in its folder."""
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline_lib.{module}", *words],
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout


def stored(work):
    with h5py.File(work / "s3d.hdf5") as store:
        return {video: array[:].tobytes() for video, array in store.items()}


SNAKEMAKE = ("--", "--configfile", "tiny.yaml")


def test_adopt_after_an_edit_that_changes_no_number_and_refuse_after_one_that_does(project):
    work, module = project.folder / "work", project.folder / "pipeline_lib/features/s3d.py"
    rows = ledger.read_shards(work / "s3d", 2)
    made = {video: (work / row.artefact).stat() for video, row in rows.items()}
    features = stored(work)

    edit(module, "held", "waiting")
    status, said = command(project, "core.adopt", "s3d", "--sample", "2", *SNAKEMAKE)
    assert status == 0 and "2 videos made anew are equal (largest difference 0)" in said
    assert f"{len(rows)} artefacts stand under spec" in said
    project.run("work/s3d.hdf5")
    adopted = ledger.read_shards(work / "s3d", 2)
    for video, row in adopted.items():
        old, new = made[video], (work / row.artefact).stat()
        assert row.spec != rows[video].spec and (row.attempts, row.seconds) == (1, rows[video].seconds)
        assert (new.st_ino, new.st_mtime_ns) == (old.st_ino, old.st_mtime_ns)  # the same file: nothing was computed
    spec, before = (next(iter(one.values())).spec for one in (adopted, rows))
    assert stored(work) == features

    edit(module, "div_(255.0)", "div_(256.0)")
    status, said = command(project, "core.adopt", "s3d", "--sample", "2", *SNAKEMAKE)
    assert status == 2 and "Traceback" not in said
    worst = re.search(r"2 of 2 videos differ, the worst (\S+): largest difference [\d.e-]+; nothing was adopted", said)
    assert worst and worst[1] in rows
    assert {path.name for path in (work / "s3d/items").iterdir()} == {spec, before}
    assert not list(work.glob(".adopt*"))

    status, said = command(project, "core.status", "work", "--plan", "--cores", "2", *SNAKEMAKE)
    assert status == 0 and f"{spec} (+1 old)" in said and "12/12" in said
    assert "a run would do" in said and "s3d" in said.partition("a run would do")[2] and "on 2 cores" in said
    status, said = command(project, "core.gc", "--older-than", "0")
    assert status == 0 and before in said and "could go" in said and (work / "s3d/items" / before).exists()
    status, said = command(project, "core.gc", "--older-than", "0", "--delete")
    assert status == 0 and "deleted" in said
    assert [path.name for path in (work / "s3d/items").iterdir()] == [spec]
    assert all((work / row.artefact).exists() for row in adopted.values())
