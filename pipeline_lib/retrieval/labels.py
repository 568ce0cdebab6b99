"""A cell of an annotation file → a tuple of classes or words; repeats stay, since pooling counts them."""

import ast
import math
from typing import Any

Label = int | str
Labels = tuple[Label, ...]

_LONGEST = 100_000  # characters of a cell; a sentence has some hundred


def parse(value: Any) -> Labels:
    """A class, a list of classes, or the text of such a list, as CSV files and RANP's JSON hold it ("[1, 2]").

    None is no class at all. Digits are numbers, so that the list ["1", "2"] of one file meets [1, 2] of another.

    Raises:
        ValueError: anything else, with the fix. A bare word is refused because code that takes it for a list finds letters.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return ()
        if not text.startswith(("[", "(", "{")):
            if _is_number(text):
                return (int(text),)
            raise ValueError(f"{value[:40]!r} is a string, not a list of classes; write [{value[:40]!r}]")
        value = _literal(text)
    if isinstance(value, list | tuple | set | frozenset):
        labels = tuple(_label(one) for one in value)
        return tuple(sorted(labels, key=str)) if isinstance(value, set | frozenset) else labels
    return (_label(value),)


def _is_number(text: str) -> bool:
    digits = text[1:] if text[:1] == "-" else text
    return digits.isascii() and digits.isdigit() and len(digits) < 19


def _literal(text: str) -> Any:
    """The Python literal that pandas and RANP write; nothing in it is called or looked up."""
    if len(text) > _LONGEST:
        raise ValueError(f"a list of {len(text)} characters; is this the right column?")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        raise ValueError(f"{text[:40]!r} is not a list; write classes as [1, 2] and words as ['a', 'b']") from None


def _label(value: Any) -> Label:
    if isinstance(value, str):
        return int(value) if _is_number(value) else value
    if isinstance(value, bool):
        raise ValueError(f"{value} is no class; write its number or its name")
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    raise ValueError(f"{str(value)[:40]!r} is neither the number of a class nor a word")
