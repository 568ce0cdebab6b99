"""Published word vectors (word2vec .bin, GloVe .txt, glove.pkl) → a list of words and a matrix of their vectors."""

from collections.abc import Container
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline_lib.core import pickles
from pipeline_lib.core.errors import UserError, one_line

Words = tuple[list[str], np.ndarray]  # n different words, (n, dimension) float32


def word2vec(path: Path, limit: int | None = None) -> Words:
    """The first `limit` words of a word2vec .bin or .bin.gz (GoogleNews-vectors-negative300)."""
    from gensim.models import KeyedVectors  # here, because it takes seconds

    _exists(path)
    try:
        vectors = KeyedVectors.load_word2vec_format(str(path), binary=True, limit=limit, unicode_errors="replace")
    except (ValueError, EOFError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a whole word2vec .bin ({one_line(error)}); fetch it again") from None
    return list(vectors.index_to_key), np.asarray(vectors.vectors, np.float32)


def glove(path: Path, limit: int | None = None, wanted: Container[str] | None = None) -> Words:
    """The first `limit` words of a text file, one `word v1 … vd` a line, with or without a line `n d` first.

    A word may hold spaces (glove.840B has `. . .`); of a word that comes twice the first vector is kept. With `wanted`
    only words in it are kept, and only their lines and the last are parsed: nearly all the time goes into numbers.
    """
    _exists(path)
    index: dict[str, int] = {}
    content = bytearray()  # grows in place: the rows of glove.840B are 2.6 GB
    with open(path, "rb") as stream:
        declared, dimension = _header(stream)
        if dimension < 1:
            raise UserError(f"{path} is not a GloVe file: its first line is not a word and its vector")
        first = 1 if declared is None else 2
        number, line = first - 1, b""
        for number, line in enumerate(stream, first):
            if limit is not None and len(index) >= limit:
                break
            if wanted is not None and line[: line.find(b" ")].decode("utf-8", "replace") not in wanted:
                continue
            word, values = _glove_line(line, dimension, f"{path} line {number}")
            if word not in index and (wanted is None or word in wanted):
                index[word] = len(index)
                content += values.tobytes()
        else:
            if declared is not None and number - 1 < declared:
                raise UserError(f"{path} has {number - 1} of the {declared} words it declares; fetch it again")
            if line:
                _glove_line(line, dimension, f"{path} line {number}")  # a file that was cut off ends in half a line
    return list(index), np.frombuffer(content, np.float32).reshape(len(index), dimension)


def _header(stream: BinaryIO) -> tuple[int | None, int]:
    """(declared words or None, dimension) of a text file, which is left at its first word."""
    fields = stream.readline().split(b" ")
    if len(fields) == 2 and all(field.strip().isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    stream.seek(0)
    return None, len(fields) - 1


def _glove_line(line: bytes, dimension: int, where: str) -> tuple[str, np.ndarray]:
    fields = line.rstrip(b" \r\n").rsplit(b" ", dimension)
    try:
        if len(fields) != dimension + 1 or not fields[0]:
            raise ValueError
        values = np.array(fields[1:], dtype="S").astype(np.float32)
    except ValueError:
        raise UserError(f"{where}: expected a word and {dimension} numbers; fetch the file again") from None
    return fields[0].decode("utf-8", "replace"), values


def glove_pickle(path: Path, limit: int | None = None) -> Words:
    """The first `limit` words, by id, of a glove.pkl: a dict with w2id, id2vec and counter (specs: mesm §3)."""
    content = pickles.load(path)
    try:
        w2id, id2vec = content["w2id"], content["id2vec"]
        words = sorted(w2id, key=lambda word: w2id[word])[:limit]
        rows = [np.asarray(id2vec[w2id[word]], np.float32) for word in words]
        matrix = np.stack(rows) if rows else np.zeros((0, 0), np.float32)
        if not all(isinstance(word, str) for word in words) or matrix.ndim != 2:
            raise TypeError("words that are not text or vectors that are not flat")
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise UserError(
            f"{path} is not a glove.pkl ({one_line(error)}); "
            "expected a dict with w2id = {word: id} and id2vec = [vector of the id]"
        ) from None
    return words, matrix


def _exists(path: Path) -> None:
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist; correct the path")
