"""Merged files → .npy, WebDataset and Parquet, and back."""

import io
import json
import logging
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from pipeline_lib.core.errors import UserError
from pipeline_lib.store import split as module
from pipeline_lib.store import split_formats
from pipeline_lib.store.layouts import Layout
from pipeline_lib.store.merge import merge_folder
from pipeline_lib.store.split import Format, split

ARRAYS = {
    name: np.random.default_rng(n).random((n, 6)).astype(np.float16)
    for name, n in {"s17-d69.avi": 7, "a": 1, "b_2": 40}.items()
}


@pytest.fixture(params=list(Layout))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name, array in ARRAYS.items():
        np.save(tmp_path / "in" / f"{name}.npy", array)
    merge_folder(tmp_path / "in", tmp_path / "a.hdf5", step=1.5, start=0.5, layout=request.param)
    return tmp_path / "a.hdf5"


def test_npy_are_the_files_that_were_merged(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_formats, "BUFFER", 30)  # a few rows at a time
    assert split(store, tmp_path / "out", Format.NPY) == 3
    for path in (tmp_path / "in").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(UserError, match="not an empty folder"):
        split(store, tmp_path / "out", Format.NPY)


@pytest.mark.parametrize("escape", [False, True])
def test_webdataset_has_an_array_and_its_description(
    store: Path, tmp_path: Path, escape: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        split(store, tmp_path / "out", Format.WEBDATASET, shard_bytes=100, escape_dots=escape)
    assert ("--escape-dots" in caplog.text) is not escape
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["00000.tar", "00001.tar", "00002.tar"]
    read = {}
    for path in sorted((tmp_path / "out").iterdir()):
        with tarfile.open(path) as archive:
            members = {member.name: archive.extractfile(member).read() for member in archive}
        for name, content in members.items():
            if name.endswith(".json"):
                told = json.loads(content)
                assert (told["step"], told["start"], told["dtype"]) == (1.5, 0.5, "<f2")
                read[told["id"]] = np.load(io.BytesIO(members[name.removesuffix("json") + "npy"]))
                assert name == (f"{told['id'].replace('.', '%2E')}.json" if escape else f"{told['id']}.json")
    assert set(read) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)


def test_parquet_has_a_row_per_row(store: Path, tmp_path: Path) -> None:
    split(store, tmp_path / "out", Format.PARQUET)
    table = pq.read_table(tmp_path / "out")
    assert table.column_names == ["id", "row", "start", "step", "features"]
    rows = table.to_pydict()
    for name, array in ARRAYS.items():
        mine = [i for i, other in enumerate(rows["id"]) if other == name]
        np.testing.assert_array_equal(np.array([rows["features"][i] for i in mine], np.float16), array)
        assert [rows["start"][i] for i in mine] == [0.5 + 1.5 * i for i in range(len(array))]
    assert pq.read_schema(tmp_path / "out" / "00000.parquet").metadata[b"spec"] == b"{}"


@pytest.mark.parametrize("kind", Format)
def test_equal_features_give_equal_bytes(store: Path, tmp_path: Path, kind: Format) -> None:
    for name in ("one", "two"):
        split(store, tmp_path / name, kind)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_all_is_on_the_disk_before_the_folder_has_its_name(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    replace = os.replace
    monkeypatch.setattr(os, "sync", lambda: done.append(len(list(tmp_path.glob(".*-out.partial/*.npy")))))
    monkeypatch.setattr(os, "replace", lambda *of: (done.append("renamed"), replace(*of)))
    split(store, tmp_path / "out", Format.NPY)
    assert done == [len(ARRAYS), "renamed"]


def test_a_folder_is_no_merged_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; give a merged HDF5 file"):
        split(tmp_path, tmp_path / "out", Format.NPY)


def test_command_line(store: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(module.main)
    words = ["--in", str(store), "--out", str(tmp_path / "out"), "--format", "npy"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}.npy" for name in ARRAYS}
