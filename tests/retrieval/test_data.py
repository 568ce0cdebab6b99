import json
import logging

import h5py
import numpy as np
import pytest
import torch

from pipeline_lib.config.retrieval import RetrievalData
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import corpus, data, prepare, role_graphs, texts
from pipeline_lib.retrieval.annotations import Dataset
from pipeline_lib.retrieval.corpus import Corpus, Text, Video
from pipeline_lib.retrieval.frames import Frames
from pipeline_lib.retrieval.lexicon import Lexicon
from pipeline_lib.retrieval.matrices import Matrix
from pipeline_lib.retrieval.role_graphs import Node, RoleGraph

OPTIONS = RetrievalData(max_frames=3, max_words=4, verbs=1, nouns=2)
CAPTIONS = [
    Text("a_0", "a car stops", (1,), (1,)),
    Text("a_1", "the car", (), (1,)),
    Text("b_0", "rain falls", (2,), (3, 1)),
]
SPLIT = Corpus(
    [Video("a", "a", (1,), (1,)), Video("b", "b", (2,), (3, 1))], CAPTIONS, np.array([[0, 0], [0, 1], [1, 2]])
)


@pytest.fixture
def features(tmp_path):
    """Features as anybody writes them: a dataset per video, MSR-VTT's names among them."""
    with h5py.File(tmp_path / "features.hdf5", "w") as file:
        file["a"] = np.arange(10, dtype="f4").reshape(5, 2)
        file["b.mp4"] = np.ones((1, 2), "f4")
    return tmp_path / "features.hdf5"


def part(features, split=SPLIT, options=OPTIONS):
    sentences = [caption.text for caption in split.captions]
    graphs = {text: RoleGraph({"1": Node("V", (1,)), "2": Node("ARG0", (0,))}, (("1", "2"),)) for text in sentences}
    encoded = texts.encode(sentences, graphs, texts.vocabulary(sentences), options)
    return data.Part(split, encoded, Frames([features], options), split.classes(), "split")


def test_a_split_is_written_and_read(tmp_path):
    corpus.write(tmp_path / "split.json", SPLIT)
    found = corpus.read(tmp_path / "split.json")
    assert (found.videos, found.captions) == (SPLIT.videos, SPLIT.captions)
    assert found.pairs.tolist() == [[0, 0], [0, 1], [1, 2]]


def test_relevance_of_a_split(features):
    """(verbs, nouns): a–a_0 (1, 1), a–a_1 (0, 1), a–b_0 (0, 1/2); b's nouns are {3, 1}."""
    assert part(features).gold().tolist() == [[1, 0.5, 0.25], [0.25, 0.25, 1]]


