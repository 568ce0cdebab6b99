import json

import h5py
import numpy as np
import pytest
from original import BOXES, DIM, SEGMENTS, SENTENCES, Original, opened

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import evaluation_items, training_items
from pipeline_lib.coref.inputs import Moments

OPTIONS = Coref.model_validate({"data": {"n_pair": 6, "look_window": 1, "max_words": 5}})
PLAIN = Moments.identity(2 * DIM, DIM)


@pytest.fixture
def original(tmp_path):
    return Original(tmp_path)


def change(path, edit):
    table = json.loads(path.read_text())
    edit(table)
    path.write_text(json.dumps(table))
    return path


def left_out(out):
    return files.read_json(out / "left_out.json")


def unit(rows):
    pooled = rows.astype("f4").max(axis=0)
    return pooled / np.linalg.norm(pooled)


def expected_clip(folder, name, start, end):
    flat, deep = (np.load(folder / kind / f"{name}.npy") for kind in ("2d", "3d"))
    slices = flat[int(start * 1) : int(end * 1) + 1], deep[int(start * 1.5) : int(end * 1.5) + 1]
    return np.concatenate([unit(rows) for rows in slices])


class Recorded:
    """Choices that are all made beforehand: segments in order, the last text of the window, the last objects."""

    def choice(self, a, size=None, replace=True):
        if isinstance(a, int):
            return np.arange(size)
        return a[-1] if size is None else np.asarray(a)[-size:]


def test_training_pairs_are_the_original_rows(original, tmp_path):
    out = original.convert(train=original.training())
    table = files.read_json(tmp_path / "train.json")
    with opened(out, OPTIONS) as inputs:
        assert inputs.videos("train") == ["train0", "train1"] and not left_out(out)
        for name in table:
            pairs = training_items.draw(inputs, name, PLAIN, Recorded())
            segments = list(table[name].values())
            for place, (start, end) in enumerate(SEGMENTS):
                assert np.allclose(
                    pairs.clips[place], expected_clip(tmp_path / "train_feats", name, start, end), atol=1e-6
                )
                window = segments[max(0, place - 1) : place + 2]
                kept = [
                    np.load(tmp_path / s["features_path"])[np.array(s["obj_detec_confidence"]) >= 0.6] for s in window
                ]
                kept = np.concatenate(kept)
                chosen = kept[-5:] if len(kept) >= 5 else np.load(tmp_path / segments[place]["features_path"])[:5]
                assert np.array_equal(pairs.objects[place], chosen)
                assert np.array_equal(pairs.words[place], inputs.sentence(window[-1]["text"]))


def test_an_end_that_start_plus_duration_would_miss(original, tmp_path):
    """0.13 + (4/3 - 0.13) is a little less than 4/3, and row 1 in place of row 2."""
    start, end = 0.13, 4 / 3
    assert int((start + (end - start)) * 1.5) == 1 and int(end * 1.5) == 2
    out = original.convert(train=original.training(1, [(start, end), (end + 1.0, end + 9.0)]))
    with opened(out, OPTIONS) as inputs:
        pairs = training_items.draw(inputs, "train0", PLAIN, Recorded())
    assert np.allclose(pairs.clips[0], expected_clip(tmp_path / "train_feats", "train0", start, end), atol=1e-6)


def test_clips_are_pooled_over_all_their_rows(original, tmp_path):
    out = original.convert(val=original.clips("val"), test=original.clips("test"))
    with opened(out, OPTIONS) as inputs:
        found, _ = evaluation_items.items(inputs, "val", "without_proposals", PLAIN, OPTIONS.evaluation)
    assert [item.video_id for item in found] == ["val_clip0", "val_clip1"]
    one, three = found
    assert np.allclose(one.clips[0], expected_clip(tmp_path / "clip_feats", "val_clip0", 0, 99), atol=1e-6)
    assert one.labels.tolist() == [[True, False, False]] and three.labels.tolist() == [[False, False, True]]
    assert one.sentences == SENTENCES
    frames = np.load(tmp_path / "clip_objects/val_clip1.npy")
    assert np.array_equal(three.objects[0], frames[[0, 1, 2, 0, 1], [0, 0, 0, 1, 1]])
    assert np.array_equal(one.objects[0], np.load(tmp_path / "clip_objects/val_clip0.npy")[0, :5])
    assert (out / "objects_vocab.txt").read_text() == "boat\ntruck\n"
    with h5py.File(out / "objects.hdf5") as file:
        assert file["val_clip0/labels"][0].tolist() == [2] * 5 + [1] * 5


