import numpy as np
import pytest
import torch

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import evaluation_items, training_items
from pipeline_lib.coref.entries import read_captions
from pipeline_lib.coref.inputs import Moments
from pipeline_lib.coref.model import Dimensions, Net


def edit(path, change):
    content = files.read_json(path)
    change(content)
    files.write_json(path, content)


def with_data(**data):
    return Coref.model_validate({"data": {"candidates": 3, "candidates_eval": 3, **data}})


def plain():
    return Moments.identity(16, 16)


def test_clip_is_the_inclusive_maximum_of_unit_length(world, options):
    with world.open(options) as inputs:
        rows = inputs._read_rows("video00")[0]
        for start, end, first, last in (
            (0.0, 2.9, 0, 0),
            (0.0, 3.0, 0, 1),
            (5.9, 9.1, 1, 3),
            (16.0, 99.0, 5, 5),
            (50.0, 60.0, 5, 5),
        ):
            pooled = rows[first : last + 1].max(axis=0)
            assert np.allclose(inputs.clip("video00", start, end), pooled / np.linalg.norm(pooled), atol=1e-6)


def test_object_rows_round_half_to_even(world, options):
    with world.open(options) as inputs:
        assert [inputs.frame(t) for t in (1.5, 4.5, 7.5, 4.6, 7.4)] == [0, 2, 2, 2, 2]


def test_words_keep_case_lose_stop_words_and_are_padded(world):
    with world.open(with_data(max_words=3)) as inputs:
        vector = {word: inputs.words.matrix[row] for word, row in inputs.words.index.items()}
        found = inputs.sentence("the truck, floats! Boat")  # Boat is unknown as written
        assert np.array_equal(found, np.stack([vector["truck"], vector["floats"], 0 * vector["truck"]]))
        assert not inputs.sentence("The of and").any()
        cut = inputs.sentence("truck boat tower crowd")
        assert np.array_equal(cut[2], vector["tower"]) and len(cut) == 3
    with world.open(with_data(max_words=3, fold_case=True)) as inputs:
        assert np.array_equal(inputs.sentence("Boat")[0], vector["boat"])


def test_window():
    assert training_items.neighbours(0, 4, 2) == [0, 1, 2]
    assert training_items.neighbours(3, 4, 1) == [2, 3]
    assert training_items.neighbours(1, 4, 0) == [1]


def test_confident_objects_of_the_window_are_drawn_else_the_first_of_the_segment(world, options):
    import h5py

    with h5py.File(world.paths["objects"], "a") as file:
        scores = np.full((6, 4), 0.59, "f4")
        scores[1, :3] = 0.6  # the middle frame of segment 0 is row round(2.95 / 3) = 1
        del file["video00"]["scores"]
        file["video00"]["scores"] = scores
    rng = np.random.default_rng(0)
    with world.open(options) as inputs:
        features = inputs.objects("video00").features
        first = training_items.candidates(inputs, "video00", 0, [0, 1], rng)
        assert sorted(first[:, 0].tolist()) == sorted(features[1, :3, 0].tolist())
        second = training_items.candidates(inputs, "video00", 1, [1], rng)
        assert np.array_equal(second, features[3, :3])


def test_videos_with_few_segments_give_all_they_have(world):
    with world.open(with_data(n_pair=36)) as inputs:
        pairs = training_items.draw(inputs, "video00", plain(), np.random.default_rng(0))
        assert pairs.clips.shape == (3, 16) and pairs.words.shape == (3, 30, 32) and pairs.objects.shape == (3, 3, 16)
    with world.open(with_data(n_pair=2)) as inputs:
        assert len(training_items.draw(inputs, "video00", plain(), np.random.default_rng(0)).clips) == 2


def test_val_and_test_are_never_trained_on(world, options):
    with world.open(options) as inputs:
        assert inputs.videos("train") == [f"video{i:02d}" for i in range(24)]
        del inputs.annotations["video00"]
        assert len(inputs.videos("train")) == 24  # a video without gold is trained on, too
        assert inputs.videos("val") == [f"video{i:02d}" for i in range(24, 30)]


