"""Merged files in both layouts → what training loaders read of them, in processes of every kind."""

import logging
import multiprocessing
import operator
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import typer
from torch.utils.data import DataLoader
from typer.testing import CliRunner

from pipeline_lib.core import ids, ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import Row
from pipeline_lib.store import merge as merging
from pipeline_lib.store.features import Features
from pipeline_lib.store.layouts import Layout
from pipeline_lib.store.merge import merge, merge_files, merge_folder
from pipeline_lib.store.reader import FeatureFile, ObjectFile

LENGTHS = {"a.avi": 5, "b": 1, "c_1": 9, "features": 3}


def array(video_id: str, dim: int) -> np.ndarray:
    return np.random.default_rng(len(video_id) + dim).random((LENGTHS[video_id], dim)).astype(np.float16)


@pytest.fixture(params=list(Layout))
def layout(request: pytest.FixtureRequest) -> Layout:
    return request.param


@pytest.fixture
def stores(tmp_path: Path, layout: Layout) -> list[Path]:
    """Two merged files, 4 and 6 columns; the second has a row less of c_1, and no video b."""
    made = []
    for dim in (4, 6):
        folder = tmp_path / f"npy{dim}"
        folder.mkdir()
        for video_id in LENGTHS:
            if (video_id, dim) != ("b", 6):
                np.save(folder / f"{video_id}.npy", array(video_id, dim)[: 8 if dim == 6 else None])
        made.append(tmp_path / f"{dim}.hdf5")
        merge_folder(folder, made[-1], step=0.5, layout=layout)
    return made


def test_a_file_reads_alike_in_both_layouts(stores: list[Path]) -> None:
    with FeatureFile(stores[0]) as store:
        assert store.ids == sorted(LENGTHS) and len(store) == 4 and store.step == 0.5
        for video_id in LENGTHS:
            np.testing.assert_array_equal(store.rows(video_id), array(video_id, 4))
        np.testing.assert_array_equal(store.rows("c_1", 2, 4), array("c_1", 4)[2:4])
        np.testing.assert_array_equal(store.rows("c_1", -2), array("c_1", 4)[-2:])
        assert store.rows("c_1", 7, 3).shape == (0, 4) and store.rows("c_1", 50).shape == (0, 4)
        store.rows("b")[:] = 0  # an array of its own
        np.testing.assert_array_equal(store.rows("b"), array("b", 4))
        with pytest.raises(UserError, match="no video nobody"):
            store.rows("nobody")
    with pytest.raises(ValueError, match="was closed"):
        store.rows("b")


def test_a_link_to_another_file_gives_that_file_s_rows(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "one.hdf5", "w") as file:
        file["padding"], file["a"] = np.arange(1000.0), np.full((3, 2), 7.0)
    with h5py.File(tmp_path / "linked.hdf5", "w") as file:
        file.attrs.update({"spec": "{}", "step": 1.0, "start": 0.0})
        file["0"], file["a"] = np.zeros((5000, 2)), h5py.ExternalLink("one.hdf5", "/a")
    with FeatureFile(tmp_path / "linked.hdf5") as store:
        assert store.rows("a").tolist() == [[7, 7]] * 3


def test_files_side_by_side_as_mesm_s_loader_joins_them(stores: list[Path]) -> None:
    with Features(stores, normalise=True) as features:
        assert features.ids == ["a.avi", "c_1", "features"] and "b" not in features
        assert features.length("c_1") == 8
        parts = [array("c_1", dim)[:8].astype(np.float32) for dim in (4, 6)]
        wanted = np.concatenate([part / (np.linalg.norm(part, axis=1, keepdims=True) + 1e-5) for part in parts], axis=1)
        np.testing.assert_allclose(features["c_1"], wanted, rtol=1e-6)
        np.testing.assert_allclose(features.rows("c_1", -3, 20), wanted[-3:], rtol=1e-6)
        assert features["c_1"].dtype == np.float32
    with Features(stores[:1], dtype=None) as stored:
        assert stored["b"].dtype == np.float16
    with pytest.raises(UserError, match="at least one"):
        Features([])


def test_normalised_zeros_stay_zeros(tmp_path: Path, layout: Layout) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "v.npy", np.zeros((2, 3)))
    merge_folder(tmp_path / "in", tmp_path / "a.hdf5", layout=layout)
    with Features([tmp_path / "a.hdf5"], normalise=True) as features:
        assert (features["v"] == 0).all()


class Videos:
    """A map-style dataset."""

    def __init__(self, features: Features) -> None:
        self.features = features

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.features[self.features.ids[i]]


def test_workers_of_a_data_loader_read_what_their_parent_reads(stores: list[Path]) -> None:
    with Features(stores) as features:
        features["c_1"]  # opened before the fork
        read = list(DataLoader(Videos(features), batch_size=None, num_workers=2, multiprocessing_context="fork"))
        for video_id, rows in zip(features.ids, read, strict=True):
            np.testing.assert_array_equal(rows, features[video_id])


def test_spawned_processes_open_the_files_for_themselves(stores: list[Path]) -> None:
    spawned = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    with Features(stores) as features, spawned as pool:
        read = pool.map(operator.getitem, [features] * len(features.ids), features.ids)
        for video_id, rows in zip(features.ids, read, strict=True):
            np.testing.assert_array_equal(rows, features[video_id])


def test_pickles_hold_no_open_file(stores: list[Path]) -> None:
    with FeatureFile(stores[0]) as store:
        again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.rows("c_1"), array("c_1", 4))
    again.close()


