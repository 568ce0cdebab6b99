"""Captions and published files → word vectors."""

import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from pipeline_lib.core.errors import UserError
from pipeline_lib.text import random_indexing, vectors
from pipeline_lib.text.vectors import WordVectors, derive, load, read

WORDS = ["the", "Café", "it's"]
MATRIX = np.array([[1, 2, 3], [0.5, 0, -1], [0, 1e-3, 7]], np.float32)


def assert_same(found: WordVectors, words: list[str] = WORDS, matrix: np.ndarray = MATRIX) -> None:
    assert list(found.index.items()) == list(zip(words, range(len(words)), strict=True))
    assert found.matrix.dtype == np.float32
    np.testing.assert_array_equal(found.matrix, matrix)


def test_saved_vectors_come_back_and_bytes_repeat(tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    WordVectors.of(WORDS, MATRIX).save(first)
    WordVectors.of(WORDS, MATRIX.copy(order="F")).save(second)
    assert_same(load(first))
    assert first.read_bytes() == second.read_bytes()
    (tmp_path / "plain").touch()
    assert first.stat().st_mode == (tmp_path / "plain").stat().st_mode  # readable by others as any other file
    assert_same(read(first, limit=2), WORDS[:2], MATRIX[:2])


def test_no_words_can_be_saved(tmp_path: Path) -> None:
    derive([], 5).save(tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors").matrix.shape == (0, 5)


def test_word2vec_binary(tmp_path: Path) -> None:
    made = KeyedVectors(3)
    made.add_vectors(WORDS, MATRIX)
    path = tmp_path / "w.bin"
    made.save_word2vec_format(str(path), binary=True)
    assert_same(read(path))
    assert_same(read(path, limit=1), WORDS[:1], MATRIX[:1])
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"w\.bin is not a whole"):
        read(path)


@pytest.mark.parametrize("header", ["", "3 3\n"])
def test_glove_text(tmp_path: Path, header: str) -> None:
    path = tmp_path / "w.txt"
    path.write_text(header + "the 1 2 3\nCafé 0.5 0 -1\nit's 0 1e-3 7\n", encoding="utf-8")
    assert_same(read(path))
    assert_same(read(path, limit=2), WORDS[:2], MATRIX[:2])


def test_glove_words_with_spaces_and_twice(tmp_path: Path) -> None:
    path = tmp_path / "w.txt"
    path.write_bytes("the 1 2\n. . . 3 4\nthe 5 6\nx\x85y 7 8 \r\n".encode())
    assert_same(read(path), ["the", ". . .", "x\x85y"], np.array([[1, 2], [3, 4], [7, 8]]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the 1 2\ncat 3\n", r"w\.txt line 2: expected a word and 2 numbers"),
        ("2 2\nthe 1 2\ncat 3 x\n", "line 3: expected"),
        ("3 2\nthe 1 2\n", "has 1 of the 3 words"),
        ("the 1 nan\n", "NaN"),
        ("", "not a GloVe file"),
        ("<html>\n", "not a GloVe file"),
    ],
)
def test_damaged_glove_text_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "w.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read(path)


def test_glove_pickle(tmp_path: Path) -> None:
    path = tmp_path / "glove.pkl"
    content = {
        "w2id": dict(zip(WORDS, (2, 0, 1), strict=True)),
        "id2vec": list(MATRIX[[1, 2, 0]]),
        "counter": Counter(WORDS),
    }
    path.write_bytes(pickle.dumps(content, 2))
    assert_same(read(path), ["Café", "it's", "the"], MATRIX[[1, 2, 0]])
    path.write_bytes(pickle.dumps({"wtoi": {}}))
    with pytest.raises(UserError, match=r"glove\.pkl is not a glove\.pkl \('w2id'\)"):
        read(path)
    path.write_bytes(pickle.dumps({"w2id": {"a": 5}, "id2vec": []}))
    with pytest.raises(UserError, match="not a glove"):
        read(path)


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    for name in ("a.bin", "a.txt", "a.pkl", "a.safetensors"):
        with pytest.raises(UserError, match=f"{name} does not exist"):
            read(tmp_path / name)
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a file of word vectors"):
        load(tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="no reader for this name"):
        read(tmp_path / "a.vec")


CORPUS = ["A man rides the horse", "A woman rides the horse", "it's raining: Man the boats"]


def test_derived_vectors_are_unit_and_keep_case() -> None:
    found = derive(CORPUS, 64, seed=1)
    assert list(found.index) == ["A", "Man", "boats", "horse", "it's", "man", "raining", "rides", "the", "woman"]
    np.testing.assert_allclose(np.linalg.norm(found.matrix, axis=1), 1, atol=1e-6)
    assert_same(derive(reversed(CORPUS), 64, seed=1), list(found.index), found.matrix)
    assert not np.allclose(found.matrix, derive(CORPUS, 64, seed=2).matrix)


def test_shared_neighbours_bring_words_together() -> None:
    found = derive(CORPUS, 4096)

    def likeness(one: str, other: str) -> float:
        return float(found.matrix[found.index[one]] @ found.matrix[found.index[other]])

    assert likeness("man", "woman") > 0.05 > abs(likeness("woman", "boats"))


def test_other_words_dont_change_a_vector() -> None:
    before, after = derive(["some lonely words"], 32), derive(["some lonely words", "others entirely"], 32)
    for word, row in before.index.items():
        np.testing.assert_array_equal(before.matrix[row], after.matrix[after.index[word]])


def test_a_derived_vector_is_its_own_and_a_share_of_its_neighbours() -> None:
    own = {word: random_indexing.index_vector(word, 16, 0) for word in "abcd"}
    around = own["b"] + own["c"]  # within two words of a; d is three away
    expected = own["a"] + random_indexing.SHARE * around / np.linalg.norm(around)
    found = derive(["a b c d"], 16)
    np.testing.assert_allclose(found.matrix[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_index_vectors_are_fixed_forever() -> None:
    found = random_indexing.index_vector("horse", 8, 0)
    assert (found / found[0]).round(3).tolist() == [1.0, -0.209, 1.308, 2.055, -2.78, 1.352, -0.648, 2.099]


def test_command_line_takes_words_of_captions_and_articles(tmp_path: Path) -> None:
    captions = tmp_path / "captions.json"
    captions.write_text(
        json.dumps({"a": {"captions": [{"start": 0, "text": "Said aloud"}], "article": "Only written."}})
    )
    out = tmp_path / "words.safetensors"
    vectors.main(captions, out, dimension=12, seed=3)
    assert list(load(out).index) == ["Only", "Said", "aloud", "written"]
    first = out.read_bytes()
    vectors.main(captions, out, dimension=12, seed=3)
    assert out.read_bytes() == first
    text = tmp_path / "glove.txt"
    text.write_text("b 1 2\na 3 4\n")
    vectors.main(captions, out, words=str(text))
    assert_same(load(out), ["b", "a"], np.array([[1, 2], [3, 4]]))
