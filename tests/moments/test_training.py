"""A small dataset → training, predictions and metrics through the command lines; resumed after a kill, byte for byte."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pipeline_lib.config.moments import Moments
from pipeline_lib.core import device, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import baselines, compare, evaluate, inputs, predict, submission, train
from pipeline_lib.moments.checkpoint import Checkpoint
from pipeline_lib.moments.inputs import Files

CPU = torch.device("cpu")
ACTIONS = ("opens a door", "eats soup", "reads books", "washes dishes")
SECONDS, DIM = 12, 8


@pytest.fixture(autouse=True)
def one_thread():
    device.deterministic()


@pytest.fixture
def folder(tmp_path):
    """Charades-STA in small: videos of 12 s, three actions of 4 s each, told apart by their features."""
    rng = np.random.default_rng(0)
    looks = dict(zip(ACTIONS, rng.normal(size=(len(ACTIONS), DIM)), strict=True))
    with h5py.File(tmp_path / "features.hdf5", "w") as file:
        for split, count in (("train", 16), ("test", 6)):
            lines, lengths = [], ["id,length"]
            for number in range(count):
                video = f"{split}{number}"
                shown = rng.permutation(len(ACTIONS))[:3].tolist()
                rows = np.concatenate([np.tile(looks[ACTIONS[one]], (4, 1)) for one in shown])
                file[video] = (rows + rng.normal(size=rows.shape, scale=0.1)).astype(np.float32)
                lengths.append(f"{video},{SECONDS}")
                lines += [f"{video} {4 * i}.0 {4 * i + 4}.0##person {ACTIONS[one]}." for i, one in enumerate(shown)]
            (tmp_path / f"charades_sta_{split}.txt").write_text("\n".join(lines) + "\n")
            (tmp_path / f"Charades_v1_{split}.csv").write_text("\n".join(lengths) + "\n")
    words = sorted({word for one in ACTIONS for word in one.split()} | {"person"})
    (tmp_path / "counts.txt").write_text("".join(f"{word} {i + 2} 1\n" for i, word in enumerate(words)))
    rows = [" ".join([word, *(f"{x:.3f}" for x in rng.normal(size=6))]) for word in words]
    (tmp_path / "vectors.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def section(folder: Path, **training: object) -> dict:
    return {
        "dataset": "charades_sta",
        "annotations": str(folder),
        "features": [str(folder / "features.hdf5")],
        "splits": {"train": "train", "val": "test", "test": ["test"]},
        "data": {
            "tokenizer": "glove_simple",
            "vocabulary": str(folder / "counts.txt"),
            "vocabulary_size": 20,
            "words": str(folder / "vectors.txt"),
            "standardise": True,
        },
        "model": {
            "dimension": 32,
            "heads": 4,
            "feedforward": 32,
            "input_dropout": 0.0,
            **{f"{part}_layers": 1 for part in ("recfw", "recss", "aligner", "encoder")},
        },
        "training": {"epochs": 2, "batch_videos": 4, "learning_rate": 2e-3, "choose_by": "r1", **training},
        "evaluation": {"bootstrap": 50},
    }


def test_other_durations_are_other_annotations(folder):
    options = Moments.model_validate(section(folder))
    names = {path.name for path in Files.of(options).small(options, ["train", "test"])}
    assert names == {path.name for path in folder.iterdir()} - {"features.hdf5", "vectors.txt"}


def trained(folder: Path, out: Path, **training: object) -> Path:
    out.mkdir(exist_ok=True)
    checkpoint = out / "mesm.safetensors"
    train.main(checkpoint, out / "log.csv", options=json.dumps(section(folder, **training)), where="cpu")
    return checkpoint


@pytest.mark.slow
def test_it_learns_and_is_measured_beside_baselines(folder, tmp_path):
    checkpoint = trained(folder, tmp_path / "run", epochs=60, batch_videos=2, learning_rate=3e-3)
    out = tmp_path / "eval.json"
    compare.main(checkpoint, "test", out, tmp_path / "predictions", where="cpu")
    found = files.read_json(out)
    r1 = {name: one["ranges"]["full"]["R1@0.5"]["value"] for name, one in found["systems"].items()}
    assert list(r1) == ["constant", "mesm", "random", "full_video"] and r1["full_video"] == 0
    assert r1["constant"] == pytest.approx(100 / 3)  # one of three moments of 4 s in 12 s
    assert r1["mesm"] > 60
    assert found["differences"]["mesm"]["ranges"]["full"]["R1@0.5"]["ci95"][0] > 0
    assert found["training"]["parts"]["train"] == {"queries": 48, "left_out": 0, "groups": 16}
    # the files beside it are what the standalone command reads
    evaluate.main(
        [tmp_path / "predictions" / "mesm.jsonl"], tmp_path / "predictions" / "gold.jsonl", tmp_path / "again.json"
    )
    again = files.read_json(tmp_path / "again.json")["systems"]["mesm"]["ranges"]["full"]["R1@0.5"]["value"]
    assert again == r1["mesm"]


def test_predictions_are_those_of_the_checkpoint(folder, tmp_path):
    checkpoint = trained(folder, tmp_path / "run")
    kept = Checkpoint.load(checkpoint)
    assert kept.about["epoch"] in (1, 2) and set(kept.about["val"]) >= {"val_mAP", "val_miou", "val_r1"}
    assert len(kept.about["scales"][0]["mean"]) == DIM and kept.sizes == (DIM + 2, 6, 21)
    out = tmp_path / "p.jsonl"
    predict.main(checkpoint, "test", out, where="cpu")
    found = submission.read(out)
    assert len(found) == 18 and all(len(one.windows) == 10 and len(one.saliency) == SECONDS for one in found)
    for one in found:
        times = one.windows[:, :2]
        assert one.best_first and times.min() >= 0 and times.max() <= SECONDS and (times == times.round()).all()
    first = (tmp_path / "p.jsonl").read_bytes()
    predict.main(checkpoint, "test", out, where="cpu")
    assert out.read_bytes() == first
    plain = section(folder) | {"prediction": {"round_to_clips": False}}
    predict.main(checkpoint, "test", out, options=json.dumps(plain), where="cpu")
    assert any((one.windows[:, :2] != one.windows[:, :2].round()).any() for one in submission.read(out))


def test_videos_without_features_count_as_misses(folder, tmp_path):
    checkpoint = trained(folder, tmp_path / "run", epochs=1)
    with h5py.File(folder / "features.hdf5", "a") as file:
        del file["test2"]
    out = tmp_path / "p.jsonl"
    predict.main(checkpoint, "test", out, where="cpu")
    found = submission.read(out)
    assert len(found) == 18 and [len(one.windows) for one in found if one.vid == "test2"] == [0, 0, 0]


def test_a_count_file_that_lacks_words_of_train_is_of_another_dataset(folder, tmp_path):
    counts = folder / "counts.txt"
    counts.write_text("".join(line for line in counts.open() if not line.startswith("eats ")))
    with pytest.raises(
        UserError, match=r"% of the words of train are not in .*counts.txt; is it the count file of another"
    ):
        trained(folder, tmp_path / "run")


def test_moments_past_the_features_mean_another_clip_length(folder, tmp_path, caplog):
    options = section(folder)
    options["data"]["clip_len"] = 0.5  # 12 rows would be 6 s
    with pytest.raises(UserError, match=r"16 of 48 moments lie past the end of the features.*clip_len = 0.5 seconds"):
        train.main(tmp_path / "c", tmp_path / "l", options=json.dumps(options), where="cpu")
    with h5py.File(folder / "features.hdf5", "a") as file:
        rows = file["train0"][:6]
        del file["train0"]
        file["train0"] = rows
    trained(folder, tmp_path / "run", epochs=0)
    assert (
        "train: 1 moments lie past the end of the features: qid 2 of train0 ([8, 12], features end at 6 s)"
        in caplog.text
    )


def test_another_network_is_not_fed_with_other_features(folder, tmp_path):
    checkpoint = trained(folder, tmp_path / "run", epochs=0)
    with h5py.File(folder / "other.hdf5", "w") as file:
        for number in range(6):
            file[f"test{number}"] = np.ones((SECONDS, 3), np.float32)
    options = section(folder)
    options["data"]["standardise"] = False
    with pytest.raises(UserError, match=r"reads rows of 10 and words of 6 numbers, not 5 and 6|could not be broadcast"):
        plain = tmp_path / "plain"
        plain.mkdir()
        train.main(plain / "c.safetensors", plain / "l.csv", options=json.dumps({**options, "training": {"epochs": 0}}))
        predict.main(plain / "c.safetensors", "test", tmp_path / "p", features=[folder / "other.hdf5"], where="cpu")
    assert checkpoint.exists()


def test_batches_are_a_function_of_seed_epoch_and_number(folder):
    options = Moments.model_validate(section(folder))
    given = Files.of(options)
    with inputs.open_videos(options, given) as videos:
        parts = inputs.open_parts(options, given, videos, ["train", "test"], CPU)
        task = train.Grounding(parts["train"], parts["test"], options, CPU)
        one, same, other = (task.batch(epoch, 1) for epoch in (3, 3, 4))
        assert task.batches(3) == 4
        for name in ("positive", "negative", "masked", "others"):
            assert torch.equal(getattr(one.targets, name), getattr(same.targets, name))
        assert torch.equal(one.video, same.video) and not torch.equal(one.video, other.video)
        assert one.groups.tolist() == [3, 3, 3, 3] and one.video.shape == (4, SECONDS, DIM + 2)
        assert one.of_video.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_scores_on_val_that_choose_an_epoch(folder, monkeypatch):
    options = Moments.model_validate(section(folder))
    given = Files.of(options)

    def first_half(net, part, where):
        return [
            submission.Prediction(one.query_id, one.sentence, one.video_id, np.array([(start, start + 2.4, 0.9)]))
            for one in part.moments
            for start, _ in one.windows
        ]

    monkeypatch.setattr(train, "predict", first_half)
    with inputs.open_videos(options, given) as videos:
        parts = inputs.open_parts(options, given, videos, ["train", "test"], CPU)
        task = train.Grounding(parts["train"], parts["test"], options, CPU)
        found = task.validate()
    assert task.metric == "val_r1"
    # IoU 2.4 / 4 with each moment: over the thresholds 0.5, 0.55 and 0.6 of ten, not over 0.7
    expected = {"val_R1@0.3": 100, "val_R1@0.5": 100, "val_R1@0.7": 0, "val_r1": 50, "val_miou": 60, "val_mAP": 30}
    assert found == pytest.approx(expected)


def test_the_constant_span_is_the_best_on_train(folder):
    moments = inputs.queries.read(Moments.model_validate(section(folder)), "train")
    span, unit = baselines.constant(moments)
    start, end = baselines.placed(span, unit, 12.0)[0, :2]
    # every third of a video is a moment: no span hits two of them, and of those that hit one this overlaps the others most
    assert unit == "fraction" and (start, end) == pytest.approx((0.0, 7.8))


def test_training_needs_something_to_learn_from(folder, tmp_path):
    path = folder / "charades_sta_train.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:3]) + "\n")
    with pytest.raises(UserError, match="a single video to train on"):
        trained(folder, tmp_path / "run")


def start(folder, out):
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pipeline_lib.moments.train", "--device", "cpu"]
    command += [
        "--out",
        str(out / "c.safetensors"),
        "--training-log",
        str(out / "log.csv"),
        "--plot",
        str(out / "p.svg"),
    ]
    command += ["--options", json.dumps(section(folder, epochs=12, save_minutes=0.0))]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def epoch_reached(out):
    try:
        return torch.load(out / "training" / "last.pt", weights_only=True)["progress"]["epoch"]
    except (FileNotFoundError, RuntimeError, EOFError):
        return 0


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_bytes(folder, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    undisturbed = start(folder, whole)
    assert undisturbed.wait() == 0, undisturbed.stderr.read()
    process = start(folder, killed)
    while epoch_reached(killed) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not (killed / "c.safetensors").exists()
    resumed = start(folder, killed)
    messages = resumed.communicate()[1]
    assert resumed.returncode == 0 and "training goes on at epoch" in messages
    for name in ("c.safetensors", "log.csv", "p.svg"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def test_bf16_goes_through_the_loop(folder, tmp_path):
    checkpoint = trained(folder, tmp_path / "run", epochs=1, precision="bf16")
    assert all(torch.isfinite(value).all() for value in Checkpoint.load(checkpoint).state.values())
