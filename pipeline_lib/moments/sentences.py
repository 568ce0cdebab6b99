"""Sentences → vectors of their words, and what masked-word reconstruction wants of them; each once, kept in memory.

Upstream runs its frozen text networks in every step; what they give is the same each time.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from pipeline_lib.config.moments import MomentsData
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.moments import glove_words, vocabulary
from pipeline_lib.moments.vocabulary import Cut, Vocabulary

log = logging.getLogger(__name__)
_EPSILON = 1e-5  # least length that words are divided by, as upstream
_STRANGE = 0.5  # share of tokens without a class from which a count file is of no use
_UNLISTED = 0.01  # the same of words that the dataset's own count file lacks: its own lack 0.1 %, others 1.6 to 33 %


class Sentence(NamedTuple):
    """A sentence of L tokens."""

    words: np.ndarray  # (L, dim) float32
    mean: np.ndarray  # (dim,) float32
    labels: np.ndarray  # (L,) int64
    unknown: np.ndarray  # (L,) bool: tokens without a class of their own
    weights: np.ndarray  # (L,) float64, summing to 1: how likely each is masked


class Encoder(Protocol):
    """What turns sentences into tokens and vectors.

    Attributes:
        dim: of a word's vector.
        mean_of_unit: whether a sentence is the mean of its normalised words; otherwise of the words as they are.
    """

    dim: int
    mean_of_unit: bool
    vocabulary: Vocabulary

    def cut(self, sentence: str) -> Cut:
        """Its tokens, those beyond max_words left out."""

    def vectors(self, cuts: Sequence[Cut]) -> list[np.ndarray]:
        """(L, dim) float32 of each sentence, with the start and end where there are such."""


@dataclass(frozen=True)
class Sentences:
    """Different sentences, encoded.

    Attributes:
        dim: of a word's vector.
        classes: of words.
        unknown: share of the tokens that have no class of their own.
        unlisted: share of the tokens, punctuation left out, that the count file doesn't have at all.
    """

    by_text: dict[str, Sentence]
    dim: int
    classes: int
    unknown: float
    unlisted: float

    @classmethod
    def of(cls, encoder: Encoder, texts: Iterable[str], normalise: bool) -> "Sentences":
        """Encode sentences, each once however often it comes."""
        different = list(dict.fromkeys(texts))
        cuts = [encoder.cut(text) for text in different]
        ready = [
            _finish(cut, rows, encoder.vocabulary, normalise, encoder.mean_of_unit)
            for cut, rows in zip(cuts, encoder.vectors(cuts), strict=True)
        ]
        known = encoder.vocabulary
        said = [token for cut in cuts for token in cut.tokens]
        strange = sum(token not in known.labels for token in said)
        spoken = [token for token in said if any(map(str.isalnum, str(token)))]
        unlisted = sum(token not in known.listed for token in spoken)
        return cls(
            dict(zip(different, ready, strict=True)),
            encoder.dim,
            known.classes,
            strange / max(len(said), 1),
            unlisted / max(len(spoken), 1),
        )

    def check(self, path: Path, split: str, counted: bool) -> None:
        """Refuse a count file that knows few of the words, or is of other sentences.

        Args:
            counted: these sentences are among those that the file should be counted from.
        """
        if counted and self.unlisted > _UNLISTED:
            raise UserError(
                one_line(
                    f"{self.unlisted:.1%} of the words of {split} are not in {path}; is it the count file of another dataset? "
                    "Give its own, which python -m pipeline_lib.text.token_counts makes"
                )
            )
        if self.unknown > _STRANGE:
            raise UserError(
                one_line(
                    f"{self.unknown:.0%} of the tokens of {split} are not among the classes of {path}; "
                    "is it the count file of another dataset? Make one with python -m pipeline_lib.text.token_counts, "
                    "or raise moments.data.vocabulary_size"
                )
            )
        log.info("%s: %.1f%% of the tokens of %s have no class", path, 100 * self.unknown, split)


def _finish(cut: Cut, rows: np.ndarray, known: Vocabulary, normalise: bool, mean_of_unit: bool) -> Sentence:
    """Labels and weights of a sentence, its words and their mean at unit length.

    Args:
        mean_of_unit: as upstream has it with a glove.pkl.
    """
    labels = [known.label(token) for token in cut.tokens]
    unknown = [label == known.size for label in labels]
    weights: list[float] = [float(weight) for weight in cut.weights]
    if known.marks:
        labels = [known.size + 1, *labels, known.size + 2]
        unknown, weights = [False, *unknown, False], [0.0, *weights, 0.0]
    unit = _unit(rows) if normalise else rows
    mean = (unit if mean_of_unit else rows).mean(0, dtype=np.float32)
    likely = np.array(weights)
    return Sentence(
        unit,
        _unit(mean[None])[0] if normalise else mean,
        np.array(labels, np.int64),
        np.array(unknown, bool),
        likely / max(likely.sum(), 1.0),
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    found: np.ndarray = (rows / np.maximum(length, _EPSILON)).astype(np.float32)
    return found


def open_encoder(
    options: MomentsData, count_file: Path, vector_file: Path | None, texts: Iterable[str], where: torch.device
) -> Encoder:
    """The encoder that the options name."""
    if options.tokenizer != "clip":
        return glove_words.words(options, count_file, vector_file, texts)
    from pipeline_lib.moments.clip_words import ClipWords  # here, because open_clip takes seconds

    if vector_file is None:
        raise UserError("moments.data.words is missing: weights of CLIP's text network")
    return ClipWords(options, vocabulary.clip(count_file, options.vocabulary_size), vector_file, where)
