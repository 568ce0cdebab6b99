"""Text → the language it is written in and how sure that is, offline and the same every time (py3langid)."""

import functools

from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

#: Codes of YouTube and older standards → those of the model.
_OLD = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "nb": "no", "nn": "no", "fil": "tl", "sh": "sr"}

NONE = "zxx"  # the model's label of what is no language


def detect(text: str) -> tuple[str, float]:
    """(ISO 639-1 code, confidence from 0 to 1); ("", 0.0) for a text that is in none."""
    if not any(character.isalpha() for character in text):
        return "", 0.0
    code, confidence = _model().classify(text)
    return ("", 0.0) if code == NONE else (normal(str(code)), round(float(confidence), 4))


def normal(code: str) -> str:
    """The language of a tag such as "en-US" or "iw", as `detect` writes it."""
    first = code.replace("_", "-").split("-")[0].lower()
    return _OLD.get(first, first)


def known(code: str) -> bool:
    """Whether the model can tell this language from others."""
    return normal(code) in {normal(label) for label in _model().labels}


@functools.cache
def _model() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
