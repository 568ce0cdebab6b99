import h5py
import numpy as np
import pytest
import torch
from original import BOXES, DIM, Original, exported, opened

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import evaluation_items, from_upstream, to_upstream, training_items
from pipeline_lib.coref.inputs import Moments
from pipeline_lib.text import vectors

OPTIONS = Coref.model_validate({"data": {"n_pair": 4, "look_window": 2}})
PLAIN = Moments.identity(2 * DIM, DIM)


@pytest.fixture
def ours(tmp_path):
    """Files as the pipeline makes them: regular rows, captions of start and duration, several events per video."""
    rng = np.random.default_rng(0)
    captions, annotations = {}, {}
    folder = tmp_path / "pipeline"
    folder.mkdir()
    steps = {"objects": 3.0, "resnet152": 1.0, "resnext101": 16 / 24}
    stores = {name: h5py.File(folder / f"{name}.hdf5", "w") for name in steps}
    for name, store in stores.items():
        store.attrs.update({"spec": '{"stage":"test"}', "step": steps[name], "start": 0.0})
    for index in range(4):
        video_id = f"video{index}"
        captions[video_id] = {
            "title": f"Title {index}",
            "article": "",
            "captions": [{"start": 2.1 * i, "duration": 3.7, "text": f"word{i} storm"} for i in range(9)],
        }
        if index:
            captions[video_id]["captions"][3] = captions[video_id]["captions"][2]  # two with the same middle
        for name, step in steps.items():
            count = int(24 / step) + 1
            if name == "objects":
                group = stores[name].create_group(video_id)
                group["features"] = rng.normal(size=(count, BOXES, DIM)).astype("f4")
                group["boxes"] = rng.random((count, BOXES, 4)).astype("f4")
                group["scores"] = rng.random((count, BOXES)).astype("f4")
                group["labels"] = rng.integers(0, 4, (count, BOXES))
            else:
                stores[name][video_id] = rng.normal(size=(count, DIM)).astype("f2")
        if index >= 2:
            annotations[video_id] = {
                "split": "val" if index == 2 else "test",
                "duration": 24.5,
                "article_sentences": ["word1 here", "storm there", "storm there"],
                "temporal_proposals": [5.5, 13.0],
                "events": [
                    {"start": 0.5, "end": 6.0, "type": "meet"},
                    {"start": 6.0, "end": 14.2, "type": "attack"},
                    {"start": 6.0, "end": 14.2, "type": "die"},
                ],
                "event_coreference": [[0, 0], [2, 2]],
            }
    for store in stores.values():
        store.close()
    files.write_json(folder / "vid2article_master_filtered.json", captions)
    files.write_json(folder / "annotations.json", annotations)
    (folder / "objects_vocab.txt").write_text("truck\nboat,ship\nman\n")
    vectors.derive(["word1 word2 storm here there"], 16, 0).save(folder / "words.safetensors")
    return folder


def back(folder, out, kind, features):
    """What was exported, read again."""
    given = {split: folder / f"{split}_{kind}.json" for split in ("val", "test")}
    train = {"train": folder / "train.json", "train_features": folder / "video_feats"}
    from_upstream.main(out, **train, **given, eval_features=folder / features, dimension=DIM)
    (out / "words.safetensors").write_bytes((folder.parent / "pipeline/words.safetensors").read_bytes())
    return out


def items(folder, split, protocol):
    with opened(folder, OPTIONS) as inputs:
        return evaluation_items.items(inputs, split, protocol, PLAIN, OPTIONS.evaluation)[0]


def test_training_pairs_survive_the_way_there_and_back(ours, tmp_path):
    again = back(exported(ours, tmp_path / "milo"), tmp_path / "again", "no_proposals", "clip_feats")
    for video_id in ("video0", "video1"):
        pairs = []
        for folder in (ours, again):
            with opened(folder, OPTIONS) as inputs:
                pairs.append(training_items.draw(inputs, video_id, PLAIN, np.random.default_rng(5)))
        for one, other in zip(*pairs, strict=True):
            assert np.array_equal(one, other)
    with h5py.File(again / "objects.hdf5") as file:
        assert len(file["video1/features"]) == 9


