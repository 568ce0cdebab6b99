"""A stage that multiplies its id's length, in a script whose code can change, adopted by its own command."""

import shlex
import subprocess
import sys

import numpy as np
import pytest

from pipeline_lib.core import adopt, files, ledger
from pipeline_lib.core.errors import UserError

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from pipeline_lib.core.errors import ItemError
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import run_stage

code, factor = {code!r}, {factor!r}

def make(item, to):
    if item.video_id == "bad":
        raise ItemError("undecodable", "no frame")
    with open(to, "wb") as stream:
        np.save(stream, np.full((2, 3), len(item.video_id) * factor))
    return 2

shard, out = Path(sys.argv[1]), Path(sys.argv[3])
run_stage(Spec("length", {{"n": 1}}, "", code), shard, out, make, suffix=".npy")
"""


@pytest.fixture
def stage(tmp_path):
    """The work folder with two finished shards, and a function that changes the stage's code and tells its commands."""
    work, script = tmp_path / "work", tmp_path / "stage.py"
    shards = {"0000": ["a", "bb", "bad"], "0001": ["cc", "ddd", "eeee"]}

    def commands(code, factor):
        script.write_text(SCRIPT.format(code=code, factor=factor))
        return {
            shard: f"{shlex.quote(sys.executable)} {script} {work}/shards/{shard}.json --out {work}/length/{shard}.parquet"
            for shard in shards
        }

    for shard, videos in shards.items():
        files.write_json(work / "shards" / f"{shard}.json", {video: {"title": video} for video in videos})
    for command in commands("one", 2.0).values():
        subprocess.run(shlex.split(command), check=True)
    return work, commands


def spec_of(work):
    return next(iter(ledger.read(work / "length" / "0000.parquet").values())).spec


def test_equal_results_are_linked_and_found_done(stage):
    work, commands = stage
    old, changed = spec_of(work), commands("two", 2.0)
    new, differences, linked = adopt.adopt(work, "length", changed, sample=3)
    assert new != old and linked == 5 and len(differences) == 3 and not any(one.why for one in differences)
    assert (work / f"length/items/{new}/0001/ddd.npy").samefile(work / f"length/items/{old}/0001/ddd.npy")
    record = files.read_json(work / f"length/items/{new}/adopted.json")
    assert record["from"] == old and record["largest_difference"] == 0.0 and len(record["sample"]) == 3
    assert not list(work.glob(".adopt*"))

    for command in commands("two", 1e9).values():  # were anything made again, it would show
        subprocess.run(shlex.split(command), check=True)
    rows = ledger.read_shards(work / "length", 2)
    assert {row.spec for row in rows.values()} == {new}
    assert rows["bad"].reason == "undecodable" and rows["ddd"].attempts == 1
    assert np.load(work / str(rows["ddd"].artefact)).tolist() == [[6.0] * 3] * 2
    again = adopt.adopt(work, "length", commands("three", 2.0), old=old, sample=1)
    assert again[2] == 5


def test_unequal_results_are_refused_with_the_worst(stage):
    work, commands = stage
    with pytest.raises(UserError, match=r"5 of 5 videos differ, the worst eeee: largest difference 0\.4; nothing was"):
        adopt.adopt(work, "length", commands("two", 2.1), sample=20)
    assert len(list((work / "length/items").iterdir())) == 1 and not list(work.glob(".adopt*"))
    new, _, linked = adopt.adopt(work, "length", commands("two", 2.1), sample=20, tolerance=0.5)
    assert linked == 5 and files.read_json(work / f"length/items/{new}/adopted.json")["tolerance"] == 0.5


def test_nothing_to_adopt(stage):
    work, commands = stage
    with pytest.raises(UserError, match="the same spec"):
        adopt.adopt(work, "length", commands("one", 2.0))
    with pytest.raises(UserError, match="no artefacts of spec 01234567"):
        adopt.adopt(work, "length", commands("two", 2.0), old="01234567")
    with pytest.raises(UserError, match="no artefacts to adopt"):
        adopt.adopt(work, "width", commands("two", 2.0))
    with pytest.raises(UserError, match="the stage failed on the sample: SyntaxError"):
        broken = commands("two", 2.0)
        (work.parent / "stage.py").write_text("def")
        adopt.adopt(work, "length", broken)


def test_what_is_gone_is_not_linked(stage):
    work, commands = stage
    for name in ("0000/a", "0000/bb", "0001/ddd"):
        (work / "length/items" / spec_of(work) / f"{name}.npy").unlink()
    new, _, linked = adopt.adopt(work, "length", commands("two", 2.0), sample=1, seed=1)
    assert linked == 2
    assert sorted(path.stem for path in (work / "length/items" / new).rglob("*.npy")) == ["cc", "eeee"]


def test_arrays_are_compared_number_by_number(tmp_path):
    def row(name, *numbers):
        with open(tmp_path / name, "wb") as stream:
            np.savez(stream, x=np.array(numbers), names=np.array(["a"]))
        return ledger.Row("v", "ok", artefact=name, sha256=name)

    old = row("old.npz", 1.0, np.nan)
    assert adopt._difference(tmp_path, old, row("new.npz", 1.25, np.nan), 0.5) == adopt.Difference("v", 0.25, "")
    assert adopt._difference(tmp_path, old, row("new.npz", 1.0, 0.0), 0.5).largest == np.inf
    assert "other arrays" in adopt._difference(tmp_path, old, row("new.npz", 1.0), 0.5).why
    (tmp_path / "old.npz").unlink()
    assert "is gone" in adopt._difference(tmp_path, old, row("new.npz", 1.0), 0.5).why


def test_a_changed_source_is_no_proof(stage):
    work, commands = stage
    changed = commands("two", 2.0)
    text = (work.parent / "stage.py").read_text().replace('suffix=".npy"', 'suffix=".npy", version=lambda v: "later"')
    (work.parent / "stage.py").write_text(text)
    with pytest.raises(UserError, match="has changed since"):
        adopt.adopt(work, "length", changed)


def test_commands_of_a_stage_that_never_ran(tmp_path):
    with pytest.raises(UserError, match="no ledgers"):
        adopt.commands("s3d", tmp_path, [])
