"""Sentences → how often each token occurs in them, in the files that masked-language-model heads read.

    GloVe_tokenized_count.txt    word id count     id = 2 + rank of the word among all words, sorted (0 <PAD>, 1 <UNK>)
    CLIP_tokenized_count.txt     id count          id of CLIP's byte-pair encoding

Most frequent first; of equal counts the token that came first. The rules are MESM's (specs: mesm §2), whose own files
for Charades-STA come out byte for byte.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from pipeline_lib.core import cli, files
from pipeline_lib.text import sentences, tokens

Token = TypeVar("Token", str, int)
log = logging.getLogger(__name__)


class Tokenizer(StrEnum):
    """How a sentence is cut."""

    GLOVE = "glove"
    CLIP = "clip"


def count(texts: Iterable[str], tokenizer: Tokenizer, context: int = 32) -> list[str]:
    """The lines of a count file, without line ends.

    Args:
        texts: sentences in the order that decides between equal counts.
        context: CLIP tokens per sentence including start and end: of longer sentences only the first context - 2
            tokens count. GloVe words are never cut off.
    """
    if tokenizer == Tokenizer.CLIP:
        # All ids count, 0 too: upstream finds the end by counting ids other than 0, and so would lose the last token
        # of a sentence with id 0 ("!" inside a word) in it; none of the published data has one.
        return [f"{token} {n}" for token, n in _ranked(texts, lambda text: tokens.clip(text)[: context - 2])]
    ranked = _ranked(texts, tokens.glove)
    ids = {word: 2 + rank for rank, word in enumerate(sorted(word for word, _ in ranked))}
    return [f"{word} {ids[word]} {n}" for word, n in ranked]


def _ranked(texts: Iterable[str], cut: Callable[[str], list[Token]]) -> list[tuple[Token, int]]:
    counts: Counter[Token] = Counter()
    for text in texts:
        counts.update(cut(text))
    return counts.most_common()  # stable: equal counts stay in order of first appearance


def main(
    captions: Annotated[Path, typer.Option(help="vid2article JSON with captions")],
    tokenizer: Annotated[Tokenizer, typer.Option(help="what a token is")],
    out: Annotated[Path, typer.Option(help="count file to write")],
    context: Annotated[int, typer.Option(min=3, help="CLIP tokens per sentence including start and end")] = 32,
) -> None:
    """Count the tokens of all captions: videos sorted by id, segments in order of time."""
    lines = count(sentences.captions(sentences.read(captions)), tokenizer, context)
    files.write_text(out, "".join(f"{line}\n" for line in lines))
    log.info("%s: %d different %s tokens", out, len(lines), tokenizer)


if __name__ == "__main__":
    cli.run(main)