def test_a_matrix_of_the_split_is_matched_by_name_where_it_has_names(features):
    one, values = part(features), np.arange(6.0).reshape(2, 3)
    assert one.gold(Matrix(values)).tolist() == values.tolist()
    named = Matrix(values[::-1, [2, 0, 1]], ["b", "a"], ["b_0", "a_0", "a_1"])
    assert one.gold(named).tolist() == values.tolist()
    with pytest.raises(
        UserError, match="1 video ids are only in the split: b; 1 video ids are only in the relevance: c"
    ):
        one.gold(Matrix(values, ["a", "c"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"captions": [{"id": "a_0", "text": "a car", "verbs": "stop", "nouns": []}]},
            "verbs of 'a_0': 'stop' is a string",
        ),
        ({"pairs": []}, "no pair of a video and a caption"),
        ({"pairs": [[0, 7]]}, "pairs point past its 2 videos and 3 captions"),
        ({"videos": [{"id": "a"}]}, "is no split of videos and captions"),
        (
            {"captions": [{"id": "a_0", "text": " ", "verbs": [], "nouns": []}], "pairs": [[0, 0]]},
            "1 captions have no words",
        ),
    ],
)
def test_what_is_wrong_with_a_split_is_named(change, message, tmp_path):
    corpus.write(tmp_path / "split.json", SPLIT)
    content = json.loads((tmp_path / "split.json").read_text()) | change
    (tmp_path / "split.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        corpus.read(tmp_path / "split.json")


def test_captions_become_arrays():
    graph = RoleGraph(
        {
            "1": Node("V", (1,)),
            "2": Node("ARG1", (0, 7)),
            "3": Node("V", (2,)),  # one verb more than there is room for
            "4": Node("ARGM-LOC", (5,)),  # cut off with the words
            "5": Node("R-ARG0", (2, 3)),
            "6": Node("ARG2", (0,)),  # one noun too many
        },
        (("1", "2"), ("3", "5"), ("1", "5"), ("2", "5")),
    )
    known = texts.vocabulary(["a b c"])
    found = texts.encode(["a b x c d e f g"], {"a b x c d e f g": graph}, known, OPTIONS)
    assert known == {"<BOS>": 0, "<EOS>": 1, "<UNK>": 2, "a": 3, "b": 4, "c": 5}
    assert found.ids.tolist() == [[3, 4, 2, 5]] and found.lengths.tolist() == [4]
    assert found.verbs.astype(int).tolist() == [[[0, 1, 0, 0]]]
    assert found.nouns.astype(int).tolist() == [[[1, 0, 0, 0], [0, 0, 1, 1]]]
    assert found.roles.tolist() == [[0, 1, 2]]
    # sentence → verb, verb ↔ both nouns, as [target, source]
    assert found.edges[0].astype(int).tolist() == [[0, 0, 0, 0], [1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]]


def test_a_batch_is_cut_to_its_longest_caption():
    found = texts.encode(["a", "b c"], {"a": RoleGraph({}, ()), "b c": RoleGraph({}, ())}, {"a": 3}, OPTIONS)
    words = found.take(np.array([1, 0]))
    assert words.ids.tolist() == [[2, 2], [3, texts.EOS]] and words.verbs.shape == (2, 1, 2)


def test_captions_without_role_graph_are_named():
    with pytest.raises(UserError, match="1 captions have no role graph: a car;"):
        texts.encode(["a car", "rain"], {"rain": RoleGraph({}, ())}, {}, OPTIONS)


def test_frames_are_taken_at_even_distances_and_padded(features):
    one = part(features)
    clips = one.clips([0, 1])
    # round(linspace(0, 4, 3)) = 0, 2, 4
    assert clips.frames.tolist() == [[[0, 1], [4, 5], [8, 9]], [[1, 1], [0, 0], [0, 0]]]
    assert clips.lengths.tolist() == [3, 1]


def test_frames_are_those_nearest_to_even_distances(tmp_path):
    np.save(tmp_path / "mp.npy", np.arange(6, dtype="f4")[None, :, None])
    frames = Frames([tmp_path / "mp.npy"], RetrievalData(max_frames=4), ["a"])
    assert frames[SPLIT.videos[0]][:, 0].tolist() == [0, 2, 3, 5]  # of 0, 1.67, 3.33, 5


def test_a_batch_of_pairs(features):
    batch = part(features).batch(np.array([2, 1]))
    assert batch.clips.lengths.tolist() == [1, 3] and batch.words.lengths.tolist() == [2, 2]
    assert batch.relevance["both"].tolist() == [[1, 0.25], [0.25, 0.5]]
    assert batch.relevance["verbs"].tolist() == [[1, 0], [0, 0]]
    assert batch.relevance["nouns"].tolist() == [[1, 0.5], [0.5, 1]]
    assert batch.relevance["both"].dtype == torch.float32


def test_videos_on_one_side_only_are_named(features, caplog):
    caplog.set_level(logging.WARNING)
    with h5py.File(features, "a") as file:
        file["c"] = np.zeros((0, 2), "f4")
    videos = [*SPLIT.videos, Video("c", "c", (), ()), Video("d", "d", (), ())]
    pairs = np.array([*SPLIT.pairs.tolist(), [2, 0]])
    one = part(features, Corpus(videos, SPLIT.captions, pairs))
    assert one.left_out == {"c": "0 rows of features in features.hdf5", "d": "no features in features.hdf5"}
    assert one.videos.tolist() == [0, 1] and one.pairs.tolist() == SPLIT.pairs.tolist()
    assert "1 videos have no caption: d" in caplog.text
    assert "2 of 4 videos are left out: c (0 rows of features in features.hdf5), d (no features" in caplog.text
    assert one.gold().shape == (2, 3)


def test_pairs_of_similarities_count_the_videos_that_have_features(features):
    videos = [Video("x", "x", (), ()), *SPLIT.videos]
    one = part(features, Corpus(videos, SPLIT.captions, np.array([[0, 0], [1, 0], [1, 1], [2, 2]])))
    found = one.matrix(np.zeros((2, 3)))
    assert found.video_ids == ["a", "b"]
    assert found.pairs.tolist() == [[0, 0], [0, 1], [1, 2]]


def test_no_features_at_all_is_an_error(features):
    with pytest.raises(UserError, match="no video with a caption has features; looked for 'x'"):
        part(features, Corpus([Video("x", "x", (), ())], SPLIT.captions, np.array([[0, 0]])))


@pytest.mark.parametrize(
    ("stage", "cases"),
    [  # windows from 0 to 2, 2 to 4 … seconds; frames at 0, 2, 4 …
        ("s3d", ((0.0, 4.0, [0, 1]), (0.9, 3.1, [0, 1]), (1.1, 4.9, [1]), (3.2, 3.4, [1]), (8.9, 30, [4]))),
        ("clip", ((0.0, 4.0, [0, 1]), (0.9, 3.1, [1]), (1.1, 4.9, [1, 2]), (3.2, 3.4, [2]), (8.9, 30, [4]))),
    ],
)
def test_seconds_of_a_merged_file(tmp_path, stage, cases):
    with h5py.File(tmp_path / "rows.hdf5", "w") as file:
        file.attrs.update({"spec": json.dumps({"stage": stage}), "step": 2.0, "start": 0.0})
        file["a"] = np.arange(5, dtype="f4")[:, None]
    frames = Frames([tmp_path / "rows.hdf5"], RetrievalData())
    for start, end, rows in cases:
        assert frames[Video("a_0", "a", (), (), start, end)][:, 0].tolist() == rows, (start, end)


def test_files_side_by_side_of_other_lengths(features, tmp_path):
    """The longer is thinned out to the shorter, as upstream: rows linspace(0, 4, 2) of it."""
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["a"] = np.array([[7.0], [8.0]], "f4")
    frames = Frames([features, tmp_path / "other.hdf5"], OPTIONS)
    assert frames[SPLIT.videos[0]].tolist() == [[0, 1, 7], [8, 9, 8]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (h5py.ExternalLink("features.hdf5", "/a"), "odd.hdf5: a is no array of its own"),
        (h5py.SoftLink("/nowhere"), "odd.hdf5: a is no array of its own"),
        (h5py.Empty("f4"), "odd.hdf5: a is no array of its own"),
        (np.float32(3), "odd.hdf5: a is no array of its own"),
        (np.ones((2, 0), "f4"), r"odd.hdf5: a is \(2, 0\) of float32, not \(frames, dim\)"),
        (np.full((2, 2), 1e300), "features of a hold NaN or infinite numbers"),
        (np.ones((2, 3), "f4"), "features of a have 3 columns, those of b 2; give one kind"),
    ],
)
def test_odd_features_are_named(features, tmp_path, value, message):
    with h5py.File(tmp_path / "odd.hdf5", "w") as file:
        file["a"], file["b"] = value, np.ones((1, 2), "f4")
    with pytest.raises(UserError, match=message):
        part(tmp_path / "odd.hdf5").clips([1, 0])


