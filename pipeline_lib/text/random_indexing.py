"""Sentences → word vectors by random indexing: each word's own fixed vector with a little of its neighbours'.

Kanerva, Kristoferson, Holst, "Random indexing of text samples for latent semantic analysis" (CogSci 2000);
Sahlgren, "An introduction to random indexing" (2005). Unlike there, the index vectors are dense and a word keeps
most of its own, so that in a small corpus words stay apart and only lean towards those with the same neighbours.
"""

import hashlib
import re
from collections.abc import Iterable

import numpy as np
from scipy.sparse import coo_array

WORD = re.compile(r"[\w']+")  # case kept, as the readers of these vectors cut words (specs: milo §1.6)
WINDOW = 2  # words to either side
SHARE = 0.3  # length of the neighbours' part against the word's own


def index_vector(word: str, dimension: int, seed: int) -> np.ndarray:
    """A word's own unit vector (dimension,) float64: it depends on the word and the seed, on nothing else.

    Made of hash bytes rather than a random generator, whose streams may change between versions of numpy.
    """
    content = hashlib.shake_256(f"{seed}:{word}".encode()).digest(dimension)
    vector = np.frombuffer(content, np.uint8) - 127.5
    return np.asarray(vector / np.linalg.norm(vector))


def derive(sentences: Iterable[str], dimension: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Words of `sentences`, sorted, and their vectors.

    Args:
        sentences: neighbours are looked for inside a sentence only; the order of sentences doesn't matter.
        dimension: of the vectors.
        seed: of the index vectors.

    Returns:
        n words and (n, dimension) float32, rows of length 1.
    """
    tokens = [WORD.findall(sentence) for sentence in sentences]
    words = sorted({word for sentence in tokens for word in sentence})
    if not words:
        return [], np.zeros((0, dimension), np.float32)
    position = {word: i for i, word in enumerate(words)}
    own = np.stack([index_vector(word, dimension, seed) for word in words])
    rows = [[position[word] for word in sentence] for sentence in tokens]
    neighbours = _cooccurrences(rows, len(words)) @ own
    lengths = np.linalg.norm(neighbours, axis=1, keepdims=True)
    vectors = own + SHARE * neighbours / np.maximum(lengths, 1e-12)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return words, vectors.astype(np.float32)


def _cooccurrences(sentences: list[list[int]], n: int) -> coo_array:
    """Sparse (n, n) float64: how often word j stands within WINDOW words of word i."""
    gap = [-1] * WINDOW  # keeps the words of two sentences apart
    stream = np.array([word for sentence in sentences for word in [*sentence, *gap]], np.int64)
    left, right = [], []
    for distance in range(1, WINDOW + 1):
        first, second = stream[:-distance], stream[distance:]
        inside = (first >= 0) & (second >= 0)
        left += [first[inside], second[inside]]
        right += [second[inside], first[inside]]
    pairs, counts = np.unique(np.concatenate(left) * n + np.concatenate(right), return_counts=True)
    return coo_array((counts.astype(np.float64), (pairs // n, pairs % n)), shape=(n, n)).tocsr()
