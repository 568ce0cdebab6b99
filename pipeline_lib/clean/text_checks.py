"""Article and captions of a video → facts about them, and the reasons that speak against them, a function per check."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline_lib.clean import languages
from pipeline_lib.config.clean import DueDiligence
from pipeline_lib.core.errors import ItemError, Reason

#: A word, or a character of a script that is written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese).
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    r"|[^\W_]+(?:['’\-][^\W_]+)*"
)
MAX_CHARACTERS = 20_000  # of the captions that the language is told by


@dataclass(frozen=True)
class Texts:
    """What is written about and said in a video.

    Attributes:
        article: the description.
        segments: captions with any text.
        words: in them.
        caption_kind: manual, auto, asr or none.
        language: what the captions say they are in; "" if they don't.
        detected, confidence: what they are in by their letters.
        declared: seconds of video by its page; 0 where unknown.
    """

    article: str
    segments: int
    words: int
    caption_kind: str
    language: str
    detected: str
    confidence: float
    declared: float


def read(article: dict[str, Any], captions: dict[str, Any]) -> Texts:
    """The facts, from the artefacts of the stages articles and captions."""
    lines = [str(segment.get("text") or "").strip() for segment in captions.get("captions") or []]
    text = " ".join(filter(None, lines))
    detected, confidence = languages.detect(text[:MAX_CHARACTERS])
    return Texts(
        article=str(article.get("article") or "").strip(),
        segments=sum(map(bool, lines)),
        words=count_words(text),
        caption_kind=str(captions.get("caption_kind") or "none"),
        language=str(captions.get("language") or ""),
        detected=detected,
        confidence=confidence,
        declared=float(article.get("duration") or 0.0),
    )


def count_words(text: str) -> int:
    """Words; for scripts without spaces characters."""
    return sum(1 for _ in _WORD.finditer(text))


def has_article(texts: Texts, options: DueDiligence) -> None:
    """There is a description."""
    if options.article and not texts.article:
        raise ItemError(Reason.NO_ARTICLE, "the description is empty")


def has_captions(texts: Texts, options: DueDiligence) -> None:
    """There are captions with text in them."""
    if options.captions and not texts.segments:
        raise ItemError(Reason.NO_CAPTIONS, f"caption_kind is {texts.caption_kind}")


def enough_words(texts: Texts, options: DueDiligence) -> None:
    """Captions that are there have min_words."""
    if options.min_words is not None and texts.segments and texts.words < options.min_words:
        raise ItemError(
            Reason.TOO_FEW_WORDS, f"{texts.words} in the captions; due_diligence.min_words is {options.min_words}"
        )


def right_language(texts: Texts, options: DueDiligence) -> None:
    """The captions aren't surely in another language than wanted, or than they say."""
    wanted = options.languages if options.languages is not None else [texts.language] * bool(texts.language)
    wanted = [language for language in wanted if languages.known(language)]
    if not wanted or not texts.detected or texts.confidence < options.language_confidence:
        return
    if texts.detected not in map(languages.normal, wanted):
        raise ItemError(
            Reason.WRONG_LANGUAGE,
            f"the captions are in {texts.detected} (confidence {texts.confidence:.2f}), not in {' or '.join(wanted)}",
        )


Check = Callable[[Texts, DueDiligence], None]
CHECKS: tuple[Check, ...] = (has_article, has_captions, enough_words, right_language)
