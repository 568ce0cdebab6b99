"""Sentences and vectors → a vocabulary, its files, and glove.pkl as other people's code loads it."""

import json
import pickle
import string
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.text import formats, glove, treebank
from pipeline_lib.text.corpora import Corpus
from pipeline_lib.text.glove import Vocabulary, build, read
from pipeline_lib.text.vectors import WordVectors

SENTENCES = ["The cat isn't here.", "a CAT, the cat"]
KNOWN = WordVectors.of(["cat", ".", "the", "n't"], np.arange(12, dtype=np.float32).reshape(4, 3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("He's here, isn't he?", "he 's here , is n't he ?"),
        ("Two cups. She drinks (tea) at 4:30.", "two cups . she drinks ( tea ) at 4:30 ."),
        ('They said "cut it": done.', "they said `` cut it '' : done ."),
        ("Mr. Smith cannot stop... he's gonna", "mr. smith can not stop ... he 's gon na"),
        ("the dogs' 1,000 bones -- a 'good' lot", "the dogs ' 1,000 bones -- a ' good ' lot"),
        ("washer/dryer and half-eaten.then", "washer/dryer and half-eaten.then"),
        ("", ""),
    ],
)
def test_words_are_cut_as_the_treebank_does(text: str, words: str) -> None:
    assert treebank.words(text) == words.split()


def test_ids_and_counts_are_in_order_of_first_appearance() -> None:
    found = build(SENTENCES, KNOWN)
    assert list(found.w2id.items()) == [("<PAD>", 0), ("the", 1), ("cat", 2), ("n't", 3), (".", 4)]
    assert list(found.counter.items()) == [("the", 2), ("cat", 3), ("n't", 1), (".", 1)]
    np.testing.assert_array_equal(found.id2vec, [[0, 0, 0], [6, 7, 8], [0, 1, 2], [9, 10, 11], [3, 4, 5]])
    assert build([], KNOWN).id2vec.shape == (1, 3)


def test_files_come_back_and_bytes_repeat(tmp_path: Path) -> None:
    found = build(SENTENCES, KNOWN)
    found.save(tmp_path / "a")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["glove.json", "glove.safetensors"]
    found.save(tmp_path / "a", pkl=True)
    for source in (tmp_path / "a", tmp_path / "a" / "glove.pkl"):
        again = read(source)
        assert list(again.w2id.items()) == list(found.w2id.items())
        assert list(again.counter.items()) == list(found.counter.items())
        np.testing.assert_array_equal(again.id2vec, found.id2vec)
        again.save(tmp_path / "b", pkl=True)
        for name in ("glove.json", "glove.safetensors", "glove.pkl"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_pickle_is_what_its_readers_index(tmp_path: Path) -> None:
    build(SENTENCES, KNOWN).save(tmp_path, pkl=True)
    content = (tmp_path / "glove.pkl").read_bytes()
    assert b"numpy._core" not in content  # NumPy 1 has no such module
    vocabulary = pickle.loads(content)
    assert list(vocabulary) == ["w2id", "id2vec", "counter"]
    assert type(vocabulary["w2id"]) is dict and type(vocabulary["id2vec"]) is list
    assert type(vocabulary["counter"]) is Counter
    assert vocabulary["counter"].most_common(2) == [("cat", 3), ("the", 2)]
    vector = vocabulary["id2vec"][vocabulary["w2id"]["cat"]]
    assert type(vector) is np.ndarray and vector.dtype == np.float32 and vector.tolist() == [0, 1, 2]


def test_hostile_and_wrong_vocabularies_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "glove.pkl"
    path.write_bytes(pickle.dumps({"w2id": {}, "id2vec": print, "counter": Counter()}))
    with pytest.raises(UserError, match="is not data; nothing was executed"):
        read(path)
    for content in ([1], {"w2id": {"a": 0}}, {"w2id": {"a": 5}, "id2vec": [np.zeros(2)], "counter": {}}):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(UserError, match="expected w2id, id2vec and counter that agree"):
            read(path)
    with pytest.raises(UserError, match="does not exist"):
        read(tmp_path / "absent")
    with pytest.raises(ValueError, match="1 words and 1 counts"):
        Vocabulary({"<PAD>": 0}, np.zeros((1, 2)), Counter(["b"]))


def test_only_wanted_lines_of_a_large_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("a 1 2\n. . 3 4\nb 5 x\n. 5 6\na 7 8\nend 1 2\n")
    words, matrix = formats.glove(path, wanted={"a", "."})
    assert words == ["a", "."] and matrix.tolist() == [[1, 2], [5, 6]]
    with pytest.raises(UserError, match="line 3: expected a word and 2 numbers"):
        formats.glove(path, wanted={"b"})
    path.write_text("a 1 2\nend 1")
    with pytest.raises(UserError, match="line 2: expected a word and 2 numbers"):
        formats.glove(path, wanted={"a"})
    path.write_text("2 3\n")
    with pytest.raises(UserError, match="has 0 of the 2 words"):
        formats.glove(path)


@pytest.mark.parametrize("suffix", [".txt", ".safetensors"])
def test_command_line(tmp_path: Path, suffix: str) -> None:
    entry = {"timestamps": [[0, 1]], "fps": 1, "num_frames": 2}
    for split, sentence in zip(("train", "test"), SENTENCES, strict=True):
        (tmp_path / f"{split}.json").write_text(json.dumps({"v.avi": entry | {"sentences": [sentence]}}))
    vectors = tmp_path / f"vectors{suffix}"
    if suffix == ".txt":
        rows = zip(KNOWN.index, KNOWN.matrix, strict=True)
        vectors.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows))
    else:
        KNOWN.save(vectors)
    glove.main(Corpus.TACOS, tmp_path, vectors, tmp_path / "out", pkl=True)
    assert read(tmp_path / "out" / "glove.pkl").pickled() == build(SENTENCES, KNOWN).pickled()


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("mine")
    with pytest.raises(UserError, match=r"README\.md is no folder; give the folder that holds"):
        glove.main(Corpus.TACOS, file, tmp_path / "vectors.txt", tmp_path / "out")
    with pytest.raises(UserError, match=r"README\.md is a file; give --out a folder"):  # before anything is read
        glove.main(Corpus.TACOS, tmp_path / "none", tmp_path / "vectors.txt", file)


def test_every_ascii_character_is_cut_into_something() -> None:
    for character in string.printable:
        assert "".join(treebank.words(f"a{character}b")).replace(" ", "") or not character.strip()
