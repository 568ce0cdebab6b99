"""A merged file made by hand → each export, read back as its usual readers do."""

import base64
import csv
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from pipeline_lib.core import ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import Row
from pipeline_lib.store import export_npz
from pipeline_lib.store.export_objects import Format, main
from pipeline_lib.store.export_source import Names

csv.field_size_limit(sys.maxsize)
FIELDS = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
SIZES = {"-b_1": (320, 180), "a.mp4": (64, 48), "c": (64, 48)}
FRAMES = {"-b_1": 3, "a.mp4": 1, "c": 2}
K = 3


def arrays(video_id: str) -> dict[str, np.ndarray]:
    """Objects of a video; the last frame of each has one region less than K."""
    random = np.random.default_rng(sorted(SIZES).index(video_id))
    n = FRAMES[video_id]
    corners = random.random((n, K, 2, 2)) * SIZES[video_id]
    found = {
        "features": random.random((n, K, 2048), np.float32),
        "boxes": np.concatenate([corners.min(axis=2), corners.max(axis=2)], axis=2).astype(np.float32),
        "scores": random.random((n, K), np.float32),
        "labels": random.integers(1, 5, (n, K)),
    }
    for array in found.values():
        array[-1, -1] = 0
    return found


class Project:
    """A folder with objects.hdf5, sizes.json and what is exported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects, self.sizes = folder / "objects.hdf5", folder / "sizes.json"
        self.store({video_id: arrays(video_id) for video_id in SIZES})
        self.sizes.write_text(json.dumps(SIZES))

    def store(self, videos: dict[str, dict[str, np.ndarray]], step: float = 3.0, **size: int) -> None:
        with h5py.File(self.objects, "w") as store:
            store.attrs.update({"spec": "{}", "step": step, "start": 0.0})
            for video_id, parts in videos.items():
                for part, array in parts.items():
                    store[f"{video_id}/{part}"] = array
                store[video_id].attrs.update(size)

    def export(self, kind: str, out: str, **options: object) -> Path:
        if kind in ("tsv", "npz"):
            options = {"sizes": self.sizes, **options}
        main(self.objects, Format(kind), self.folder / out, **options)
        return self.folder / out

    def names(self) -> set[str]:
        return {entry.name for entry in self.folder.iterdir() if not entry.name.endswith(".lock")}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def read_tsv(path: Path) -> dict[str, dict]:
    """What tools/read_tsv.py of bottom-up attention makes of a file, but for int(image_id)."""
    found = {}
    with open(path, newline="") as stream:
        for item in csv.DictReader(stream, delimiter="\t", fieldnames=FIELDS):
            for field in FIELDS[1:4]:
                item[field] = int(item[field])
            for field in FIELDS[4:]:
                decoded = base64.decodebytes(item[field].encode("ascii"))
                item[field] = np.frombuffer(decoded, np.float32).reshape(item["num_boxes"], -1)
            found[item["image_id"]] = item
    return found


def convert_data(path: Path, wanted: list[int]) -> np.ndarray:
    """What convert_data.py of the PyTorch port makes of it: first characters dropped, lines stacked, (n, boxes, 2048)."""
    features = {}
    with open(path, "r+") as stream:
        for item in csv.DictReader(stream, delimiter="\t", fieldnames=FIELDS):
            decoded = {
                field: np.frombuffer(base64.b64decode(item[field][1:]), dtype=np.float32)
                for field in ("boxes", "features")
            }
            assert decoded["boxes"].reshape(int(item["num_boxes"]), -1).shape[1] == 4
            features[int(item["image_id"])] = decoded["features"].reshape(int(item["num_boxes"]), -1)
    return np.stack([features[number] for number in wanted])


@pytest.mark.parametrize("strict", [False, True])
def test_the_usual_reader_gets_equal_arrays_from_the_tsv(project: Project, strict: bool) -> None:
    read = read_tsv(project.export("tsv", "objects.tsv", strict_base64=strict))
    assert list(read) == ["-b_1_0", "-b_1_1", "-b_1_2", "a.mp4_0", "c_0", "c_1"]
    for image_id, item in read.items():
        video_id, _, index = image_id.rpartition("_")
        assert (item["image_w"], item["image_h"], item["num_boxes"]) == (*SIZES[video_id], K)
        for field in ("boxes", "features"):
            np.testing.assert_array_equal(item[field], arrays(video_id)[field][int(index)])


def test_the_port_s_converter_stacks_the_tsv_with_integer_ids(project: Project) -> None:
    table = project.folder / "image_ids.json"
    out = project.export("tsv", "objects.tsv", integer_ids=table)
    names = json.loads(table.read_text())
    assert names == {"0": "-b_1_0", "1": "-b_1_1", "2": "-b_1_2", "3": "a.mp4_0", "4": "c_0", "5": "c_1"}
    assert list(names) == sorted(names, key=int)
    expected = np.concatenate([arrays(video_id)["features"] for video_id in SIZES])
    np.testing.assert_array_equal(convert_data(out, [5, 0, 3]), expected[[5, 0, 3]])


def test_the_tsv_is_plain_text_without_header_or_quotes(project: Project) -> None:
    content = project.export("tsv", "objects.tsv").read_bytes()
    assert content.isascii() and b"'" not in content and b'"' not in content and b"\r" not in content
    assert [len(line.split(b"\t")) for line in content.splitlines()] == [6] * 6
    strict = project.export("tsv", "strict.tsv", strict_base64=True).read_bytes()
    assert strict == content.replace(b" ", b"")
    for line in strict.splitlines():
        assert base64.b64decode(line.split(b"\t")[5], validate=True)


def test_stored_sizes_come_before_given_ones(project: Project) -> None:
    project.store({"c": arrays("c")}, width=640, height=360)
    assert {(item["image_w"], item["image_h"]) for item in read_tsv(project.export("tsv", "o.tsv")).values()} == {
        (640, 360)
    }
    project.export("tsv", "without.tsv", sizes=None)


def test_sizes_come_from_the_stored_frames(project: Project) -> None:
    items = project.folder / "frames" / "items"
    items.mkdir(parents=True)
    rows = []
    for video_id, (width, height) in SIZES.items():
        content = json.dumps({"width": width, "height": height, "every": 3.0, "times": [0.0]}).encode()
        member = tarfile.TarInfo("index.json")
        member.size = len(content)
        with tarfile.open(items / f"{video_id}.tar", "w") as tar:
            tar.addfile(member, io.BytesIO(content))
        rows.append(Row(video_id, "ok", artefact=f"frames/items/{video_id}.tar"))
    folder = project.folder / "frames"
    ledger.write(folder / "0000.parquet", rows[:2])
    ledger.write(folder / "0001.parquet", [rows[2], Row("d", "failed", "private")])
    ledger.write(folder / "0002.parquet", [Row("c", "ok", artefact="frames/items/of_an_older_run.tar")])
    from_frames = project.export("tsv", "frames.tsv", sizes=folder).read_bytes()
    assert from_frames == project.export("tsv", "json.tsv").read_bytes()
    (items / "c.tar").unlink()
    with pytest.raises(UserError, match="width and height of video c are unknown; give --sizes"):
        project.export("tsv", "frames.tsv", sizes=folder)
    with pytest.raises(UserError, match="has no ledger with stored frames"):
        project.export("tsv", "frames.tsv", sizes=items)


def test_npz_hold_what_upstream_writes(project: Project) -> None:
    out = project.export("npz", "npz")
    assert sorted(entry.name for entry in out.iterdir()) == sorted(
        f"{video_id}_{i}.npz" for video_id, n in FRAMES.items() for i in range(n)
    )
    for video_id, n in FRAMES.items():
        given = arrays(video_id)
        for i in range(n):
            real = K if i < n - 1 else K - 1
            with np.load(out / f"{video_id}_{i}.npz", allow_pickle=True) as read:  # ours, made a moment ago
                assert read.files == ["x", "bbox", "num_bbox", "image_h", "image_w", "info"]
                np.testing.assert_array_equal(read["x"], given["features"][i, :real])
                np.testing.assert_array_equal(read["bbox"], given["boxes"][i, :real])
                assert (int(read["image_w"]), int(read["image_h"])) == SIZES[video_id]
                assert int(read["num_bbox"]) == real
                info = read["info"].item()
            np.testing.assert_array_equal(info["objects_id"], given["labels"][i, :real] - 1)
            np.testing.assert_array_equal(info["objects_conf"], given["scores"][i, :real])
            assert len(info["attrs_id"]) == len(info["attrs_conf"]) == 0
            assert (info["image_id"], info["num_boxes"]) == (f"{video_id}_{i}", real)
            assert (info["image_w"], info["image_h"]) == SIZES[video_id]


def test_npz_open_without_pickles_but_for_info_and_with_an_old_numpy(project: Project) -> None:
    path = project.export("npz", "npz") / "c_0.npz"
    with np.load(path, allow_pickle=False) as read:
        assert all(read[name] is not None for name in read.files if name != "info")
        with pytest.raises(ValueError, match="allow_pickle"):
            read["info"]
    with zipfile.ZipFile(path) as archive:
        info = archive.read("info.npy")
    assert b"numpy._core" not in info and b"numpy.core.multiarray\n_reconstruct" in info  # absent before NumPy 1.26


def test_a_frame_without_regions_is_an_empty_npz(project: Project) -> None:
    empty = {part: np.zeros_like(array) for part, array in arrays("c").items()}
    project.store({"c": empty})
    with np.load(project.export("npz", "npz") / "c_1.npz") as read:
        assert read["x"].shape == (0, 2048) and read["bbox"].shape == (0, 4) and read["num_bbox"] == 0
    assert read_tsv(project.export("tsv", "o.tsv"))["c_1"]["features"].shape == (K, 2048)
    entry = json.loads(project.export("milo", "o.json").read_text())["c"]
    assert entry["detection_class_names"] == [["__background__"] * K] * 2


def milo_objects(entry: dict, start: float, end: float, candidates: int) -> tuple[np.ndarray, list[str]]:
    """What the loader with proposals takes for a clip: box i of each frame in turn, until there are enough."""
    rows = slice(round(start * (1 / 3)), round(end * (1 / 3)) + 1)
    features, names = np.load(entry["features_path"])[rows], entry["detection_class_names"][rows]
    if len(features) == 1:
        return features[0][:candidates], names[0][:candidates]
    order = [(frame, box) for box in range(features.shape[1]) for frame in range(len(features))][:candidates]
    return np.stack([features[frame][box] for frame, box in order]), [names[frame][box] for frame, box in order]


def test_milo_s_loaders_find_objects_by_time(project: Project) -> None:
    vocabulary = project.folder / "objects_vocab.txt"
    vocabulary.write_text("Yolk\ngoal,goal post\n bathroom \nmacaroni")
    out = project.export("milo", "export/videoID2obj.json", vocabulary=vocabulary)
    table = json.loads(out.read_text())
    assert sorted(table) == sorted(SIZES)
    names = ["__background__", "yolk", "goal", "bathroom", "macaroni"]
    for video_id, entry in table.items():
        given = arrays(video_id)
        assert set(entry) == {"features_path", "bbox_path", "detection_class_names", "obj_detec_confidence"}
        features, boxes = np.load(entry["features_path"]), np.load(entry["bbox_path"])
        assert features.dtype == boxes.dtype == np.float32
        np.testing.assert_array_equal(features, given["features"])
        np.testing.assert_array_equal(boxes, given["boxes"])
        np.testing.assert_array_equal(np.float32(entry["obj_detec_confidence"]), given["scores"])
        assert entry["detection_class_names"] == [[names[label] for label in row] for row in given["labels"]]
    found, called = milo_objects(table["-b_1"], 2.5, 6.2, 3)  # rows 1 and 2
    given = arrays("-b_1")
    np.testing.assert_array_equal(found, given["features"][[1, 2, 1], [0, 0, 1]])
    assert called == [names[given["labels"][row, box]] for row, box in ((1, 0), (2, 0), (1, 1))]
    folders = {Path(entry[key]).parent for entry in table.values() for key in ("features_path", "bbox_path")}
    assert folders == {out.parent / "objects_npy", out.parent / "boxes_npy"}


def test_milo_s_folders_can_be_chosen(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    out = project.export("milo", "o.json", np_save_dir=Path("np"), bbox_save_dir=Path("bbox"))
    entry = json.loads(out.read_text())["c"]
    assert entry["features_path"] == str(project.folder / "np" / "c.npy")
    assert entry["bbox_path"] == str(project.folder / "bbox" / "c.npy")
    with pytest.raises(UserError, match="give two folders"):
        project.export("milo", "p.json", np_save_dir=Path("same"), bbox_save_dir=Path("same"))


def test_a_folder_in_place_of_the_json_leaves_no_arrays(project: Project) -> None:
    (project.folder / "out").mkdir()
    before = project.names()
    with pytest.raises(UserError, match="out is a folder; give --out the name of the JSON file"):
        project.export("milo", "out")
    assert project.names() == before


def test_milo_refuses_rows_at_other_times(project: Project) -> None:
    project.store({"c": arrays("c")}, step=1.0)
    with pytest.raises(UserError, match=r"t = 0 \+ 1·i s but MILO's loaders assume 3·i; set frames\.every"):
        project.export("milo", "o.json")


def test_class_names(tmp_path: Path) -> None:
    assert [Names(None)[label] for label in (0, 17)] == ["__background__", "class_17"]
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(b"Tram, Street Car \r\nSky\n")
    names = Names(path)
    assert [names[label] for label in (0, 1, 2)] == ["__background__", "tram", "sky"]
    with pytest.raises(UserError, match="names 2 classes but label 3 occurs"):
        names[3]
    path.write_text("tram\n\nsky\n")
    with pytest.raises(UserError, match="line 2 names no class"):
        Names(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is no list of class names"):
        Names(path)
    with pytest.raises(UserError, match="correct --vocabulary"):
        Names(tmp_path / "absent.txt")


def test_equal_input_gives_equal_bytes(project: Project) -> None:
    assert project.export("tsv", "a.tsv").read_bytes() == project.export("tsv", "b.tsv").read_bytes()
    one, other = (project.export("npz", name) for name in ("a", "b"))
    for entry in one.iterdir():
        assert entry.read_bytes() == (other / entry.name).read_bytes()
        with zipfile.ZipFile(entry) as archive:
            assert {member.date_time[0] for member in archive.infolist()} == {1980}


@pytest.mark.parametrize("kind", ["tsv", "npz", "milo"])
@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("features", np.full((2, K, 2048), np.nan, np.float32), "video c holds NaN or Inf"),
        ("boxes", np.zeros((2, K, 5), np.float32), "video c has arrays of shapes"),
        ("scores", np.zeros((1, K), np.float32), "video c has arrays of shapes"),
        ("labels", np.full((2, K), -1), "video c holds negative labels"),
    ],
)
def test_what_can_t_be_exported_leaves_nothing(
    project: Project, kind: str, part: str, value: np.ndarray, message: str
) -> None:
    project.store({"a.mp4": arrays("a.mp4"), "c": {**arrays("c"), part: value}})
    before = project.names()
    with pytest.raises(UserError, match=message):
        project.export(kind, "out")
    assert project.names() == before


def test_a_failure_in_the_middle_keeps_the_old_tsv(project: Project) -> None:
    before = project.export("tsv", "objects.tsv").read_bytes()
    names = project.names()
    project.sizes.write_text(json.dumps({"-b_1": SIZES["-b_1"]}))
    with pytest.raises(UserError, match=r"video a\.mp4 are unknown"):
        project.export("tsv", "objects.tsv", integer_ids=project.folder / "ids.json")
    assert (project.folder / "objects.tsv").read_bytes() == before
    assert project.names() == names


def test_a_failure_in_the_middle_leaves_no_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = export_npz._save, []

    def failing(path: Path, members: dict) -> None:
        calls.append(path)
        if len(calls) == 4:
            raise OSError(28, "No space left on device", str(path))
        real(path, members)

    monkeypatch.setattr(export_npz, "_save", failing)
    before = project.names()
    with pytest.raises(OSError, match="No space left"):
        project.export("npz", "npz")
    assert project.names() == before
    project.export("npz", "npz")


def test_what_killed_exports_left_is_cleared_away(project: Project) -> None:
    for name in (".00000000-npz.partial", ".00000000-other.partial"):
        (project.folder / name).mkdir()
        (project.folder / name / "half.npz").write_bytes(b"half")
    (project.folder / ".00000000-o.tsv.partial").write_bytes(b"half")
    project.export("npz", "npz")
    project.export("tsv", "o.tsv")
    assert {name for name in project.names() if name.endswith(".partial")} == {".00000000-other.partial"}


def test_folders_with_content_are_refused(project: Project) -> None:
    project.export("npz", "npz")
    with pytest.raises(UserError, match="npz exists and is not an empty folder"):
        project.export("npz", "npz")
    (project.folder / "empty").mkdir()
    assert len(list(project.export("npz", "empty").iterdir())) == 6
    with pytest.raises(UserError, match=r"sizes\.json exists and is not an empty folder"):
        project.export("npz", "sizes.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"is not \{video_id: \[width, height\]\}"),
        ("{", "is not valid JSON"),
        ('{"c": [64]}', r"c = \[64\] is not \[width, height\]"),
        ('{"c": [64.5, 48]}', r"is not \[width, height\]"),
        ('{"c": [0, 48]}', r"is not \[width, height\]"),
        ('{"c": [24, 64]}', r"has boxes up to .* in pictures of 24×64; correct --sizes"),
        ("{}", "give --sizes work/frames"),
    ],
)
def test_wrong_sizes_are_refused(project: Project, content: str, message: str) -> None:
    project.store({"c": arrays("c")})
    project.sizes.write_text(content)
    with pytest.raises(UserError, match=message):
        project.export("tsv", "o.tsv")


def test_ids_that_are_no_file_names_are_refused(project: Project) -> None:
    project.store({".hidden": arrays("c")})
    for kind in ("tsv", "npz", "milo"):
        with pytest.raises(UserError, match=r"'\.hidden' is not usable as a file name"):
            project.export(kind, "out")


@pytest.mark.parametrize(
    ("kind", "option"),
    [("tsv", "vocabulary"), ("npz", "integer_ids"), ("milo", "sizes"), ("npz", "np_save_dir")],
)
def test_options_without_use_are_refused(project: Project, kind: str, option: str) -> None:
    with pytest.raises(UserError, match=f"--{option.replace('_', '-')} has no use with --format {kind}"):
        project.export(kind, "out", **{option: project.sizes})


def test_no_videos_give_empty_exports(project: Project) -> None:
    project.store({})
    assert project.export("tsv", "o.tsv").read_bytes() == b""
    assert list(project.export("npz", "npz").iterdir()) == []
    assert json.loads(project.export("milo", "o.json").read_text()) == {}


def test_command_line(project: Project) -> None:
    app = typer.Typer()
    app.command()(main)
    out = project.folder / "o.tsv"
    words = [str(project.objects), "--format", "tsv", "--out", str(out), "--sizes", str(project.sizes)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert len(read_tsv(out)) == 6