def test_layouts_turn_into_each_other(tmp_path: Path, stores: list[Path], layout: Layout) -> None:
    other = Layout.FLAT if layout is Layout.VIDEOS else Layout.VIDEOS
    assert merge_files([stores[0]], tmp_path / "other.hdf5", layout=other)
    assert not merge_files([stores[0]], tmp_path / "other.hdf5", layout=other)
    merge_files([tmp_path / "other.hdf5"], tmp_path / "again.hdf5", layout=layout)
    assert (tmp_path / "again.hdf5").read_bytes() == stores[0].read_bytes()
    with pytest.raises(UserError, match="another --out"):
        merge_files([stores[0]], stores[0], layout=other)


def test_files_of_other_videos_become_what_one_merge_of_all_would_be(tmp_path: Path, layout: Layout) -> None:
    parts = {"whole": "cbad", "one": "bd", "two": "ca", "again": "xa", "later": "y", "wider": "z"}
    for name, ids_there in parts.items():
        (tmp_path / name).mkdir()
        for video_id in ids_there:
            np.save(tmp_path / name / f"{video_id}.npy", np.full((2, 6 if name == "wider" else 4), ord(video_id), "f4"))
        step = 2.0 if name == "later" else 1.5
        merge_folder(tmp_path / name, tmp_path / f"{name}.hdf5", step=step, layout=layout)

    def join(*names: str) -> str:
        inputs = [word for name in names for word in ("--in", str(tmp_path / f"{name}.hdf5"))]
        app = typer.Typer()
        app.command()(merging.main)
        done = CliRunner().invoke(app, [*inputs, "--out", str(tmp_path / "out.hdf5"), "--layout", layout])
        return str(done.exception)

    assert join("one", "two") == "None"
    assert (tmp_path / "out.hdf5").read_bytes() == (tmp_path / "whole.hdf5").read_bytes()
    assert "two.hdf5 and " in join("two", "again") and "both have a; leave" in join("two", "again")
    assert "have unlike step (2.0, 1.5)" in join("one", "later")
    assert "wider.hdf5 holds float32 rows of (6,) but" in join("one", "wider")
    assert (tmp_path / "out.hdf5").read_bytes() == (tmp_path / "whole.hdf5").read_bytes()


def test_the_flat_layout_opens_with_plain_h5py(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for video_id in LENGTHS:
        np.save(tmp_path / "in" / f"{video_id}.npy", array(video_id, 4))
    merge_folder(tmp_path / "in", tmp_path / "a.hdf5", layout=Layout.FLAT)
    with h5py.File(tmp_path / "a.hdf5") as store:
        names = [name.decode() for name in store["ids"]]
        assert names == sorted(LENGTHS) and store.attrs["layout"] == "flat"
        i, offsets = names.index("c_1"), store["offsets"][:]
        np.testing.assert_array_equal(store["features"][offsets[i] : offsets[i + 1]], array("c_1", 4))
        assert store["features"].chunks is None


def test_unknown_steps_and_files_of_others_are_told(tmp_path: Path, stores: list[Path]) -> None:
    merge_folder(tmp_path / "npy4", tmp_path / "a.hdf5")
    with FeatureFile(tmp_path / "a.hdf5") as store, pytest.raises(UserError, match="merge it again with --step"):
        _ = store.step
    with pytest.raises(UserError, match="does not hold a group"):
        ObjectFile(stores[0])
    with h5py.File(tmp_path / "foreign.hdf5", "w") as foreign:
        foreign["v"] = np.ones((2, 2))
    with pytest.raises(UserError, match="not a file of this pipeline"):
        Features([tmp_path / "foreign.hdf5"])


def test_a_stage_is_left_alone_while_its_ledgers_say_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, out = tmp_path / "work" / "s3d", tmp_path / "s3d.hdf5"
    (stage / "items" / "1a2b3c4d").mkdir(parents=True)
    (stage / "items" / "1a2b3c4d" / "spec.json").write_text("{}\n")

    def fill(seed: int) -> None:
        rows: list[list[Row]] = [[], []]
        for video_id in LENGTHS:
            path = stage / "items" / "1a2b3c4d" / f"{video_id}.npy"
            np.save(path, array(video_id, 4) + seed)
            name, size = str(path.relative_to(tmp_path / "work")), path.stat().st_size
            row = Row(video_id, "ok", artefact=name, bytes=size, sha256=f"{seed}" * 64, spec="1a2b3c4d")
            rows[ids.shard_of(video_id, 2)].append(row)
        for shard in range(2):
            ledger.write(stage / f"{ids.shard_name(shard)}.parquet", rows[shard])

    fill(0)
    for layout in (Layout.VIDEOS, Layout.FLAT):
        with caplog.at_level(logging.INFO):
            assert merge(stage, 2, out, step=1.6, start=0, layout=layout)
            assert not merge(stage, None, out, step=1.6, start=0, layout=layout)
        assert "nothing written" in caplog.text
        with monkeypatch.context() as changed:  # code of the merge: a file that it would write alike stays
            changed.setattr(merging, "fingerprint", lambda module: "f" * 16)
            assert not merge(stage, 2, out, step=1.6, start=0, layout=layout)
            with h5py.File(out, "r+") as store:  # as an older version with a fault may have written it
                store["features" if layout is Layout.FLAT else min(LENGTHS)][0, 0] = -1
            assert merge(stage, 2, out, step=1.6, start=0, layout=layout)
            assert not merge(stage, 2, out, step=1.6, start=0, layout=layout)
    assert merge(stage, None, out, step=1.7, start=0)
    fill(1)
    assert merge(stage, None, out, step=1.7, start=0)
    (stage / "0002.parquet").write_bytes((stage / "0001.parquet").read_bytes())
    with pytest.raises(UserError, match=r"3 ledgers, but .* --shards"):
        merge(stage, None, out, step=1.7, start=0)