def test_proposals_take_the_original_rows(original, tmp_path):
    """Round goes half to even: 4.5 s is row 1.5 → 2, 13.5 s is row 4.5 → 4."""
    out = original.convert(val=original.videos("val"), eval_features=tmp_path / "video_feats")
    with opened(out, OPTIONS) as inputs:
        found, _ = evaluation_items.items(inputs, "val", "with_proposals", PLAIN, OPTIONS.evaluation)
    item = found[0]
    assert item.intervals.tolist() == [[0, 4.5], [4.5, 13.5], [13.5, 20.25], [20.25, 40]]
    for clip, (start, end) in zip(item.clips, item.intervals, strict=True):
        assert np.allclose(clip, expected_clip(tmp_path / "video_feats", "val_video0", start, end), atol=1e-6)
    frames = np.load(tmp_path / "video_objects/val_video0.npy")
    for objects, (first, last) in zip(item.objects, [(0, 2), (2, 4), (4, 7), (7, 11)], strict=True):
        in_turn = [frames[j, i] for i in range(5) for j in range(first, last + 1)]
        assert np.array_equal(objects, np.stack(in_turn[:5]))
    assert item.labels.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_paths_that_moved(original, tmp_path):
    def elsewhere(table):
        for segments in table.values():
            for segment in segments.values():
                segment["features_path"] = "/kiwi/data/" + segment["features_path"]

    path = change(original.training(), elsewhere)
    with pytest.raises(UserError, match=r"no video could be used, nothing is written: train0 .*give --root or --moved"):
        original.convert(train=path)
    out = original.convert(train=path, moved=[f"/kiwi/data={tmp_path}"])
    assert not left_out(out)
    with pytest.raises(UserError, match="OLD=NEW"):
        original.convert(train=path, moved=["/kiwi"])


def test_nothing_is_left_where_no_video_could_be_used(original, tmp_path, caplog):
    path = original.training(videos=7)
    good = path.read_text()
    for unusable in ("{}", json.dumps({name: [] for name in json.loads(good)})):
        path.write_text(unusable)
        with pytest.raises(UserError, match="no video could be used, nothing is written"):
            original.convert(train=path)
        assert not (tmp_path / "ours").exists()
    assert "left out: 2 more, nothing is written" in caplog.text
    path.write_text(good)
    out = original.convert(train=path)
    before = {one.name: one.read_bytes() for one in out.iterdir()}
    path.write_text(unusable)
    with pytest.raises(UserError, match="no video could be used"):
        original.convert(train=path)
    assert {one.name: one.read_bytes() for one in out.iterdir()} == before


def pickled(path):
    np.save(path, np.array([{}], object), allow_pickle=True)


def half_a_file(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (pickled, "damaged, pickled or no .npy file"),
        (half_a_file, "damaged, pickled or no .npy file"),
        (lambda path: path.write_bytes(b"hello"), "damaged, pickled or no .npy file"),
        (lambda path: np.savez(path.open("wb"), x=np.zeros(3)), "an .npz archive"),
        (lambda path: np.save(path, np.zeros((BOXES, DIM + 1), "f4")), "has shape (10, 9), not (any, 8)"),
        (lambda path: np.save(path, np.zeros((BOXES - 1, DIM), "f4")), "different numbers of objects"),
        (lambda path: np.save(path, np.zeros((BOXES, DIM), "i4")), "not floating point"),
        (lambda path: np.save(path, np.full((BOXES, DIM), np.nan, "f4")), "NaN or Inf"),
    ],
)
def test_a_bad_file_leaves_out_its_video_alone(original, tmp_path, damage, reason):
    path = original.training()
    damage(tmp_path / "train_objects/train0_3.npy")
    out = original.convert(train=path)
    assert list(files.read_json(out / "vid2article_master_filtered.json")) == ["train1"]
    assert list(left_out(out)["train"]) == ["train0"]
    assert reason in left_out(out)["train"]["train0"]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda s: s.pop("text"), "text is missing"),
        (lambda s: s.update(end_sec=-1.0), "end_sec = -1.0"),
        (lambda s: s.update(start_sec=99.0), "before its start"),
        (lambda s: s.update(start_sec=float("nan")), "not JSON compliant"),
        (lambda s: s.update(text="\ud800"), "surrogates not allowed"),
        (lambda s: s.update(obj_detec_confidence=[0.5]), "1 confidences for 10 objects"),
        (lambda s: s.update(features_path="a\0b"), "does not exist"),
        (lambda s: s.update(features_path="x" * 300), "no .npy file (File name too long)"),
    ],
)
def test_a_bad_segment_leaves_out_its_video_alone(original, edit, reason):
    path = change(original.training(), lambda table: edit(table["train0"][str((3.1 + 7.35) / 2)]))
    out = original.convert(train=path)
    assert list(files.read_json(out / "vid2article_master_filtered.json")) == ["train1"]
    assert reason in left_out(out)["train"]["train0"]


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([["sentence", "event"]], "should be a list of [[start, end], sentence]"),
        ([[[1.0, 2.0], "Nobody wrote this."]], "no sentence of the article reads"),
        ([[[1.0, 2.0], 3]], "sentence 3 of 3"),
        ([[[2.0, 1.0], 0]], "before its start"),
        ([[[0, 10**400], 0]], "end"),
    ],
)
def test_pairs_that_cannot_be_read(original, tmp_path, pairs, reason):
    path = change(original.videos("val"), lambda table: table["val_video0"].update(event_coreference_text=pairs))
    out = original.convert(val=path, eval_features=tmp_path / "video_feats")
    assert reason in left_out(out)["val"]["val_video0"]
    assert list(files.read_json(out / "annotations.json")) == ["val_video1"]


