"""Folders of .npy and .npz files of others → merged files, as MESM's npy2hdf5 makes them, and as its loader reads them."""

import logging
import re
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from pipeline_lib.core.errors import UserError
from pipeline_lib.store import merge as module
from pipeline_lib.store import pieces
from pipeline_lib.store.layouts import Layout
from pipeline_lib.store.merge import merge_files, merge_folder
from pipeline_lib.store.pieces import Squeeze
from pipeline_lib.store.reader import FeatureFile


def rows(count: int, seed: int = 0, dim: int = 8, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).random((count, dim)).astype(dtype)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "npy"
    made.mkdir()
    for seed, name in enumerate(("s17-d69.avi", "AO8RW", "x_1_2", "über")):
        np.save(made / f"{name}.npy", rows(seed + 1, seed))
    return made


def run(*words: object) -> None:
    app = typer.Typer()
    app.command()(module.main)
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception:
        raise result.exception


def test_keys_dtype_and_shapes_are_those_of_npy2hdf5(folder: Path, tmp_path: Path) -> None:
    (folder / "feature_shapes.json").write_text("{}")
    (folder / ".hidden.npy").write_text("")
    (folder / "deeper.npy").mkdir()
    out = tmp_path / "clip_image.hdf5"
    run("--in", folder, "--out", out, "--squeeze", "all")
    with h5py.File(out, "r") as ours:
        assert sorted(ours) == sorted(["s17-d69.avi", "AO8RW", "x_1_2", "über"])
        for path in folder.glob("[!.]*[!r].npy"):
            theirs = np.load(path).squeeze()
            assert ours[path.name.removesuffix(".npy")].dtype == theirs.dtype
            np.testing.assert_array_equal(ours[path.name.removesuffix(".npy")][:], theirs)
        assert ours["s17-d69.avi"].shape == (8,)


def test_one_row_stays_2d_unless_asked_and_strays_are_counted(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "feature_shapes.json").write_text("{}")
    with caplog.at_level(logging.INFO):
        merge_folder(folder, tmp_path / "a.hdf5")
    assert "4 .npy" in caplog.text and "1 .json ignored" in caplog.text
    assert "1 video of one row stays 2-D" in caplog.text and "--squeeze all" in caplog.text
    with h5py.File(tmp_path / "a.hdf5") as store:
        assert store["s17-d69.avi"].shape == (1, 8)


@pytest.mark.parametrize(
    ("shape", "how", "stored"),
    [
        ((1, 5, 8), Squeeze.ROWS, (5, 8)),
        ((5, 8, 1, 1), Squeeze.ROWS, (5, 8)),
        ((1, 1, 8), Squeeze.ROWS, (1, 8)),
        ((5, 1), Squeeze.ROWS, (5, 1)),
        ((1, 1, 8), Squeeze.ALL, (8,)),
        ((1, 5, 8), Squeeze.NONE, (1, 5, 8)),
    ],
)
def test_axes_of_length_one(tmp_path: Path, shape: tuple[int, ...], how: Squeeze, stored: tuple[int, ...]) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "v.npy", np.ones(shape))
    merge_folder(tmp_path / "in", tmp_path / "a.hdf5", squeeze=how)
    with h5py.File(tmp_path / "a.hdf5") as store:
        assert store["v"].shape == stored


def test_npz_by_key_keep_their_shape(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "a.avi.npz", features=rows(1), other=rows(2))
    np.savez_compressed(tmp_path / "in" / "b.npz", features=rows(3), other=np.asfortranarray(rows(4)))
    merge_folder(tmp_path / "in", tmp_path / "a.hdf5")
    merge_folder(tmp_path / "in", tmp_path / "b.hdf5", key="other")
    with h5py.File(tmp_path / "a.hdf5") as first, h5py.File(tmp_path / "b.hdf5") as second:
        np.testing.assert_array_equal(first["a.avi"][:], rows(1))
        np.testing.assert_array_equal(second["b"][:], rows(4))
    with pytest.raises(UserError, match=r"a\.avi\.npz has no array 'x' but features, other; .*--key"):
        merge_folder(tmp_path / "in", tmp_path / "c.hdf5", key="x")


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f2", "u1", "<i8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_kind_of_number_comes_back(
    tmp_path: Path, dtype: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "BUFFER", 1000)  # so that most files come in parts
    (tmp_path / "in").mkdir()
    made = {f"v{n:02d}": (rows(n, n) * 9).astype(dtype) for n in (1, 30, 31, 2, 200, 3)}
    for name, array in made.items():
        np.save(tmp_path / "in" / f"{name}.npy", np.asarray(array, order=order))
    merge_folder(tmp_path / "in", tmp_path / "a.hdf5")
    merge_files([tmp_path / "a.hdf5"], tmp_path / "b.hdf5", layout=Layout.FLAT)
    with h5py.File(tmp_path / "a.hdf5") as store, FeatureFile(tmp_path / "b.hdf5") as flat:
        assert list(store) == sorted(made)
        for name, array in made.items():
            assert store[name].dtype == array.dtype
            np.testing.assert_array_equal(store[name][:], array)
            np.testing.assert_array_equal(flat.rows(name), array)
            assert flat.rows(name).dtype == array.dtype


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([[1.0, np.nan]], np.float16), "holds NaN"),
        (np.array([[1.0, -np.inf]], ">f4"), "holds NaN"),
        (np.zeros((0, 8), np.float32), "is empty"),
        (np.array([[{}]], object), "pickled"),
        (np.zeros(8, np.float32), "has shape.*; --squeeze all takes it as it is"),
        (np.zeros((2, 9), np.float32), r"\(9,\) but .*AO8RW"),
        (np.zeros((2, 8), np.float16), "float16 .* but .*AO8RW"),
    ],
)
def test_unusable_files_are_refused_by_name(folder: Path, tmp_path: Path, bad: np.ndarray, message: str) -> None:
    np.save(folder / "bad.npy", bad)
    with pytest.raises(UserError, match=message) as caught:
        merge_folder(folder, tmp_path / "out" / "a.hdf5")
    assert "bad.npy" in str(caught.value)
    assert re.search("correct (it|the one that is wrong) or take it out; if a stage made it", str(caught.value))
    assert not (tmp_path / "out" / "a.hdf5").exists()


