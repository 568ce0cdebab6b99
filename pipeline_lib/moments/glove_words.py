"""Sentences → words, as one of three tokenizers cuts them, and their vectors out of a file."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline_lib.config.moments import MomentsData
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import tagging, vocabulary
from pipeline_lib.moments.vocabulary import Cut, Vocabulary
from pipeline_lib.text import formats, tokens, treebank, vectors

_UNKNOWN_SEED = 0  # of the vector of words that have none
_PUBLISHED_SEED = 2019  # upstream's training draws that vector before anything else, so its checkpoints know it


class Words:
    """A tokenizer of words, whose vectors are looked up.

    Args:
        only: a glove.pkl's way: words that it doesn't know are left out, and a sentence is the mean of normalised words.
    """

    def __init__(
        self, options: MomentsData, known: Vocabulary, index: Mapping[str, int], matrix: np.ndarray, only: bool
    ) -> None:
        self.options, self.vocabulary, self._index, self.mean_of_unit = options, known, index, only
        self.dim = matrix.shape[1]
        unknown = np.zeros(self.dim, np.float32) if only else unknown_vector(self.dim, options)
        self._matrix = np.concatenate([matrix.astype(np.float32), unknown[None]])
        self._tag = tagging.of(options.tagger)
        self._split = tokens.glove if options.tokenizer == "glove_simple" else treebank.words

    def cut(self, sentence: str) -> Cut:
        """Words; of a glove.pkl only those it knows, or a single one that nobody knows."""
        words = self._split(sentence)
        pairs = list(zip(words, self._tag(words), strict=True))
        if self.mean_of_unit:
            pairs = [pair for pair in pairs if pair[0] in self._index] or pairs[:1]
        pairs = pairs[: self.options.max_words]
        return Cut([word for word, _ in pairs], [weight for _, weight in pairs])

    def vectors(self, cuts: Sequence[Cut]) -> list[np.ndarray]:
        """Rows of the table; words without one share a random vector (with a glove.pkl: zeros)."""
        return [self._matrix[[self._index.get(str(word), -1) for word in cut.tokens]] for cut in cuts]


def unknown_vector(dim: int, options: MomentsData) -> np.ndarray:
    """What words without a vector of their own have, (dim,) float32."""
    if options.uncounted_words == "as_published":
        return torch.randn(dim, generator=torch.Generator().manual_seed(_PUBLISHED_SEED)).numpy()
    return np.random.default_rng(_UNKNOWN_SEED).standard_normal(dim, np.float32)


def words(options: MomentsData, count_file: Path, vector_file: Path | None, texts: Iterable[str]) -> Words:
    """The tokenizer of words that the options name, with vectors of at least the words of `texts`."""
    if options.tokenizer == "glove_pkl":
        known, found = vocabulary.pickled(count_file, options.vocabulary_size)
        return Words(options, known, found.w2id, found.id2vec, only=True)
    known = vocabulary.words(count_file, options.vocabulary_size)
    if vector_file is None:
        raise UserError("moments.data.words is missing: a file of word vectors, .txt, .bin, .pkl or .safetensors")
    split = tokens.glove if options.tokenizer == "glove_simple" else treebank.words
    wanted = {word for text in texts for word in split(text)}
    if vector_file.suffix == ".txt":  # may hold 400 000 other words
        table = vectors.WordVectors.of(*formats.glove(vector_file, wanted=wanted))
    else:
        table = vectors.read(vector_file)
    if not any(word in table.index for word in wanted):
        raise UserError(f"{vector_file} has no vector of any word of the sentences; give vectors of English words")
    index = table.index
    if options.uncounted_words == "as_published":
        index = {word: place for word, place in index.items() if word in known.listed}
    return Words(options, known, index, table.matrix, only=False)