def test_names_that_are_no_ids_get_one_and_no_path_leads_out(original, tmp_path):
    def rename(table):
        table["Fire  in: Rome & Paris"] = table.pop("train0")
        table["../../etc/passwd"] = table["train1"]

    path = change(original.training(), rename)
    for kind in ("2d", "3d"):
        (tmp_path / f"train_feats/{kind}/train0.npy").rename(
            tmp_path / f"train_feats/{kind}/Fire  in: Rome & Paris.npy"
        )
    out = original.convert(train=path)
    titles = {entry["title"] for entry in files.read_json(out / "vid2article_master_filtered.json").values()}
    assert titles == {"Fire  in: Rome & Paris", "train1"}
    assert left_out(out)["train"] == {"../../etc/passwd": "its name can't be that of a file"}


def test_nothing_is_trained_on_that_is_measured(original, tmp_path):
    def rename(table):
        table["val_clip0"] = table.pop("train0")

    train, val = change(original.training(), rename), original.clips("val")
    out = original.convert(train=train, val=val)
    assert left_out(out)["train"] == {"val_clip0": "is 'val_clip0' of val, too"}
    with opened(out, OPTIONS) as inputs:
        assert inputs.videos("train") == ["train1"]


def test_a_video_without_objects_has_zeros(original, tmp_path):
    path = original.videos("val")
    np.save(tmp_path / "video_objects/val_video0.npy", np.zeros((0, BOXES, DIM), "f4"))
    change(path, lambda table: table["val_video0"].update(detection_class_names=[]))
    out = original.convert(val=path, eval_features=tmp_path / "video_feats")
    with opened(out, OPTIONS) as inputs:
        found, _ = evaluation_items.items(inputs, "val", "with_proposals", PLAIN, OPTIONS.evaluation)
    assert not found[0].objects.any() and found[1].objects.any()


def test_frames_of_fewer_objects_than_are_drawn_are_filled_up(original, tmp_path):
    def fewer(table):
        for segments in table.values():
            for segment in segments.values():
                path = tmp_path / segment["features_path"]
                np.save(path, np.load(path)[:2])
                segment["obj_detec_confidence"] = [0.1, 0.2]

    out = original.convert(train=change(original.training(), fewer))
    with opened(out, OPTIONS) as inputs:
        objects = training_items.draw(inputs, "train0", PLAIN, Recorded()).objects
    assert objects.shape == (6, 5, DIM) and objects[:, :2].all() and not objects[:, 2:].any()


def test_equal_data_give_equal_bytes(original, tmp_path):
    path = original.training()
    names = [*(p.name for p in original.convert(train=path).iterdir())]
    before = {name: (tmp_path / "ours" / name).read_bytes() for name in names}
    original.convert(train=path)
    assert {name: (tmp_path / "ours" / name).read_bytes() for name in names} == before


def test_folders_and_files_that_are_not_there(original, tmp_path):
    path = original.training()
    with pytest.raises(UserError, match=r"--train-features .*none is no folder"):
        original.convert(train=path, train_features=tmp_path / "none")
    with pytest.raises(UserError, match="--train needs --train-features; give the folder"):
        original.convert(train=path, train_features=None)
    with pytest.raises(UserError, match="--val needs --eval-features; give the folder"):
        original.convert(val=path, eval_features=None)
    with pytest.raises(UserError, match="nothing to convert"):
        original.convert()
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(UserError, match="not valid JSON"):
        original.convert(train=tmp_path / "deep.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UserError, match="should be an object"):
        original.convert(train=tmp_path / "list.json")