def test_clips_survive_the_way_there_and_back(ours, tmp_path):
    again = back(exported(ours, tmp_path / "milo"), tmp_path / "again", "no_proposals", "clip_feats")
    for split in ("val", "test"):
        (one,), clips = items(ours, split, "without_proposals"), items(again, split, "without_proposals")
        assert [clip.video_id for clip in clips] == [f"{one.video_id}_{i}" for i in range(3)]
        for name in ("clips", "objects", "labels"):
            assert np.array_equal(getattr(one, name), np.concatenate([getattr(clip, name) for clip in clips]))
        assert all(np.array_equal(one.words, clip.words) for clip in clips)
        types = [files.read_json(again / "annotations.json")[clip.video_id]["events"][0]["type"] for clip in clips]
        assert types == ["meet", "attack", "die"]


def test_a_clip_doesn_t_take_the_name_of_another_video(ours, tmp_path):
    """video2_1 is a video that is one event, and would be the name of the second event of video2, too."""
    gold = files.read_json(ours / "annotations.json")
    gold["video2_1"] = gold["video3"] | {
        "events": [{"start": 0.0, "end": 24.5, "type": "fire"}],
        "event_coreference": [[0, 1]],
    }
    files.write_json(ours / "annotations.json", gold)
    captions = files.read_json(ours / "vid2article_master_filtered.json")
    files.write_json(ours / "vid2article_master_filtered.json", captions | {"video2_1": captions["video3"]})
    for name in ("objects", "resnet152", "resnext101"):
        with h5py.File(ours / f"{name}.hdf5", "a") as store:
            store.copy("video3", "video2_1")
    out = exported(ours, tmp_path / "milo")
    assert list(files.read_json(out / "val_no_proposals.json")) == ["video2_0", "video2_1_", "video2_2"]
    assert "video2_1" in files.read_json(out / "test_no_proposals.json")
    with h5py.File(ours / "objects.hdf5") as store:
        assert len(np.load(out / "clip_objects/video2_1.npy")) == len(store["video2_1/features"])
        assert len(np.load(out / "clip_objects/video2_1_.npy")) == 4  # rows 2 to 5


