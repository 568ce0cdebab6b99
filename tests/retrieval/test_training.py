import json

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline_lib.config.retrieval import Retrieval
from pipeline_lib.core import device
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import compare, corpus, data, directions, matrices, role_graphs, search, train
from pipeline_lib.retrieval.checkpoint import Checkpoint
from pipeline_lib.retrieval.corpus import Corpus, Text, Video
from pipeline_lib.retrieval.lexicon import Lexicon
from pipeline_lib.retrieval.role_graphs import Parser
from pipeline_lib.retrieval.similarity import similarities

CPU = torch.device("cpu")
ACTORS, ACTIONS = ("truck", "boat", "tower", "crowd"), ("burns", "floats", "falls", "turns")
KNOWN = Lexicon({word: word for word in ACTIONS}, {word: word for word in ACTORS})
OPTIONS = {
    "data": {"standardise": True, "max_frames": 2},
    "model": {"dimension": 16, "word_dimension": 8},
    "training": {"epochs": 6, "learning_rate": 5e-3, "batch_pairs": 16, "loss": "ranp", "threshold": 0.4},
}


@pytest.fixture(autouse=True)
def one_thread():
    device.deterministic()


@pytest.fixture
def world(tmp_path):
    """Videos of an actor and an action; three frames each, the sum of two prototypes and noise."""
    rng = np.random.default_rng(0)
    prototypes = {word: rng.normal(size=12) for word in ACTORS + ACTIONS}
    texts = []
    with h5py.File(tmp_path / "features.hdf5", "w") as file:
        for split, count in (("train", 64), ("val", 24), ("test", 24)):
            videos, captions = [], []
            for i in range(count):
                actor, action = (str(rng.choice(words)) for words in (ACTORS, ACTIONS))
                rows = prototypes[actor] + prototypes[action] + 0.3 * rng.normal(size=(3, 12))
                file[f"{split}{i}"] = rows.astype("f4")
                videos.append(Video(f"{split}{i}", f"{split}{i}", (action,), (actor,)))
                captions.append(Text(f"{split}{i}_0", f"the {actor} {action}", (action,), (actor,)))
            texts += [caption.text for caption in captions]
            corpus.write(
                tmp_path / f"{split}.json", Corpus(videos, captions, np.repeat(np.arange(count)[:, None], 2, 1))
            )
    role_graphs.write(tmp_path / "graphs.json", role_graphs.make(texts, Parser.LEXICON, KNOWN))
    return tmp_path


def options(**training):
    return Retrieval.model_validate({**OPTIONS, "training": {**OPTIONS["training"], **training}})


def opened(world, split, wanted, known=None):
    graphs = role_graphs.read(world / "graphs.json")
    return data.open_part(world / f"{split}.json", [world / "features.hdf5"], graphs, known, wanted.data)


def fit(world, folder="training", **training):
    wanted = options(**training)
    first, known = opened(world, "train", wanted)
    second, _ = opened(world, "val", wanted, known)
    return train.train(train.Mining(first, second, known, wanted, CPU), known, world / folder)


def test_ranp_learns_and_checkpoints_are_what_was_trained(world):
    checkpoint, fitted = fit(world)
    assert fitted.rows[-1]["loss"] < 0.7 * fitted.rows[1]["loss"]
    assert fitted.rows[-1]["loss"] == pytest.approx(fitted.rows[-1]["loss_pairs"] + fitted.rows[-1]["loss_positives"])
    assert fitted.epoch == max(range(1, 7), key=lambda epoch: fitted.rows[epoch]["val_rsum"])
    checkpoint.save(world / "hgr.safetensors")
    loaded = Checkpoint.load(world / "hgr.safetensors")
    part, _ = opened(world, "val", loaded.options, loaded.vocabulary)
    part.frames.moments = loaded.moments
    found = part.matrix(similarities(loaded.network(), part, CPU))
    values = directions.summarise(directions.measure(found.values, part.gold(), found.pairs), resamples=0)[
        "mean"
    ].values
    assert values["rsum"] == pytest.approx(loaded.about["val"]["rsum"])
    assert 100 * values["ndcg"] == pytest.approx(loaded.about["val"]["ndcg"])
    assert values["ndcg"] > 0.8  # chance is below 0.5
    # blocks of videos and captions don't matter
    np.testing.assert_allclose(similarities(loaded.network(), part, CPU, size=5), found.values, atol=1e-6)


def test_the_epoch_can_be_chosen_by_ndcg(world):
    checkpoint, fitted = fit(world, choose_by="ndcg", epochs=3)
    assert checkpoint.about["val"]["ndcg"] == max(row["val_ndcg"] for row in fitted.rows[1:])


def test_a_stopped_training_goes_on_and_ends_with_the_same_bytes(world):
    whole, _ = fit(world, "whole", epochs=3)
    fit(world, "parts", epochs=1)
    resumed, _ = fit(world, "parts", epochs=3)
    for name, value in whole.state.items():
        assert torch.equal(value, resumed.state[name]), name


@pytest.mark.parametrize(("size", "sizes"), [(16, [16] * 4), (24, [24, 24, 16]), (21, [21] * 3), (100, [64])])
def test_every_pair_is_seen_but_one_left_alone(world, size, sizes):
    wanted = options(batch_pairs=size)
    first, known = opened(world, "train", wanted)
    task = train.Mining(first, opened(world, "val", wanted, known)[0], known, wanted, CPU)
    batches = [task.batch(1, index) for index in range(task.batches(1))]
    assert [len(batch.clips.lengths) for batch in batches] == sizes


