"""300 news articles, repeated → how much faster this project counts tokens than a loop as upstream's, and the same bytes.

python benchmarks/token_counts.py --out benchmarks/results/token_counts.json

The articles are the Lee background corpus of gensim's wheel, a sentence a line, a hundred times over. Two ways to repeat
them: as they are, so that a sentence comes a hundred times; and with the words of each copy dealt out anew, so that hardly a
sentence comes twice, which is the harder case for a program that remembers. Programs take turns in one process with one thread;
ratios are of the medians of CPU seconds. The loop does what MESM's data/tokenized_count.py does, in favour of it without
its part-of-speech tags and its tensors: clean and cut each sentence, then count token by token in a dictionary.
"""

import hashlib
import os
import platform
import random
import statistics
import string
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import gensim
import typer
from open_clip.tokenizer import SimpleTokenizer

from pipeline_lib.core import files
from pipeline_lib.text import sentences, token_counts, tokens
from pipeline_lib.text.token_counts import Tokenizer

CORPUS = Path(gensim.__file__).parent / "test/test_data/lee_background.cor"
CONTEXT = 32


def article_sentences() -> list[str]:
    """The sentences of the 300 articles."""
    articles = {str(i): sentences.Entry(article=a) for i, a in enumerate(CORPUS.read_text("utf-8").splitlines())}
    return list(sentences.articles(articles))


def dealt(texts: list[str], copies: int) -> list[str]:
    """`copies` of the sentences, the words of each copy shuffled over all its sentences; the lengths stay."""
    chance = random.Random(0)
    words = [word for text in texts for word in text.split()]
    found = []
    for _ in range(copies):
        chance.shuffle(words)
        remaining = iter(words)
        found += [" ".join(next(remaining) for _ in text.split()) for text in texts]
    return found


def loop_words(text: str) -> list[str]:
    """Words of a sentence, the table of punctuation made for each as upstream does."""
    table = str.maketrans(string.punctuation, " " * len(string.punctuation))
    return str(text).lower().translate(table).strip().split()


def loop(texts: list[str], cut: Callable[[str], list], words: bool) -> str:
    """The count file by one dictionary step per token."""
    found: dict = {}
    for text in texts:
        for token in cut(text):
            if token in found:
                found[token] += 1
            else:
                found[token] = 1
    ranked = sorted(found.items(), key=lambda item: item[1], reverse=True)
    ids = {word: i for i, word in enumerate(sorted(found), 2)} if words else {}
    return "".join(f"{token} {ids[token]} {n}\n" if words else f"{token} {n}\n" for token, n in ranked)


def ours(texts: list[str], tokenizer: Tokenizer) -> str:
    """The count file by this project, which remembers nothing of an earlier turn."""
    tokens.clip_encoder.cache_clear()
    return "".join(f"{line}\n" for line in token_counts.count(texts, tokenizer, CONTEXT))


def upstream(texts: list[str], tokenizer: Tokenizer) -> str:
    """The count file by the loop; open_clip's tokenizer is the class that MESM has a copy of."""
    if tokenizer == Tokenizer.GLOVE:
        return loop(texts, loop_words, words=True)
    encode = SimpleTokenizer().encode
    return loop(texts, lambda text: encode(text)[: CONTEXT - 2], words=False)


def timed(program: Callable[[list[str], Tokenizer], str], *arguments) -> tuple[float, str]:
    """CPU seconds and the file."""
    began = time.process_time()
    content = program(*arguments)
    return time.process_time() - began, content


def main(
    out: Annotated[Path, typer.Option(help="JSON to write")],
    copies: Annotated[int, typer.Option(min=1, help="of the corpus")] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="turns; the median counts")] = 3,
) -> None:
    """Print a table of seconds and ratios and write it; different bytes are an error."""
    once = article_sentences()
    corpora = {"repeated": [text.encode().decode() for text in once * copies], "words dealt anew": dealt(once, copies)}
    rows = []
    print(
        "| corpus | tokenizer | sentences | loop CPU s | ours CPU s | times as fast | same bytes |\n|---|---|---|---|---|---|---|"
    )
    for name, texts in corpora.items():
        for tokenizer in Tokenizer:
            turns = [(timed(upstream, texts, tokenizer), timed(ours, texts, tokenizer)) for _ in range(repeats)]
            contents = {content for turn in turns for _, content in turn}
            theirs, mine = (statistics.median(turn[i][0] for turn in turns) for i in (0, 1))
            row = {
                "corpus": name,
                "tokenizer": str(tokenizer),
                "sentences": len(texts),
                "different sentences": len(set(texts)),
                "loop seconds": theirs,
                "seconds": mine,
                "ratio": theirs / mine,
                "same bytes": len(contents) == 1,
                "sha256": hashlib.sha256(turns[0][1][1].encode()).hexdigest(),
            }
            rows.append(row)
            print(
                f"| {name} | {tokenizer} | {len(texts)} | {theirs:.2f} | {mine:.3f} | {theirs / mine:.1f} "
                f"| {row['same bytes']} |",
                flush=True,
            )
    machine = {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    files.write_json(out, {"machine": machine, "copies": copies, "rows": rows}, sort_keys=False)
    if not all(row["same bytes"] for row in rows):
        raise SystemExit("the files differ")


if __name__ == "__main__":
    typer.run(main)