def test_hgrs_arrays(tmp_path):
    np.save(tmp_path / "mp.npy", np.array([[1.0, 2.0], [3.0, 4.0]], "f4"))
    frames = Frames([tmp_path / "mp.npy"], OPTIONS, ["b", "a"])
    assert frames[SPLIT.videos[0]].tolist() == [[3, 4]] and frames.why_not(SPLIT.videos[1]) is None
    assert frames.why_not(Video("c", "c", (), ())) == "no features in mp.npy"
    with pytest.raises(UserError, match="doesn't say which row is which video"):
        Frames([tmp_path / "mp.npy"], OPTIONS)
    with pytest.raises(UserError, match=r"is \(2, 2\) for 1 names"):
        Frames([tmp_path / "mp.npy"], OPTIONS, ["a"])


def test_moments(features):
    one = part(features)
    moments = one.frames.measure(SPLIT.videos)
    rows = np.array([[0, 1], [4, 5], [8, 9], [1, 1]], "f8")
    np.testing.assert_allclose(moments.mean, rows.mean(0))
    np.testing.assert_allclose(moments.std, rows.std(0), rtol=1e-6)
    assert one.frames.measure(SPLIT.videos[1:]).std.tolist() == [1, 1]  # one frame: nothing varies


def test_a_vocabulary_without_the_special_words_has_room_for_them():
    assert texts.size({"a": 0}) == texts.UNK + 1
    assert texts.size({"a": 7}) == 8


