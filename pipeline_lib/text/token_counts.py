"""Sentences → how often each token occurs in them, in the files that masked-language-model heads read.

    GloVe_tokenized_count.txt    word id count     id = 2 + rank of the word among all words, sorted (0 <PAD>, 1 <UNK>)
    CLIP_tokenized_count.txt     id count          id of CLIP's byte-pair encoding

Most frequent first; of equal counts the token that came first. The rules are MESM's (specs: mesm §2), whose own files
for Charades-STA, TACoS and QVHighlights come out byte for byte.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import typer

from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.text import corpora, tokens
from pipeline_lib.text.corpora import Corpus

Token = TypeVar("Token", str, int)
log = logging.getLogger(__name__)
_BLOCK = 1 << 18  # sentences looked at together, some tens of megabytes


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
        return [f"{token} {n}" for token, n in _clip(texts, context - 2).most_common()]
    ranked = _glove(texts).most_common()  # stable: equal counts stay in order of first appearance
    ids = {word: 2 + rank for rank, word in enumerate(sorted(word for word, _ in ranked))}
    return [f"{word} {ids[word]} {n}" for word, n in ranked]


def _glove(texts: Iterable[str]) -> Counter[str]:
    """Counts of words. Text is split at spaces first, and each different piece is then cut into words once."""
    words: Counter[str] = Counter()
    for piece, n in _totals(texts, _pieces).items():
        for word in tokens.glove(piece):
            words[word] += n
    return words


def _pieces(sentences: list[str]) -> Iterable[tuple[str, int]]:
    """What ASCII white space separates, and how often it occurs, in order of first appearance."""
    joined = " ".join(sentences)
    try:
        column = pa.array([joined], pa.large_string())
    except UnicodeEncodeError:  # half a surrogate pair, as JSON can hold
        return Counter(joined.split()).items()
    counted = pc.value_counts(pc.list_flatten(pc.ascii_split_whitespace(column)))
    return zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)


def _clip(texts: Iterable[str], limit: int) -> Counter[int]:
    """Counts of BPE ids, of each sentence the first `limit`."""
    encode = tokens.clip_encoder()

    def tally(sentences: list[str]) -> Iterable[tuple[int, int]]:
        return Counter(itertools.chain.from_iterable(encode(text)[:limit] for text in sentences)).items()

    return _totals(texts, tally)


def _totals(texts: Iterable[str], tally: Callable[[list[str]], Iterable[tuple[Token, int]]]) -> Counter[Token]:
    """How often each token occurs, in order of first appearance.

    Args:
        texts: sentences; those that come again are cut once per block.
        tally: sentences → their different tokens in order of first appearance, and how often each occurs.
    """
    totals: Counter[Token] = Counter()
    remaining = iter(texts)
    while block := Counter(itertools.islice(remaining, _BLOCK)):
        by_times: dict[int, list[str]] = {}
        for text, times in block.items():
            by_times.setdefault(times, []).append(text)
        if len(by_times) > 1:  # tallied group by group below, so the order is settled here
            for token, _ in tally(list(block)):
                totals.setdefault(token, 0)
        for times, group in by_times.items():
            for token, n in tally(group):
                totals[token] += times * n
    return totals


def main(
    tokenizer: Annotated[Tokenizer, typer.Option(help="what a token is")],
    out: Annotated[Path, typer.Option(help="count file to write")],
    dataset: Annotated[Corpus, typer.Option(help="what is counted")] = Corpus.CAPTIONS,
    annotations: Annotated[
        Path | None, typer.Option(help="folder of the dataset; of captions a vid2article JSON or its folder")
    ] = None,
    captions: Annotated[Path | None, typer.Option(help="short for --dataset captions --annotations FILE")] = None,
    splits: Annotated[str | None, typer.Option(help="splits to count, train,val,…; default those of MESM")] = None,
    context: Annotated[
        int | None, typer.Option(min=3, help="clip: tokens per sentence including start and end; default MESM's")
    ] = None,
) -> None:
    """Count the tokens of a dataset's sentences, or of all captions: videos sorted by id, segments in order of time."""
    folder = annotations or captions
    if folder is None or (annotations and captions) or (captions and dataset != Corpus.CAPTIONS):
        raise UserError("give --dataset and --annotations, or --captions alone")
    if context and tokenizer != Tokenizer.CLIP:
        raise UserError(f"--context has no use with --tokenizer {tokenizer}; leave it out")
    longest = context or corpora.CONTEXT.get(dataset, 16)
    lines = count(corpora.texts(dataset, folder, splits), tokenizer, longest)
    files.write_text(out, "".join(f"{line}\n" for line in lines))
    log.info("%s: %d different %s tokens", out, len(lines), tokenizer)


if __name__ == "__main__":
    cli.run(main)
