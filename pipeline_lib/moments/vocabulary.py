"""Count file or glove.pkl → the class of each token that masked-word reconstruction tells apart (specs: mesm §2, §3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline_lib.annotations import reading
from pipeline_lib.core.errors import UserError
from pipeline_lib.text import glove

Token = int | str  # an id of CLIP's encoding, or a word


class Cut(NamedTuple):
    """A sentence as tokens, CLIP's start and end not among them, and how often each is masked (tagging.py)."""

    tokens: list[Token]
    weights: list[int]


@dataclass(frozen=True)
class Vocabulary:
    """Classes of tokens.

    Attributes:
        labels: token → class; the most frequent has 0.
        size: V; every other token has class V. With CLIP, start has V + 1 and end V + 2.
        path: the file it was read from.
        marks: whether sentences have a start and an end.
        listed: all tokens of the file, those without a class among them.
    """

    labels: dict[Token, int]
    size: int
    path: Path
    marks: bool = False
    listed: frozenset[Token] = frozenset()

    @property
    def classes(self) -> int:
        """Classes of words altogether."""
        return self.size + (3 if self.marks else 1)

    def label(self, token: Token) -> int:
        """The class of a token, `size` where it has none of its own."""
        return self.labels.get(token, self.size)


def clip(path: Path, size: int) -> Vocabulary:
    """The first `size` ids of a CLIP_tokenized_count.txt, lines `id count`."""
    listed = _lines(path, 2, "id count, as token_counts --tokenizer clip writes it")
    return Vocabulary(_ranks(listed, size), size, path, True, frozenset(listed))


def words(path: Path, size: int) -> Vocabulary:
    """The first `size` words of a GloVe_tokenized_count.txt, lines `word id count`."""
    listed = _lines(path, 3, "word id count, as token_counts --tokenizer glove writes it")
    return Vocabulary(_ranks(listed, size), size, path, False, frozenset(listed))


def pickled(path: Path, size: int) -> tuple[Vocabulary, glove.Vocabulary]:
    """The `size` most frequent words of a glove.pkl (or of a folder of text.glove), and its vectors."""
    found = glove.read(path)
    common = [word for word, _ in found.counter.most_common(size)]
    return Vocabulary(_ranks(common, size), size, path, False, frozenset(found.w2id)), found


def _ranks(tokens: Sequence[Token], size: int) -> dict[Token, int]:
    return {token: place for place, token in enumerate(tokens[:size])}


def _lines(path: Path, columns: int, expected: str) -> list[Token]:
    found: list[Token] = []
    seen: set[Token] = set()
    for number, line in reading.lines(path):
        fields = line.split(" ")
        if len(fields) != columns or not all(field.isdecimal() for field in fields[1:] + fields[: columns == 2]):
            raise reading.wrong(path, number, repr(line[:60]), expected)
        token: Token = int(fields[0]) if columns == 2 else fields[0]
        if token in seen:
            raise reading.wrong(path, number, f"{fields[0]} stands there twice", expected)
        seen.add(token)
        found.append(token)
    if not found:
        raise UserError(f"{path} is empty; expected lines {expected}")
    return found
