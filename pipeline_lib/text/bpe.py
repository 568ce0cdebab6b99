"""Text → ids of CLIP's byte-pair encoding, from the vocabulary file that open_clip ships.

Radford et al., "Learning transferable visual models from natural language supervision" (ICML 2021). Merges are kept as pairs
of ids: an id grows with the rank of its merge, so the lowest new id is the merge to make first. Pieces between spaces
are encoded once and remembered, since no token spans a space.
"""

import gzip
import html
import itertools
from collections.abc import Callable
from pathlib import Path

import ftfy
import regex  # type: ignore[import-untyped]

START, END = 49406, 49407
_MERGES = 48894  # of the file's 262 144 lines, after its first
_SPECIAL = {"<|startoftext|>": START, "<|endoftext|>": END}
_NEVER = END + 1  # more than any id
_REMEMBERED = 1_000_000  # texts; misspellings and numbers would otherwise grow without end
_TOKEN = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'(?:[stmd]|re|ve|ll)|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)
_SPACE = regex.compile(r"\s+")


class Encoder:
    """CLIP's tokenizer without start and end token; calling it gives the ids of a text, of any length."""

    def __init__(self, vocabulary: Path) -> None:
        with gzip.open(vocabulary, "rt", encoding="utf-8") as stream:
            lines = list(itertools.islice(stream, 1, 1 + _MERGES))
        # GPT-2's order of bytes: printable ones stand for themselves and come first, the others for U+0100, U+0101 …
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        order = printable + [byte for byte in range(256) if byte not in printable]
        symbols = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]
        ids = {symbol: i for i, symbol in enumerate(symbols)} | {f"{s}</w>": 256 + i for i, s in enumerate(symbols)}
        self._byte = {byte: i for i, byte in enumerate(order)}
        self._merges: dict[tuple[int, int], int] = {}
        for new, line in enumerate(lines, 512):
            left, right = line.split()
            self._merges[ids[left], ids[right]] = new
            ids[left + right] = new
        self._symbols = {i: symbol for symbol, i in ids.items()}
        self._words, self._pieces = _Memory(self._word), _Memory(self._piece)

    def __call__(self, text: str) -> list[int]:
        """Ids of a text, cleaned as CLIP does: ftfy, HTML entities twice, white space collapsed, lower case."""
        return list(itertools.chain.from_iterable(map(self._pieces.__getitem__, clean(text).split(" "))))

    def symbol(self, token: int) -> str:
        """What a token stands for, without the mark of a word's end; bytes beyond ASCII as GPT-2 writes them."""
        return self._symbols[token].removesuffix("</w>")

    def _piece(self, text: str) -> tuple[int, ...]:
        return tuple(itertools.chain.from_iterable(map(self._words.__getitem__, _TOKEN.findall(text))))

    def _word(self, word: str) -> tuple[int, ...]:
        if word in _SPECIAL:
            return (_SPECIAL[word],)
        ids = [self._byte[byte] for byte in word.encode()]
        ids[-1] += 256  # the same byte at the end of a word
        merge = self._merges.get
        made = [merge(pair, _NEVER) for pair in itertools.pairwise(ids)]  # what ids[i], ids[i + 1] would merge to
        while made and (new := min(made)) < _NEVER:
            i = made.index(new)  # CLIP merges all such pairs from the left; later merges can't come in between
            ids[i : i + 2] = [new]
            del made[i]
            if i > 0:
                made[i - 1] = merge((ids[i - 1], new), _NEVER)
            if i < len(made):
                made[i] = merge((new, ids[i + 1]), _NEVER)
        return tuple(ids)


class _Memory(dict[str, tuple[int, ...]]):
    """Text → ids, worked out when first asked for; a dict, because looking up is most of the work of encoding."""

    def __init__(self, encode: Callable[[str], tuple[int, ...]]) -> None:
        self._encode = encode

    def __missing__(self, text: str) -> tuple[int, ...]:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = ids = self._encode(text)
        return ids


def clean(text: str) -> str:
    """Text as CLIP's tokenizer cuts it, words apart by single spaces."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return text.lower()  # nothing for ftfy and html; more than one space gives empty pieces, which have no ids
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    collapsed: str = _SPACE.sub(" ", text.strip())
    return collapsed.strip().lower()
