import json

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline_lib.config import Config, load
from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.config.features import CLIP
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import baselines, systems
from pipeline_lib.coref.evaluation_items import items
from pipeline_lib.coref.inputs import Moments
from pipeline_lib.features.nets import clip as clip_nets
from pipeline_lib.features.nets.s3d import S3D

CPU = torch.device("cpu")


@pytest.fixture
def found(world, options):
    with world.open(options) as inputs:
        return items(inputs, "val", "without_proposals", Moments.identity(16, 16), options.evaluation)[0]


def store(path, rows, weights, step=3.0):
    with h5py.File(path, "w") as file:
        file.attrs.update({"spec": json.dumps({"weights": files.sha256(weights)}), "step": step, "start": 0.0})
        for video_id, values in rows.items():
            file[video_id] = values.astype("f4")


def test_all_positive_and_random(found):
    assert all((one.by_kind["combined"] == 1).all() for one in baselines.all_positive(found))
    per_clip = baselines.random(found, "per_clip", seed=1)
    assert all(np.allclose(one.by_kind["global"].sum(axis=1), 1) for one in per_clip)
    assert all(one.by_kind["global"].sum() == pytest.approx(1) for one in baselines.random(found, "per_video", 1))
    plain = np.concatenate([one.by_kind["global"].ravel() for one in baselines.random(found, "none", 1)])
    assert plain.min() >= 0 and plain.max() <= 1 and abs(plain.mean() - 0.5) < 0.1
    again, other = baselines.random(found, "per_clip", 1)[0], baselines.random(found, "per_clip", 2)[0]
    assert np.array_equal(per_clip[0].by_kind["global"], again.by_kind["global"])
    assert not np.array_equal(per_clip[0].by_kind["global"], other.by_kind["global"])


class TinyCLIP(nn.Module):
    """Sentences → two numbers, by a table of their first token."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(3, 2)

    def encode_text(self, tokens):
        return self.table(tokens[:, 0])


@pytest.fixture
def tiny_clip(monkeypatch, tmp_path):
    """CLIP by hand: weights and a file of frames every 3 s."""
    monkeypatch.setattr(clip_nets, "build", lambda model: TinyCLIP())
    tokens = {"fire": 0, "water": 1, "sand": 2}
    monkeypatch.setattr(clip_nets, "tokeniser", lambda model: lambda texts: torch.tensor([[tokens[t]] for t in texts]))
    weights = tmp_path / "clip.safetensors"
    save_file({"table.weight": torch.tensor([[2.0, 0.0], [0.0, 5.0], [3.0, 4.0]])}, weights)
    return weights


def test_clip_is_the_cosine_of_the_mean_frame(found, tiny_clip, tmp_path):
    """Frames at 0, 3 … 15 s; the clip from 6 to 11.9 s holds those at 6 and 9: (1, 0) and (0, 1), mean (.5, .5)."""
    frames = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    store(tmp_path / "clip.hdf5", {"video24": frames}, tiny_clip)
    space = baselines.clip(tmp_path / "clip.hdf5", tiny_clip, CLIP(), 0.01, CPU)
    item = found[0].__class__(**{**found[0].__dict__, "sentences": ["fire", "water", "sand"]})
    scores = space.score([item], CorefEvaluation(softmax="none"))[0].by_kind["combined"]
    half = 0.5**0.5
    assert scores == pytest.approx(np.array([[1, 0, 0.6], [half, half, 1.4 * half], [0, 1, 0.8]]), abs=1e-6)
    softmax = space.score([item], CorefEvaluation())[0].by_kind["combined"]
    assert softmax[0] == pytest.approx(np.exp([100, 0, 60]) / np.exp([100, 0, 60]).sum())


def test_features_of_other_weights_are_refused(tiny_clip, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(tiny_clip.read_bytes() + b" ")
    store(tmp_path / "clip.hdf5", {}, other)
    with pytest.raises(UserError, match="made with other weights of clip"):
        baselines.clip(tmp_path / "clip.hdf5", tiny_clip, CLIP(), 0.01, CPU)


def test_mil_nce_makes_the_same_of_all_three_outputs(found, tmp_path):
    """512-d rows, 1536-d rows, and 1024-d rows sent through the last layer; dot products with the text tower."""
    torch.manual_seed(0)
    net = S3D(None).eval()
    weights = tmp_path / "s3d.safetensors"
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, weights)
    mixed = np.random.default_rng(0).normal(size=(6, 1024)).astype("f4")
    with torch.inference_mode():
        embedded = net.fc(torch.from_numpy(mixed)).numpy()
    words = baselines.vocabulary([item.sentences for item in found])
    assert words == sorted(words) and "truck" in words
    scores = {}
    for name, rows in {"mixed": mixed, "video": embedded, "both": np.hstack([mixed, embedded])}.items():
        path = tmp_path / f"{name}.hdf5"
        store(path, {"video24": rows}, weights)
        space = baselines.mil_nce(path, weights, words, 1.0, CPU)
        scores[name] = space.score(found[:1], CorefEvaluation(softmax="none"))[0].by_kind["combined"]
    assert np.allclose(scores["mixed"], scores["video"], atol=1e-4) and np.array_equal(scores["video"], scores["both"])
    with torch.inference_mode():
        text = S3D(words).text_module
        text.load_state_dict(net.text_module.state_dict())
        expected = embedded[:2].mean(axis=0) @ text(found[0].sentences)["text_embedding"].numpy().T
    assert np.allclose(scores["video"][0], expected, atol=1e-5)


def test_videos_without_features_or_with_nan_are_named(tiny_clip, tmp_path):
    store(tmp_path / "clip.hdf5", {"a": np.ones((2, 2)), "b": np.array([[np.nan, 1]])}, tiny_clip)
    space = baselines.clip(tmp_path / "clip.hdf5", tiny_clip, CLIP(), 0.01, CPU)
    assert space.why_not("a") is None
    assert "NaN" in space.why_not("b") and space.why_not("c") == "no features in clip.hdf5"


@pytest.mark.parametrize(("baseline", "option"), [("clip", "--clip,"), ("mil_nce", "--s3d,")])
def test_a_baseline_without_its_files_is_an_error_before_anything_else(world, options, tmp_path, baseline, option):
    config = Config.model_validate({"coref": {"evaluation": {"baselines": ["random", baseline]}}})
    with world.open(options) as inputs:
        with pytest.raises(UserError, match=f"{baseline} needs {option}.* or take {baseline} out"):
            systems.joint_spaces(inputs, systems.BaselineFiles(), config, CPU)
        gone = dict.fromkeys(("clip", "clip_weights", "s3d", "s3d_weights"), tmp_path / "gone.hdf5")
        with pytest.raises(UserError, match=r"gone\.hdf5, which is not there"):
            systems.joint_spaces(inputs, systems.BaselineFiles(**gone), config, CPU)


def test_trained_mil_nce_needs_its_dictionary():
    values = {"coref": {"evaluation": {"baselines": ["mil_nce"]}}, "weights": {"s3d": "howto100m"}}
    with pytest.raises(UserError, match=r"mil_nce_dictionary to s3d_dict\.npy"):
        load(values)
    values["coref"]["evaluation"]["mil_nce_dictionary"] = "s3d_dict.npy"
    assert load(values).coref.evaluation.mil_nce_dictionary == "s3d_dict.npy"
