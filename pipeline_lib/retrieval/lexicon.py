"""Known verbs and nouns → the classes and the role graph of a caption, by plain rules; for small vocabularies.

    {"verbs": {class: [word, …]}, "nouns": {class: [word, …]}}, words in lower case

Words that tell an action count as its verb, whatever part of speech they are ("flames" as "burning"). A noun takes the words
before it up to the last determiner or preposition. What follows a preposition plays the role that ROLE_OF names, other nouns
are ARG0 before their verb and ARG1 after it, and belong to the nearest verb; without verbs they are NOUN, as upstream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, one_line

Graph = tuple[list[tuple[str, tuple[int, ...]]], list[tuple[int, int]]]  # (role, words) of nodes, (verb, node) of edges

DETERMINERS = frozenset(
    [
        *("a", "an", "the", "this", "that", "these", "those", "many", "several", "some"),
        *("my", "your", "his", "her", "its", "our", "their"),
    ]
)
ROLE_OF = {
    **dict.fromkeys(
        ["at", "in", "on", "by", "near", "over", "under", "above", "below", "inside", "outside"], "ARGM-LOC"
    ),
    **dict.fromkeys(["around", "behind", "beside", "between"], "ARGM-LOC"),
    **dict.fromkeys(["from", "into", "to", "onto", "through", "past", "across", "toward", "towards"], "ARGM-DIR"),
    **dict.fromkeys(["along", "off", "up", "down"], "ARGM-DIR"),
    **dict.fromkeys(["during", "after", "before", "until", "while"], "ARGM-TMP"),
    **{"with": "ARGM-COM", "for": "ARGM-PRP", "of": "ARG1", "like": "ARGM-MNR"},
}
_BREAKS = frozenset(
    [
        *("and", "or", "but", "not", "he", "she", "it", "they", "we", "you", "i"),
        *("is", "are", "was", "were", "be", "been", "being", "has", "have", "had", "do", "does", "did"),
    ]
)


@dataclass(frozen=True)
class Lexicon:
    """Classes by word."""

    verbs: dict[str, str]
    nouns: dict[str, str]

    def classes(self, words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Classes of the verbs and of the nouns in a caption, repeats included."""
        return (
            tuple(self.verbs[word] for word in words if word in self.verbs),
            tuple(self.nouns[word] for word in words if word in self.nouns),
        )

    def graph(self, words: Sequence[str]) -> Graph:
        """Verbs, then the phrases around nouns, and who belongs to whom."""
        verbs = [i for i, word in enumerate(words) if word in self.verbs]
        nodes: list[tuple[str, tuple[int, ...]]] = [("V", (i,)) for i in verbs]
        edges = []
        for i, word in enumerate(words):
            if word in self.nouns and word not in self.verbs:
                start, preposition = self._start(words, i)
                nearest = min(range(len(verbs)), key=lambda k: (abs(verbs[k] - i), k), default=None)
                if nearest is None:
                    role = "NOUN"
                else:
                    role = ROLE_OF.get(preposition, "ARG0" if i < verbs[nearest] else "ARG1")
                    edges.append((nearest, len(nodes)))
                nodes.append((role, tuple(range(start, i + 1))))
        return nodes, edges

    def _start(self, words: Sequence[str], noun: int) -> tuple[int, str]:
        """First word of a noun's phrase, and the preposition it begins with, if any."""
        start = noun
        while start > 0 and not self._ends(words[start - 1]):
            start -= 1
        while start > 0 and words[start - 1] in DETERMINERS:
            start -= 1
        if start > 0 and words[start - 1] in ROLE_OF:
            return start - 1, words[start - 1]
        return start, ""

    def _ends(self, word: str) -> bool:
        return word in DETERMINERS or word in ROLE_OF or word in _BREAKS or word in self.verbs or word in self.nouns


def read(path: Path) -> Lexicon:
    """A lexicon from its file.

    Raises:
        UserError: no such file, or not of that form.
    """
    content = files.read_json(path)
    found = []
    for part in ("verbs", "nouns"):
        classes = content.get(part) if isinstance(content, dict) else None
        if not isinstance(classes, dict) or not classes:
            raise UserError(f'{path} names no {part}; expected {{"verbs": {{class: [word, …]}}, "nouns": {{…}}}}')
        by_word: dict[str, str] = {}
        for name, words in classes.items():
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise UserError(
                    one_line(f"{path}: {part} of class {name!r} must be a list of words, not {words!r:.60}")
                )
            for word in words:
                if by_word.setdefault(word.lower(), name) != name:
                    raise UserError(one_line(f"{path}: {word!r} belongs to {by_word[word.lower()]!r} and to {name!r}"))
        found.append(by_word)
    return Lexicon(*found)
