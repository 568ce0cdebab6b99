"""Sentences → embeddings in the joint space of S3D-G, with the parameter names of the published checkpoint.

As in antoine77340/S3D_HowTo100M (s3dg.py): a bag of at most 16 known words, no weights for their order.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline_lib.core.errors import UserError

VOCABULARY = 66250  # rows of the published word table: row 0 pads, word i of the dictionary has row i + 1
MAX_WORDS = 16

_WORD = re.compile(r"[\w']+")


def read_dictionary(path: Path | str) -> list[str]:
    """The words of `s3d_dict.npy`, a 1-D array of strings; an array of pickled objects is refused, not executed.

    Raises:
        UserError: no such file, or something else in it.
    """
    try:
        words = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"dictionary {path} can't be read as an array of strings ({error})") from None
    if not isinstance(words, np.ndarray) or words.ndim != 1 or words.dtype.kind != "U":
        raise UserError(f"dictionary {path} is not a 1-D array of strings; use s3d_dict.npy as published")
    return [str(word) for word in words]


class TextTower(nn.Module):
    """Word table, a layer on each word, maximum over words, a layer on the result.

    Args:
        dictionary: file or words in order; None leaves the weights in place, but sentences are refused.
        num_classes: dimension of the joint space.
        max_words: words kept of a sentence.
        lower_case: S3D_HowTo100M lowers sentences before looking up words; MIL-NCE_HowTo100M doesn't.
    """

    def __init__(
        self,
        dictionary: Path | str | Sequence[str] | None,
        num_classes: int = 512,
        max_words: int = MAX_WORDS,
        lower_case: bool = True,
    ) -> None:
        super().__init__()
        self.word_embd = nn.Embedding(VOCABULARY, 300)
        self.fc1 = nn.Linear(300, 2048)
        self.fc2 = nn.Linear(2048, num_classes)
        self.max_words = max_words
        self.lower_case = lower_case
        words = read_dictionary(dictionary) if isinstance(dictionary, str | Path) else dictionary
        if words is not None and len(words) >= VOCABULARY:
            raise UserError(f"the dictionary has {len(words)} words; the word table holds {VOCABULARY - 1}")
        self.rows = None if words is None else {word: row for row, word in enumerate(words, start=1)}

    def tokenise(self, sentences: Sequence[str]) -> Tensor:
        """Rows of the word table, (N, max_words) int64: unknown words left out, then cut or padded with 0.

        Raises:
            UserError: there is no dictionary.
        """
        if self.rows is None:
            raise UserError("this S3D has no dictionary, so it can't embed sentences; give it s3d_dict.npy")
        tokens = torch.zeros(len(sentences), self.max_words, dtype=torch.int64)
        for line, sentence in enumerate(sentences):
            words = _WORD.findall(sentence.lower() if self.lower_case else sentence)
            known = [self.rows[word] for word in words if word in self.rows][: self.max_words]
            tokens[line, : len(known)] = torch.tensor(known, dtype=torch.int64)
        return tokens

    def forward(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """Embed sentences: text_embedding (N, num_classes), not normalised."""
        tokens = self.tokenise(sentences).to(self.word_embd.weight.device)
        words = torch.relu(self.fc1(self.word_embd(tokens)))
        # Padding takes part in the maximum, as in training: short sentences carry the trace of row 0.
        return {"text_embedding": self.fc2(words.amax(dim=1))}