@pytest.mark.parametrize("odd", ["a", "z"])
def test_squeeze_is_named_where_it_makes_files_unlike(tmp_path: Path, odd: str) -> None:
    """Rows of (4, 8): of the video of a single one the default drops the axis of rows."""
    for name in ("a", "z"):
        np.save(tmp_path / f"{name}.npy", np.zeros((1 if name == odd else 2, 4, 8), np.float32))
    with pytest.raises(UserError, match="--squeeze none keeps axes of length 1"):
        merge_folder(tmp_path, tmp_path / "a.hdf5")
    merge_folder(tmp_path, tmp_path / "a.hdf5", squeeze=Squeeze.NONE)


def test_truncated_files_double_ids_and_empty_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "x_1_2.npy").read_bytes()
    (folder / "x_1_2.npy").write_bytes(whole[:-7])
    with pytest.raises(UserError, match=r"x_1_2\.npy is damaged.*7 bytes are missing"):
        merge_folder(folder, tmp_path / "a.hdf5")
    (folder / "x_1_2.npy").write_bytes(whole)
    np.savez(folder / "x_1_2.npz", features=rows(1))
    with pytest.raises(UserError, match=r"both x_1_2\.npy and x_1_2\.npz"):
        merge_folder(folder, tmp_path / "a.hdf5")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \.npy or \.npz"):
        merge_folder(tmp_path / "empty", tmp_path / "a.hdf5")


@pytest.mark.parametrize("layout", Layout)
def test_nothing_is_written_when_nothing_changed(folder: Path, tmp_path: Path, layout: Layout) -> None:
    out = tmp_path / "a.hdf5"
    assert merge_folder(folder, out, layout=layout)
    before = out.stat()
    assert not merge_folder(folder, out, layout=layout)
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    np.save(folder / "x_1_2.npy", rows(3, 99))  # as large as before
    assert merge_folder(folder, out, layout=layout)
    with FeatureFile(out) as store:
        np.testing.assert_array_equal(store.rows("x_1_2"), rows(3, 99))
    assert merge_folder(folder, out, layout=layout, step=2.0)
    (folder / "x_1_2.npy").unlink()
    assert merge_folder(folder, out, layout=layout, step=2.0)


def require_chains(content: bytes) -> None:
    """The nodes of a level of the B-tree name those before and behind them, which readers that skip through it follow."""
    none = 2**64 - 1
    levels: dict[int, list[tuple[int, int, int]]] = {}
    for found in re.finditer(b"TREE", content):
        _, level, entries, left, right = struct.unpack_from("<BBHQQ", content, found.start() + 4)
        if entries:  # of the library's own, for an empty file, nothing is left but its place
            levels.setdefault(level, []).append((found.start(), left, right))
    assert len(levels[max(levels)]) == 1
    for nodes in levels.values():
        at, lefts, rights = map(list, zip(*nodes, strict=True))
        assert lefts == [none, *at[:-1]] and rights == [*at[1:], none]


@pytest.mark.parametrize("count", [1, 8, 9, 256, 257, 2100])
def test_the_index_of_names_is_what_hdf5_expects(tmp_path: Path, count: int) -> None:
    (tmp_path / "in").mkdir()
    for i in range(count):
        np.save(tmp_path / "in" / f"{i * 7919 % 100_000}.avi.npy", np.full((1, 2), i, np.int32))
    merge_folder(tmp_path / "in", tmp_path / "a.hdf5")
    names = sorted(f"{i * 7919 % 100_000}.avi" for i in range(count))
    with h5py.File(tmp_path / "a.hdf5") as store:
        assert list(store) == names
        assert all(store[f"{i * 7919 % 100_000}.avi"][0, 0] == i for i in range(count))
        assert "nobody" not in store
        assert store[names[0]].id.get_offset() % 64 == 0
    require_chains((tmp_path / "a.hdf5").read_bytes())
    with h5py.File(tmp_path / "a.hdf5", "r+") as store:  # others may add to their copy
        for i in range(50):
            store[f"more{i}"] = np.arange(3)
        del store[names[0]]
    with h5py.File(tmp_path / "a.hdf5") as store:
        assert len(store) == count + 49 and store["more7"][2] == 2