@pytest.mark.parametrize("loss", ["contrastive", "ran", "hard_positives", "norm_softmax", "norm_softmax_ranp"])
def test_every_loss_trains(world, loss):
    _, fitted = fit(world, loss, loss=loss, epochs=2, precision="bf16", accumulate=2, level_weights=(1, 0.5, 0.5, 0.5))
    assert fitted.rows[2]["loss"] < fitted.rows[1]["loss"]


def test_matrices_in_the_place_of_classes(world):
    part, known = opened(world, "val", options())
    gold = part.gold()
    assert part.gold(matrices.Matrix(gold * 0.5)).tolist() == (gold * 0.5).tolist()
    with pytest.raises(UserError, match="the relevance is 3 × 24, but the split has 24 videos"):
        part.gold(matrices.Matrix(gold[:3]))
    assert len(known) == 3 + len({"the", *ACTORS, *ACTIONS})


def test_comparison_and_search(world, capsys):
    paths = []
    for loss in ("contrastive", "ranp"):
        checkpoint, _ = fit(world, loss, loss=loss, epochs=3)
        paths.append(world / f"{loss}.safetensors")
        checkpoint.save(paths[-1])
    compare.main(
        paths,
        split=world / "test.json",
        graphs=world / "graphs.json",
        features=[world / "features.hdf5"],
        out=world / "eval.json",
        matrix_folder=world / "matrices",
        bootstrap=50,
        where="cpu",
    )
    content = json.loads((world / "eval.json").read_text())
    assert list(content["results"]) == ["contrastive", "ranp", "random"] and content["baseline"] == "contrastive"
    means = {name: content["results"][name]["mean"]["ndcg"]["value"] for name in content["results"]}
    assert means["random"] < min(means["contrastive"], means["ranp"])
    difference = content["differences"]["ranp"]["mean"]["ndcg"]
    assert difference["value"] == pytest.approx(means["ranp"] - means["contrastive"])
    assert difference["ci95"][0] <= difference["value"] <= difference["ci95"][1]
    assert "| ranp − contrastive | " in (world / "eval.md").read_text()
    saved = matrices.read(world / "matrices" / "ranp.hdf5")
    again = directions.measure(saved.values, matrices.read(world / "matrices" / "relevance.hdf5").values, saved.pairs)
    assert directions.summarise(again, 0)["mean"].values["ndcg"] == pytest.approx(means["ranp"])

    capsys.readouterr()
    (world / "lexicon.json").write_text(
        json.dumps({"verbs": {word: [word] for word in ACTIONS}, "nouns": {word: [word] for word in ACTORS}})
    )
    arguments = {
        "checkpoint": world / "ranp.safetensors",
        "split": world / "test.json",
        "features": [world / "features.hdf5"],
        "known": world / "lexicon.json",
        "where": "cpu",
    }
    search.main("The tower BURNS!", top=3, **arguments)
    listed = capsys.readouterr().out
    rank = saved.values[
        :, [caption.text for caption in corpus.read(world / "test.json").captions].index("the tower burns")
    ]
    best = [corpus.read(world / "test.json").videos[i].video_id for i in np.argsort(-rank, kind="stable")[:3]]
    assert [line for line in best if line in listed] == best
    with pytest.raises(UserError, match="no word of 'zebras yodel'"):
        search.main("zebras yodel", **arguments)
    with pytest.raises(UserError, match="the query has no words"):
        search.main("…", **arguments)
    with h5py.File(world / "features.hdf5", locking=False) as file, h5py.File(world / "wide.hdf5", "w") as wide:
        for name in file:
            wide[name] = np.tile(file[name][()], 2)
    with pytest.raises(
        UserError, match=r"the features have 24 columns, .*ranp.safetensors was trained with 12; give --f"
    ):
        search.main("The tower BURNS!", **{**arguments, "features": [world / "wide.hdf5"]})
    with pytest.raises(
        UserError, match="the features have 24 columns, contrastive was trained with 12; give --features"
    ):
        compare.main(
            paths, world / "test.json", world / "graphs.json", [world / "wide.hdf5"], world / "wide.json", where="cpu"
        )


def test_features_of_another_kind_are_named(world):
    wanted = options()
    first, known = opened(world, "train", wanted)
    with h5py.File(world / "narrow.hdf5", "w") as file:
        for i in range(24):
            file[f"val{i}"] = np.ones((2, 5), "f4")
    graphs = role_graphs.read(world / "graphs.json")
    second, _ = data.open_part(world / "val.json", [world / "narrow.hdf5"], graphs, known, wanted.data)
    with pytest.raises(UserError, match="features of train have 12 columns, of val 5"):
        train.Mining(first, second, known, wanted, CPU)


def test_a_foreign_checkpoint_is_named(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="is no checkpoint of retrieval"):
        Checkpoint.load(tmp_path / "x.safetensors")
    about = {"about": json.dumps({"options": {"data": {"no_such_key": 1}}}), "vocabulary": "{}"}
    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors", metadata=about)
    with pytest.raises(UserError, match=r"is no checkpoint of retrieval.*no_such_key.*train again"):
        Checkpoint.load(tmp_path / "x.safetensors")
