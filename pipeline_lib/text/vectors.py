"""Captions and articles, or published word vectors → one safetensors file of words and vectors, and back.

The file holds `matrix` (n, dimension) float32 and `words`, a JSON list of the n words as UTF-8 bytes (uint8).
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import safetensors.numpy
import typer
from safetensors import SafetensorError

from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.text import formats, random_indexing, sentences

log = logging.getLogger(__name__)
COMMAND = "python -m pipeline_lib.text.vectors"
READERS = {
    ".bin": formats.word2vec,
    ".bin.gz": formats.word2vec,
    ".txt": formats.glove,
    ".pkl": formats.glove_pickle,
}


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors of words.

    Attributes:
        index: word → its row; the i-th word has row i.
        matrix: (n, dimension) float32.
    """

    index: dict[str, int]
    matrix: np.ndarray

    @classmethod
    def of(cls, words: list[str], matrix: np.ndarray) -> "WordVectors":
        """Vectors from different words and the rows that belong to them; anything else is a ValueError."""
        index = {word: row for row, word in enumerate(words)}
        if matrix.ndim != 2 or len(matrix) != len(words) or len(index) != len(words):
            raise ValueError(f"{len(words)} words, {len(index)} different, for a matrix of {matrix.shape}")
        return cls(index, np.ascontiguousarray(matrix, np.float32))

    def save(self, path: Path) -> None:
        """Write the file atomically; equal vectors give equal bytes."""
        words = json.dumps(list(self.index), ensure_ascii=True, separators=(",", ":")).encode()
        tensors = {"matrix": self.matrix, "words": np.frombuffer(words, np.uint8)}
        with files.atomic_for_all(path) as temporary:
            safetensors.numpy.save_file(tensors, temporary)


def load(path: Path) -> WordVectors:
    """Read a file that `WordVectors.save` wrote; a missing or foreign one is a UserError."""
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist; make it with {COMMAND}, or correct the path")
    try:
        tensors = safetensors.numpy.load_file(path)
        return WordVectors.of(json.loads(tensors["words"].tobytes()), tensors["matrix"])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is not a file of word vectors ({one_line(error)}); make it again with {COMMAND}"
        ) from None


def read(path: Path, limit: int | None = None) -> WordVectors:
    """The first `limit` words (all by default) of a file in any known format, chosen by its suffix.

    Raises:
        UserError: unknown suffix, missing or broken file.
    """
    name = Path(path).name
    if name.endswith(".safetensors"):
        vectors = load(path)
        return WordVectors.of(list(vectors.index)[:limit], vectors.matrix[:limit])
    for suffix, reader in READERS.items():
        if name.endswith(suffix):
            words, matrix = reader(Path(path), limit)
            if not np.isfinite(matrix.sum(dtype=np.float64)):
                raise UserError(f"{path} holds NaN or infinite numbers; fetch it again")
            return WordVectors.of(words, matrix)
    raise UserError(f"{path}: no reader for this name; give a {', '.join(READERS)} or .safetensors file")


def derive(texts: Iterable[str], dimension: int = 300, seed: int = 0) -> WordVectors:
    """Small vectors from sentences alone (random_indexing), for runs without published ones."""
    return WordVectors.of(*random_indexing.derive(texts, dimension, seed))


def main(
    captions: Annotated[Path, typer.Option(help="vid2article JSON whose captions and articles give words")],
    out: Annotated[Path, typer.Option(help="safetensors file to write")],
    words: Annotated[str, typer.Option(help="captions (derive) | .bin, .txt, .pkl, .safetensors")] = "captions",
    dimension: Annotated[int, typer.Option(min=2, help="of derived vectors")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="of derived vectors")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="keep the first words of a file only")] = None,
) -> None:
    """Write word vectors for training: derived from captions and articles, or read from a published file."""
    entries = sentences.read(captions)
    corpus = [*sentences.captions(entries), *sentences.articles(entries)]
    vectors = derive(corpus, dimension, seed) if words == "captions" else read(Path(words), limit)
    occurring = {word for sentence in corpus for word in random_indexing.WORD.findall(sentence)}
    vectors.save(out)
    known = sum(word in vectors.index for word in occurring)
    log.info("%s: %d vectors; %d of the %d words of %s", out, len(vectors.index), known, len(occurring), captions)


if __name__ == "__main__":
    cli.run(main)