def test_word_vectors_are_put_in(tmp_path):
    (tmp_path / "glove.txt").write_text("rain 1 2\nsun 3 4\n")
    weight = torch.zeros(4, 2)
    assert texts.put_vectors(weight, {"rain": 3, "car": 2}, tmp_path / "glove.txt") == 1
    assert weight.tolist() == [[0, 0], [0, 0], [0, 0], [1, 2]]
    with pytest.raises(UserError, match="word_dimension to that, not 5"):
        texts.put_vectors(torch.zeros(4, 5), {"rain": 3}, tmp_path / "glove.txt")
    with pytest.raises(UserError, match="none of the 1 words"):
        texts.put_vectors(torch.zeros(4, 2), {"zebra": 3}, tmp_path / "glove.txt")


def test_own_captions_become_clips(tmp_path):
    segments = [
        (0.0, 1.0, "Welcome!"),
        (1.0, 1.0, "A car stops."),
        (2.0, 1.0, "We're at the car."),
        (3.0, 2.0, "Rain!"),
    ]
    entry = {"captions": [{"start": start, "duration": length, "text": text} for start, length, text in segments]}
    (tmp_path / "captions.json").write_text(json.dumps({"v": entry, "w": {"captions": []}}))
    events = [{"start": 1.0, "end": 3.0, "type": "stop"}, {"start": 3.0, "end": 5.0, "type": ""}]
    gold = {"v": {"split": "train", "events": events}, "w": {"split": "train", "events": events}}
    (tmp_path / "annotations.json").write_text(json.dumps(gold))
    known = Lexicon({"stops": "stop", "rain": "rain"}, {"car": "car"})
    found = prepare.own(tmp_path / "captions.json", tmp_path / "annotations.json", known, "train")
    assert found.videos == [
        Video("v_0", "v", ("stop",), ("car",), 1.0, 3.0),
        Video("v_1", "v", ("rain",), (), 3.0, 5.0),
    ]
    assert [tuple(caption)[1:] for caption in found.captions] == [
        ("a car stops", ("stop",), ("car",)),
        ("we're at the car", ("stop",), ("car",)),  # its event's type: the words tell no action
        ("rain", ("rain",), ()),
    ]
    assert found.pairs.tolist() == [[0, 0], [0, 1], [1, 2]]
    again = {
        "v": gold["v"] | {"events": [{"start": 0.0, "end": 2.0, "type": ""}, {"start": 2.0, "end": 5.0, "type": ""}]}
    }
    entry["captions"] = [{"start": start, "duration": 1.0, "text": "Rain, a car!"} for start in (0.0, 3.0)]
    (tmp_path / "captions.json").write_text(json.dumps({"v": entry}))
    for split, pairs in (("train", [[0, 0], [1, 1]]), ("test", [[0, 0], [0, 1], [1, 0], [1, 1]])):
        (tmp_path / "annotations.json").write_text(json.dumps({"v": again["v"] | {"split": split}}))
        own = prepare.own(tmp_path / "captions.json", tmp_path / "annotations.json", known, split)
        assert (
            own.pairs.tolist() == pairs
        )  # captions of the same text are found with each other's videos, but in training
    for wrong in ([1], {"v": {"split": "train"}}, {"v": {"split": "train", "events": [{}]}}, {"v": 3}):
        (tmp_path / "wrong.json").write_text(json.dumps(wrong))
        with pytest.raises(UserError, match="are not this pipeline's captions and annotations"):
            prepare.own(tmp_path / "captions.json", tmp_path / "wrong.json", known, "train")
    with pytest.raises(UserError, match="no caption of the val videos"):
        prepare.own(tmp_path / "captions.json", tmp_path / "annotations.json", known, "val")