def test_videos_survive_the_way_there_and_back(ours, tmp_path):
    again = back(exported(ours, tmp_path / "milo"), tmp_path / "again", "with_proposals", "video_feats")
    gold = files.read_json(ours / "annotations.json")
    assert files.read_json(again / "annotations.json") == gold
    for split in ("val", "test"):
        (one,), (other,) = items(ours, split, "with_proposals"), items(again, split, "with_proposals")
        for name in ("intervals", "clips", "objects", "labels", "words"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
    with h5py.File(ours / "objects.hdf5") as before, h5py.File(again / "objects.hdf5") as after:
        assert np.array_equal(before["video2/boxes"], after["video2/boxes"])
        names = ["__background__", "truck", "boat", "man"], ["__background__", "boat", "man", "truck"]
        before, after = (file["video2/labels"][()] for file in (before, after))
        assert [names[0][i] for i in before.ravel()] == [names[1][i] for i in after.ravel()]


def without_paths(table):
    """Entries with the arrays that their paths lead to."""
    if isinstance(table, list):
        return [without_paths(one) for one in table]
    if not isinstance(table, dict):
        return table
    found = {key: without_paths(value) for key, value in table.items()}
    if "features_path" in found:
        path = found.pop("features_path")
        found["array"] = np.load(path).tolist()
        found.pop("bbox_path", None)
    return found


def test_the_original_survives_the_way_here_and_back(tmp_path, monkeypatch):
    """JSON and arrays are the same again, but for paths, labels that aren't EVENT_COREFERENCE, and keys of ours."""
    monkeypatch.chdir(tmp_path)
    original = Original(tmp_path)
    train, val, test = original.training(), original.clips("val"), original.clips("test")
    out = exported(original.convert(train=train, val=val, test=test), tmp_path / "milo")
    before, after = (without_paths(files.read_json(path)) for path in (train, out / "train.json"))
    assert before == after and [list(video) for video in before.values()] == [list(video) for video in after.values()]
    before, after = (without_paths(files.read_json(path)) for path in (val, out / "val_no_proposals.json"))
    for name, entry in before.items():
        entry["article_sentences"] = [[text, label.replace("NA", "NONE")] for text, label in entry["article_sentences"]]
        assert entry | {"event_type": ""} == after[name]
        for kind in ("2d", "3d"):
            stored = [
                np.load(folder / f"{kind}/{name}.npy") for folder in (tmp_path / "clip_feats", out / "clip_feats")
            ]
            assert np.array_equal(*stored) and stored[0].dtype == stored[1].dtype
    assert before.keys() == after.keys()


def test_short_videos_are_left_out_because_the_loader_stops_at_them(ours, tmp_path, caplog):
    out = exported(ours, tmp_path / "milo", n_pair=36)
    assert files.read_json(out / "train.json") == {}
    assert files.read_json(out / "left_out.json")["train"]["video0"] == "9 caption segments, and the loader draws 36"
    why = "2 videos are left out, the first: video0: 9 caption segments, and the loader draws 36"
    assert f"train.json is empty: {why} (--n-pair 1 keeps short ones)" in caplog.text
    assert caplog.text.count("is empty") == 1


def test_a_split_without_videos_is_said_to_be_empty(ours, tmp_path, caplog):
    gold = files.read_json(ours / "annotations.json")
    gold["video3"]["split"] = "val"
    files.write_json(ours / "annotations.json", gold)
    exported(ours, tmp_path / "milo")
    for name in ("test_no_proposals", "test_with_proposals"):
        assert f"{name}.json is empty: no video or event of test is there" in caplog.text
    assert "train.json is empty" not in caplog.text and "val_with_proposals.json is empty" not in caplog.text


def test_missing_features_and_empty_articles_are_left_out(ours, tmp_path):
    gold = files.read_json(ours / "annotations.json")
    gold["video2"]["article_sentences"], gold["video2"]["event_coreference"] = [], []
    gold["gone"] = gold["video3"]
    files.write_json(ours / "annotations.json", gold)
    out = exported(ours, tmp_path / "milo")
    reasons = files.read_json(out / "left_out.json")
    assert reasons == {
        "val": {"video2": "its article has no sentences"},
        "test": {"gone": "no features in objects.hdf5"},
    }
    assert list(files.read_json(out / "test_with_proposals.json")) == ["video3"]


@pytest.mark.parametrize(("name", "step"), [("objects", 1.5), ("resnet152", 0.5), ("resnext101", 1.0)])
def test_rows_at_other_times_are_refused(ours, tmp_path, name, step):
    with h5py.File(ours / f"{name}.hdf5", "a") as file:
        file.attrs["step"] = step
    with pytest.raises(UserError, match=r"MILO's loaders assume"):
        exported(ours, tmp_path / "milo")
    assert not (tmp_path / "milo").exists()


def test_an_event_without_stored_frames_has_one_of_zeros(ours, tmp_path):
    gold = files.read_json(ours / "annotations.json")
    gold["video2"]["events"][0] = {"start": 30.0, "end": 33.0, "type": ""}
    files.write_json(ours / "annotations.json", gold)
    out = exported(ours, tmp_path / "milo")
    path = files.read_json(out / "val_no_proposals.json")["video2_0"]["features_path"]
    assert np.array_equal(np.load(path), np.zeros((1, BOXES, DIM)))


def test_arrays_open_as_the_loaders_open_them(ours, tmp_path):
    """Row-major float32 objects that torch takes as they are, at absolute paths."""
    out = exported(ours, tmp_path / "milo")
    for segment in files.read_json(out / "train.json")["video0"].values():
        assert torch.from_numpy(np.load(segment["features_path"])[:5]).shape == (5, DIM)
        assert len(segment["obj_detec_confidence"]) == BOXES
    assert to_upstream.FOLDERS == {"resnet152": "2d", "resnext101": "3d"}
