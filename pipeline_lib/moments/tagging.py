"""Tokens of a sentence → how often each is masked beside the others: 2 for words that carry meaning, 1 for others.

Upstream gives 2 to what NLTK's tagger takes for a noun, verb, adjective or adverb. That tagger needs trained data which
NLTK downloads; by default a list of the words of closed classes decides instead. It knows no context: "can", "like" or "up" are
always what they mostly are, and a piece of a word, as CLIP's tokenizer makes them, carries meaning. Weights only steer
which words are masked how often.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from pipeline_lib.core.errors import UserError

Tagger = Callable[[Sequence[str]], list[int]]

#: Words that are no noun, verb, adjective or adverb: Penn's CC, DT, EX, IN, MD, PDT, POS, PRP, RP, TO, UH, WDT, WP.
_WORDS = """
a an the this that these those each every either neither some any no all both half such another and or but nor
yet plus minus i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his
himself she her hers herself it its itself they them their theirs themselves one oneself somebody someone
something anybody anyone anything nobody everybody everyone everything none who whom whose which what whatever
whichever whoever can could may might must shall should will would 'll 'd to of in on at by for from with
without within into onto out off over under up down about above across after against along alongside among
amongst around as atop before behind below beneath beside besides between beyond despite during except if inside
like near next outside past per since than though although because unless until till toward towards through
throughout underneath upon versus via while whether there oh ok okay yes please hello 's '
"""
_CLOSED = frozenset(_WORDS.split())
_CONTENT = ("NN", "VB", "JJ", "RB")  # parts of the tags, so that WRB counts too, as upstream


def closed_class(tokens: Sequence[str]) -> list[int]:
    """1 for function words, numbers and punctuation, else 2."""
    return [1 if token.lower() in _CLOSED or not any(map(str.isalpha, token)) else 2 for token in tokens]


def of(name: Literal["closed_class", "nltk"]) -> Tagger:
    """The tagger of that name.

    Raises:
        UserError: NLTK or its data isn't installed.
    """
    if name == "closed_class":
        return closed_class
    try:
        import nltk

        nltk.pos_tag(["word"])
    except (ImportError, LookupError):
        raise UserError(
            "moments.data.tagger = 'nltk' needs NLTK and its data: pip install nltk, then "
            "python -m nltk.downloader averaged_perceptron_tagger_eng; or take closed_class"
        ) from None

    def tag(tokens: Sequence[str]) -> list[int]:
        return [2 if any(part in name for part in _CONTENT) else 1 for _, name in nltk.pos_tag(list(tokens))]

    return tag