def test_options_that_a_dataset_has_no_use_for_are_refused(tmp_path):
    with pytest.raises(UserError, match="leave --sentences and --videos out"):
        prepare.main("train", tmp_path / "c.json", tmp_path, captions=tmp_path, known=tmp_path, videos=tmp_path)
    with pytest.raises(UserError, match="leave --captions and --lexicon out"):
        prepare.main("train", tmp_path / "c.json", tmp_path, "msvd", captions=tmp_path)


def test_published_datasets(tmp_path):
    """EPIC: a pair per clip in training, every narration once in val; MSR-VTT: classes pooled over a video's captions."""
    lines = ["narration_id,narration,verb_class,all_noun_classes", 'P1,open door,3,"[1]"', 'P2,open door,3,"[1, 2]"']
    (tmp_path / "epic.csv").write_text("\n".join([*lines, 'P3,close tap,4,"[2]"']))
    train = prepare.published(Dataset.EPIC100, tmp_path / "epic.csv", "train")
    assert train.pairs.tolist() == [[0, 0], [1, 1], [2, 2]]
    val = prepare.published(Dataset.EPIC100, tmp_path / "epic.csv", "val")
    assert [caption.text for caption in val.captions] == ["open door", "close tap"]
    assert val.pairs.tolist() == [[0, 0], [1, 0], [2, 1]] and val.videos[1].nouns == (1, 2)

    classes = {"video7_0": ([1], [5]), "video7_1": ([1], []), "video9_0": ([2], [6])}
    entries = {key: {"annotations": [{"verb_class": v, "noun_classes": n}]} for key, (v, n) in classes.items()}
    (tmp_path / "msrvtt.json").write_text(json.dumps({"database": entries}))
    (tmp_path / "sentences.json").write_text(json.dumps({"video7.mp4": ["a  car", "rain"], "video9.mp4": ["sun"]}))
    found = prepare.published(
        Dataset.MSRVTT, tmp_path / "msrvtt.json", "train", sentences=tmp_path / "sentences.json", min_share=0.6
    )
    assert found.videos == [Video("video7", "video7", (1,), ()), Video("video9", "video9", (2,), (6,))]
    assert [caption.text for caption in found.captions] == ["a car", "rain", "sun"]

    (tmp_path / "sentences.json").write_text(json.dumps({"video7.mp4": ["a car", "sun"], "video9.mp4": ["sun"]}))
    for split, pairs in (("train", [[0, 0], [0, 1], [1, 2]]), ("val", [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2]])):
        read = tmp_path / "msrvtt.json", split
        found = prepare.published(Dataset.MSRVTT, *read, sentences=tmp_path / "sentences.json")
        assert found.pairs.tolist() == pairs


def test_classes_that_are_a_string_are_named(tmp_path):
    entries = {"video7_0": {"annotations": [{"verb_class": "cut", "noun_classes": [1]}]}}
    (tmp_path / "msrvtt.json").write_text(json.dumps({"database": entries}))
    with pytest.raises(UserError, match="verb_class of caption 'video7_0': 'cut' is a string, not a list"):
        prepare.published(Dataset.MSRVTT, tmp_path / "msrvtt.json", "train")


def test_a_vocabulary_has_about_as_many_numbers_as_words(tmp_path):
    """The embedding has a row for every number."""
    (tmp_path / "word2int.json").write_text(json.dumps({"<UNK>": 2, "cut": 3, "onion": 7}))
    assert texts.size(texts.read_vocabulary(tmp_path / "word2int.json")) == 8
    (tmp_path / "word2int.json").write_text(json.dumps({"<UNK>": 2, "cut": 3, "onion": 10**10}))
    with pytest.raises(UserError, match="numbers 3 words up to 10000000000; number them from 0 without gaps"):
        texts.read_vocabulary(tmp_path / "word2int.json")


def test_role_numbers_fit_the_embedding():
    assert len(role_graphs.ROLES) == 16