def test_eval_objects_go_round_the_frames(world):
    with world.open(with_data(candidates_eval=5)) as inputs:
        features = inputs.objects("video00").features
        chosen = evaluation_items.choose(inputs, "video00", 0.0, 3.0, 5)  # rows 0 and 1
        assert chosen.rows == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
        assert np.array_equal(chosen.features, features[[0, 1, 0, 1, 0], [0, 0, 1, 1, 2]])
        nothing = evaluation_items.choose(inputs, "video00", 60, 66, 5)
        assert nothing.rows == [] and np.array_equal(nothing.features, np.zeros((5, 16)))
        few = evaluation_items.choose(inputs, "video00", 15.0, 18.0, 5)  # row 5 alone, with four objects
        assert few.rows == [(5, 0), (5, 1), (5, 2), (5, 3)] and not few.features[4].any()


def test_left_out_videos_are_named_with_their_reason(world, options):
    def change(gold):
        gold["video25"]["article_sentences"], gold["video25"]["event_coreference"] = [], []
        gold["gone"] = gold["video24"]
        gold["video26"]["events"], gold["video26"]["event_coreference"] = [], []

    edit(world.paths["annotations"], change)
    with world.open(options) as inputs:
        found, left_out = evaluation_items.items(inputs, "val", "without_proposals", plain(), options.evaluation)
        assert [item.video_id for item in found] == ["video24", "video27", "video28", "video29"]
        assert "no sentences" in left_out["video25"] and "due diligence" in left_out["gone"]
        assert "no event" in left_out["video26"]


def test_features_that_are_not_finite_are_named(world, options):
    import h5py

    with h5py.File(world.paths["s3d"], "a") as file:
        file["video24"][0, 0] = np.nan
    with world.open(options) as inputs, pytest.raises(UserError, match=r"s3d\.hdf5: features of video24 hold NaN"):
        inputs.clip("video24", 0, 1)


def test_statistics_make_features_standard(world, options):
    with world.open(options) as inputs:
        moments = training_items.statistics(inputs, inputs.videos("train"))
        rows = np.concatenate([inputs.objects(v).features.reshape(-1, 16) for v in inputs.videos("train")])
        standard = moments.objects(rows)
        assert np.allclose(standard.mean(0), 0, atol=1e-4) and np.allclose(standard.std(0), 1, atol=1e-3)


def test_cut_padding_leaves_embeddings_as_they_are():
    rng = np.random.default_rng(0)
    words = np.zeros((3, 8, 16), np.float32)
    words[0, :5], words[1, :2] = rng.normal(size=(5, 16)), rng.normal(size=(2, 16))
    cut = training_items.without_padding(words)
    assert cut.shape == (3, 6, 16)
    net = Net(Dimensions(4, 16, 4), 32).eval()
    assert torch.equal(net.embed_text(torch.from_numpy(words)), net.embed_text(torch.from_numpy(cut)))
    assert training_items.without_padding(words[2:]).shape == (1, 1, 16)
    full = rng.normal(size=(1, 8, 16)).astype("f4")
    assert training_items.without_padding(full).shape == (1, 8, 16)


def test_distinct_rows_in_the_order_of_their_first_place():
    rows = np.array([[3.0, 1.0], [2.0, 2.0], [3.0, 1.0], [0.0, 0.0], [2.0, 2.0]], np.float32)
    found, where = training_items.distinct(rows)
    assert found.tolist() == [[3.0, 1.0], [2.0, 2.0], [0.0, 0.0]] and where.tolist() == [0, 1, 0, 2, 1]


@pytest.mark.parametrize("normalise", ["embedding", "candidate_axis"])
def test_what_is_computed_once_gives_the_same_embeddings_and_gradients(normalise):
    torch.manual_seed(0)
    net = Net(Dimensions(4, 16, 5), 32, normalise)
    video, words, objects = torch.randn(3, 4), torch.randn(2, 6, 16), torch.randn(4, 5)
    of_words, of_objects = torch.tensor([1, 0, 1]), torch.tensor([[0, 1], [1, 2], [3, 0]])
    results = []
    for found in (
        net(video, words[of_words], objects[of_objects]),
        net.pairs(video, words, of_words, objects, of_objects),
    ):
        net.zero_grad()
        sum((embedding * torch.arange(embedding.numel()).view_as(embedding)).sum() for embedding in found).backward()
        results.append((found, [p.grad.clone() for p in net.parameters() if p.grad is not None]))
    (one, gradients), (other, others) = results
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one, other, strict=True))
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-3) for a, b in zip(gradients, others, strict=True))


def test_other_json_is_no_captions_file(tmp_path):
    for content in ({"a": {"split": "val"}}, ["a"], {"a": 1}):
        files.write_json(tmp_path / "x.json", content)
        with pytest.raises(UserError, match="entries without captions"):
            read_captions(tmp_path / "x.json")
