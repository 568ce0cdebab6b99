"""Sentences → tokens, classes, weights and vectors, for each tokenizer; files that don't fit are named."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch

from pipeline_lib.config.moments import MomentsData
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import sentences, tagging, vocabulary
from pipeline_lib.moments.sentences import Sentences
from pipeline_lib.text import tokens

CPU = torch.device("cpu")
SIMPLE = MomentsData(tokenizer="glove_simple", vocabulary_size=3, max_words=5)


@pytest.fixture
def counts(tmp_path):
    path = tmp_path / "GloVe_tokenized_count.txt"
    path.write_text("person 4 9\nthe 5 7\nopens 3 2\ndoor 2 1\n")
    return path


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("person 3 4\nthe 0 2\nopens 1 0\ndoor 5 12\n")
    return path


def encode(options, counts, vectors, *texts):
    encoder = sentences.open_encoder(options, counts, vectors, texts, CPU)
    return Sentences.of(encoder, texts, options.normalise_text)


def test_words_labels_weights_and_vectors(counts, vectors):
    found = encode(SIMPLE, counts, vectors, "Person opens the door.")
    said = found.by_text["Person opens the door."]
    assert found.classes == 4 and found.dim == 2
    assert said.labels.tolist() == [0, 2, 1, 3]  # by rank in the file; `door` is the fourth and has no class
    assert said.unknown.tolist() == [False, False, False, True]
    assert said.weights.tolist() == [2 / 7, 2 / 7, 1 / 7, 2 / 7]  # `the` is masked half as often
    np.testing.assert_allclose(said.words, [[0.6, 0.8], [1, 0], [0, 1], [5 / 13, 12 / 13]], atol=1e-6)
    # the mean is that of the words as they were: (9, 18) / 4, then of unit length
    np.testing.assert_allclose(said.mean, [1 / np.sqrt(5), 2 / np.sqrt(5)], atol=1e-6)
    assert found.unknown == 0.25


def test_long_sentences_are_cut_and_strange_words_share_a_vector(counts, vectors):
    found = encode(SIMPLE, counts, vectors, "zebra the yak the door opens", "yak")
    long, short = found.by_text.values()
    assert len(long.words) == 5 and long.unknown.tolist() == [True, False, True, False, True]
    np.testing.assert_array_equal(long.words[0], long.words[2])
    np.testing.assert_array_equal(long.words[0], short.words[0])


def test_words_that_the_count_file_lacks_have_their_own_vector_or_as_published_none(counts, vectors):
    vectors.write_text(vectors.read_text() + "zebra 0 7\n")
    own = encode(SIMPLE, counts, vectors, "zebra door yak").by_text["zebra door yak"]
    np.testing.assert_allclose(own.words[:2], [[0, 1], [5 / 13, 12 / 13]], atol=1e-6)
    published = SIMPLE.model_copy(update={"uncounted_words": "as_published", "normalise_text": False})
    said = encode(published, counts, vectors, "zebra door yak").by_text["zebra door yak"]
    torch.manual_seed(2019)  # upstream's training: seeded, then its first draw is the vector of <UNK>
    unknown = torch.randn(2).numpy()
    np.testing.assert_array_equal(said.words, [unknown, [5, 12], unknown])  # door is counted, though it has no class


def test_treebank_words_have_punctuation(counts, vectors):
    said = encode(SIMPLE.model_copy(update={"tokenizer": "glove_nltk"}), counts, vectors, "The door.")
    assert said.by_text["The door."].labels.tolist() == [1, 3, 3]


def test_words_of_a_pickle(tmp_path):
    path = tmp_path / "glove.pkl"
    vector = [np.zeros(2, np.float32), np.array([3, 4], np.float32), np.array([0, 2], np.float32)]
    content = {"w2id": {"<PAD>": 0, "dog": 1, "barks": 2}, "id2vec": vector, "counter": Counter(barks=5, dog=2)}
    path.write_bytes(pickle.dumps(content))
    options = MomentsData(tokenizer="glove_pkl", vocabulary_size=1)
    found = encode(options, path, None, "A dog barks", "Meow")
    said = found.by_text["A dog barks"]  # `a` is not in it, so it is no word
    assert said.labels.tolist() == [1, 0] and said.unknown.tolist() == [True, False]
    # the mean of the normalised words, (0.6, 1.8) / 2, of unit length
    np.testing.assert_allclose(said.mean, [1 / np.sqrt(10), 3 / np.sqrt(10)], atol=1e-6)
    assert found.by_text["Meow"].words.tolist() == [[0, 0]]  # one word that nobody knows, where upstream fails


def test_clip_has_start_and_end(tmp_path):
    path = tmp_path / "CLIP_tokenized_count.txt"
    ids = tokens.clip("a dog runs")
    path.write_text(f"{ids[1]} 7\n{ids[0]} 5\n")
    known = vocabulary.clip(path, 10)
    assert known.classes == 13 and known.label(ids[1]) == 0 and known.label(ids[2]) == 10
    cut = vocabulary.Cut([*ids], tagging.closed_class(["a", "dog", "runs"]))
    said = sentences._finish(cut, np.ones((5, 4), np.float32), known, True, False)
    assert said.labels.tolist() == [11, 1, 0, 10, 12]
    assert said.unknown.tolist() == [False, False, False, True, False]
    assert said.weights.tolist() == [0, 0.2, 0.4, 0.4, 0]


def test_weights_of_words():
    words = ["a", "person", "is", "putting", "it", "on", "the", "Shelf", ".", "2", "'s", "quickly"]
    assert tagging.closed_class(words) == [1, 2, 2, 2, 1, 1, 1, 2, 1, 1, 1, 2]


def test_nltk_is_asked_for_by_name(monkeypatch):
    import sys
    from types import SimpleNamespace

    tags = {"word": "NN", "where": "WRB", "the": "DT"}
    stand_in = SimpleNamespace(pos_tag=lambda words: [(word, tags[word]) for word in words])
    monkeypatch.setitem(sys.modules, "nltk", stand_in)
    assert tagging.of("nltk")(["where", "the", "word"]) == [2, 1, 2]
    monkeypatch.setitem(sys.modules, "nltk", None)
    with pytest.raises(UserError, match="needs NLTK and its data: pip install nltk"):
        tagging.of("nltk")


def test_a_count_file_of_another_dataset_is_refused(counts, vectors):
    found = encode(SIMPLE, counts, vectors, "person door zebra yak gnu")
    with pytest.raises(UserError, match=r"80% of the tokens of train are not among the classes of .*another dataset\?"):
        found.check(counts, "train", counted=False)


def test_a_count_file_of_other_sentences_is_refused_where_it_should_list_all(counts, vectors):
    fine = encode(SIMPLE, counts, vectors, *["person opens the door."] * 2)
    fine.check(counts, "train", counted=True)  # door has no class, but the file has it; the full stop is no word
    found = encode(SIMPLE, counts, vectors, "the person opens the person", "the door opens the zebra")
    found.check(counts, "test", counted=False)
    with pytest.raises(UserError, match=r"10\.0% of the words of train are not in .*another dataset\?"):
        found.check(counts, "train", counted=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected lines word id count"),
        ("269 16139\n", "line 1: '269 16139'; expected word id count"),
        ("a 2 x\n", "line 1: 'a 2 x'; expected"),
        ("a 2 5\na 3 4\n", "line 2: a stands there twice"),
    ],
)
def test_broken_count_files_are_named(counts, content, message):
    counts.write_text(content)
    with pytest.raises(UserError, match=message):
        vocabulary.words(counts, 5)


def test_clip_counts_are_not_taken_for_words(counts):
    with pytest.raises(UserError, match="line 1: 'person 4 9'; expected id count"):
        vocabulary.clip(counts, 5)


def test_vectors_of_other_words_are_refused(counts, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("hund 1 2\n")
    with pytest.raises(UserError, match="has no vector of any word"):
        encode(SIMPLE, counts, path, "person opens")


def test_symbols_of_clip():
    encode = tokens.clip_encoder()
    assert [encode.symbol(one) for one in encode("Skateboarders!")] == ["skate", "boar", "ders", "!"]
