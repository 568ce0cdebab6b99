"""Stage folders made by hand → merged HDF5 files and what readers see in them."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from pipeline_lib.core import ids, ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import Row
from pipeline_lib.store import layouts
from pipeline_lib.store import merge as module
from pipeline_lib.store.merge import merge
from pipeline_lib.store.reader import FeatureFile, ObjectFile

SPEC = "1a2b3c4d"
CONTENT = '{"stage":"s3d"}'


class Stage:
    """A stage folder whose artefacts are arrays of our choice."""

    def __init__(self, work: Path, shards: int = 2) -> None:
        self.folder, self.shards = work / "s3d", shards
        self.rows: dict[str, Row] = {}
        (self.folder / "items" / SPEC).mkdir(parents=True)
        (self.folder / "items" / SPEC / "spec.json").write_text(CONTENT + "\n")

    def add(self, video_id: str, content: np.ndarray | dict[str, np.ndarray], spec: str = SPEC) -> Path:
        shard = ids.shard_name(ids.shard_of(video_id, self.shards))
        path = self.folder / "items" / spec / shard / f"{video_id}.np{'z' if isinstance(content, dict) else 'y'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            np.savez(path, **content)
        else:
            np.save(path, content)
        name = str(path.relative_to(self.folder.parent))
        self.rows[video_id] = Row(video_id, "ok", artefact=name, bytes=path.stat().st_size, spec=spec)
        return path

    def merge(self, out: Path, step: float = 1.6, start: float = 0.0) -> Path:
        for shard in range(self.shards):
            rows = [row for row in self.rows.values() if ids.shard_of(row.video_id, self.shards) == shard]
            ledger.write(self.folder / f"{ids.shard_name(shard)}.parquet", rows)
        merge(self.folder, self.shards, out, step=step, start=start)
        return out


def features(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, 8), dtype=np.float32)


def objects(frames: int) -> dict[str, np.ndarray]:
    return {
        "features": np.ones((frames, 3, 16), np.float16),
        "boxes": np.full((frames, 3, 4), 5, np.float32),
        "scores": np.full((frames, 3), 0.5, np.float32),
        "labels": np.arange(frames * 3, dtype=np.int64).reshape(frames, 3),
    }


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "work")


def test_features_come_back_by_id_and_by_row(stage: Stage, tmp_path: Path) -> None:
    stage.add("video_b", features(5, 1))
    stage.add("s17-d69.avi", features(1, 2))
    stage.rows["video_c"] = Row("video_c", "failed", "private", spec=SPEC)
    out = stage.merge(tmp_path / "s3d.hdf5", step=1.6, start=0.8)
    with FeatureFile(out) as store:
        assert store.ids == ["s17-d69.avi", "video_b"]
        assert len(store) == 2
        assert (store.spec, store.step, store.start) == (CONTENT, 1.6, 0.8)
        assert "video_b" in store and "video_c" not in store and "." not in store
        np.testing.assert_array_equal(store.rows("video_b"), features(5, 1))
        np.testing.assert_array_equal(store.rows("video_b", 1, 3), features(5, 1)[1:3])
        np.testing.assert_array_equal(store.rows("video_b", -2), features(5, 1)[-2:])
        assert store.rows("video_b", 4, 2).shape == (0, 8)
        assert store.rows("s17-d69.avi").shape == (1, 8)
        with pytest.raises(UserError, match=r"s3d\.hdf5 has no video video_c"):
            store.rows("video_c")


def test_other_programs_read_it_with_plain_h5py(stage: Stage, tmp_path: Path) -> None:
    stage.add("video_a", features(4))
    with h5py.File(stage.merge(tmp_path / "s3d.hdf5"), "r") as store:  # as MESM's loader does (specs: mesm §1)
        np.testing.assert_array_equal(store["video_a"][:], features(4))
        assert list(store) == ["video_a"]
        assert store["video_a"].chunks is None and store["video_a"].compression is None
        assert store.attrs["spec"] == CONTENT


def test_objects_become_a_group_each(stage: Stage, tmp_path: Path) -> None:
    stage.add("video_a", objects(2))
    stage.add("video_b", objects(1))
    out = stage.merge(tmp_path / "objects.hdf5", step=3)
    with ObjectFile(out) as store:
        assert store.ids == ["video_a", "video_b"]
        read = store.read("video_a")
        assert list(read) == ["features", "boxes", "scores", "labels"]
        for part, array in objects(2).items():
            np.testing.assert_array_equal(read[part], array)
            assert read[part].dtype == array.dtype
        assert "video_a/boxes" not in store
        with pytest.raises(UserError, match="no video nobody"):
            store.read("nobody")
    with pytest.raises(UserError, match="does not hold one array"):
        FeatureFile(out)


def test_equal_artefacts_give_equal_bytes(tmp_path: Path) -> None:
    made = []
    for name, shards, order in (("a", 1, 1), ("b", 1, 1), ("c", 5, -1)):
        stage = Stage(tmp_path / name, shards)
        for i in range(40)[::order]:
            stage.add(f"video_{i:02d}", features(i % 7 + 1, i))
        made.append(stage.merge(tmp_path / f"{name}.hdf5").read_bytes())
    assert made[0] == made[1] == made[2]


def test_failed_videos_only_give_an_empty_file(stage: Stage, tmp_path: Path) -> None:
    stage.rows["video_a"] = Row("video_a", "failed", "private", spec=SPEC)
    with FeatureFile(stage.merge(tmp_path / "s3d.hdf5")) as store:
        assert store.ids == [] and store.spec == CONTENT


def test_mixed_specs_are_named_with_an_id_of_each(stage: Stage, tmp_path: Path) -> None:
    stage.add("video_a", features(2))
    stage.add("video_b", features(2), spec="99999999")
    with pytest.raises(UserError, match=f"{SPEC} .*video_a.* 99999999 .*video_b"):
        stage.merge(tmp_path / "s3d.hdf5")


NOT_FINITE = np.array([[1.0, np.nan]], np.float32)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (NOT_FINITE, "NaN"),
        (np.array([[1.0, np.inf]], np.float16), "NaN"),
        (np.zeros((0, 8), np.float32), "is empty"),
        (np.zeros(8, np.float32), "has shape"),
        (np.array([[{}]], object), "pickled"),
        (np.array([["text"]]), "not numbers"),
        (np.zeros((2, 9), np.float32), r"\(9,\) but .*video_a.npy holds .*\(8,\)"),
        (np.zeros((2, 8), np.float16), "float16 .*but .*video_a.npy holds float32"),
        (objects(2), "video_a.npy holds float32"),
        ({"features": np.zeros((1, 3, 2))}, "has no boxes, scores, labels"),
        ({**objects(2), "scores": np.ones((1, 3))}, "different lengths"),
        ({**objects(1), "boxes": NOT_FINITE[None]}, r"\(boxes\) holds NaN"),
    ],
)
def test_unusable_artefacts_are_refused_by_name(
    stage: Stage, tmp_path: Path, bad: np.ndarray | dict[str, np.ndarray], message: str
) -> None:
    stage.add("video_a", features(3))
    path = stage.add("video_b", bad)
    with pytest.raises(UserError, match=message) as caught:
        stage.merge(tmp_path / "out" / "s3d.hdf5")
    assert path.name in str(caught.value) and "run its stage again" in str(caught.value)
    assert not [entry for entry in (tmp_path / "out").iterdir() if not entry.name.endswith(".lock")]


def test_missing_and_changed_artefacts_are_found_before_anything_is_written(stage: Stage, tmp_path: Path) -> None:
    path = stage.add("video_a", features(3))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"video_a\.npy has 223 bytes, its ledger says 224"):
        stage.merge(tmp_path / "s3d.hdf5")
    path.unlink()
    with pytest.raises(UserError, match=r"video_a\.npy is missing"):
        stage.merge(tmp_path / "s3d.hdf5")


@pytest.mark.parametrize("content", [b"", b"html", b"\x93NUMPY\x01\x00"])
def test_damaged_artefacts_are_refused(stage: Stage, tmp_path: Path, content: bytes) -> None:
    path = stage.add("video_a", features(3))
    path.write_bytes(content + b" " * (path.stat().st_size - len(content)))
    with pytest.raises(UserError, match=r"video_a\.npy is damaged"):
        stage.merge(tmp_path / "s3d.hdf5")


def test_a_failure_in_the_middle_keeps_the_old_file_and_leaves_no_other(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(6):
        stage.add(f"video_{i}", features(3, i))
    out = tmp_path / "out" / "s3d.hdf5"
    real, calls = layouts.FileSink.write, []

    def failing(self: layouts.FileSink, offset: int, buffers: list[memoryview]) -> None:
        calls.append(offset)
        if len(calls) == 1:
            raise OSError(28, "No space left on device", str(out))
        real(self, offset, buffers)

    monkeypatch.setattr(layouts.FileSink, "write", failing)
    with pytest.raises(OSError, match="No space left"):
        stage.merge(out)
    assert [entry.name for entry in out.parent.iterdir()] in ([], [f".{out.name}.lock"])
    stage.merge(out)
    before = out.read_bytes()
    stage.add("video_6", features(3, 6))
    calls.clear()
    with pytest.raises(OSError, match="No space left"):
        stage.merge(out)
    assert out.read_bytes() == before


def test_what_a_killed_merge_left_is_cleared_away(stage: Stage, tmp_path: Path) -> None:
    stage.add("video_a", features(3))
    mine, other = tmp_path / ".00000000-s3d.hdf5.partial", tmp_path / ".00000000-objects.hdf5.partial"
    mine.write_bytes(b"half")
    other.write_bytes(b"half")
    stage.merge(tmp_path / "s3d.hdf5")
    assert not mine.exists() and other.exists()


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        FeatureFile(tmp_path / "absent.hdf5")
    text = tmp_path / "text.hdf5"
    text.write_text("not HDF5")
    with pytest.raises(UserError, match="not a readable HDF5 file"):
        FeatureFile(text)
    with h5py.File(tmp_path / "foreign.hdf5", "w") as store:
        store["video_a"] = features(2)
    with pytest.raises(UserError, match="no attribute spec, step, start"):
        FeatureFile(tmp_path / "foreign.hdf5")


def test_command_line(stage: Stage, tmp_path: Path) -> None:
    stage.add("video_a", features(3))
    out = stage.merge(tmp_path / "a.hdf5", step=1.6, start=0)
    app = typer.Typer()
    app.command()(module.main)
    words = ["--ledgers", str(stage.folder), "--shards", "2", "--step", "1.6", "--start", "0", "--out"]
    result = CliRunner().invoke(app, [*words, str(tmp_path / "b.hdf5")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "b.hdf5").read_bytes() == out.read_bytes()
