"""Text → lower-case words as the Penn Treebank cuts them: punctuation and clitics ("'s", "n't") are words of their own.

The conventions are those of Marcus, Santorini, Marcinkiewicz, "Building a large annotated corpus of English" (CL 1993), in the
variant of NLTK's word_tokenize, on which glove.pkl rests (specs: mesm §3). NLTK looks up sentence ends in a trained model; here
they are `.`, `!`, `?` before white space, except after the abbreviations below and single letters.
"""

import re

_ABBREVIATION = re.compile(
    r"[a-z]|mr|mrs|ms|dr|prof|rev|gen|col|capt|lt|sgt|st|jr|sr|vs|etc|e\.g|i\.e|a\.m|p\.m|u\.s|u\.k|u\.n"
    r"|jan|feb|aug|sept|oct|nov|dec"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]}»”’]*\s+")

# In this order: a rule sees the spaces that those before it put in.
_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[«“‘„]|`+", r" \g<0> "),
        (r"""(?:^|(?<=[ (\[{<]))"|(?<=[ (\[{<])''""", " `` "),
        (r"(?<!\w)'(?!(?:re|ve|ll|[mtsdn])\b)(?=\w)", "' "),  # opening single quote
        (r"""(?<=[^.])\.(?=[\])}>"'»”’ ]*$)""", " . "),  # the sentence's own; those inside may be abbreviations
        (r"[:,](?!\d)|\.{2,}|[;@#$%&?!‒-―]", r" \g<0> "),
        (r"(?<=[^'])'(?= )", " '"),
        (r"[*\[\](){}<>]|--", r" \g<0> "),
        (r"[»”’]", r" \g<0> "),
        (r"''|\"", " '' "),
        (r"(?<=[^' ])(?:'[smd]?|'ll|'re|'ve|n't)(?= |$)", r" \g<0>"),
        (r"\b(can)(not)\b|\b(gim|lem)(me)\b|\b(gon|wan)(na)\b(?=\s|$)|\b(got)(ta)\b", r"\1\3\5\7 \2\4\6\8"),
        (r"\bd'ye\b", "d 'ye"),
        (r"\bmore'n\b", "more 'n"),
    )
]


def words(text: str) -> list[str]:
    """The words of a text, with its punctuation, in order."""
    return [word for sentence in _sentences(text.lower()) for word in _cut(sentence)]


def _sentences(text: str) -> list[str]:
    found, begin = [], 0
    for end in _SENTENCE_END.finditer(text):
        last = text[begin : end.start()].split()[-1:]
        stem = last[0][:-1].lstrip("\"'([{") if last and last[0].endswith(".") else ""
        if _ABBREVIATION.fullmatch(stem):
            continue
        found.append(text[begin : end.end()])
        begin = end.end()
    return [*found, text[begin:]]


def _cut(sentence: str) -> list[str]:
    sentence = sentence.strip()
    for pattern, replacement in _RULES:
        sentence = pattern.sub(replacement, sentence)
    return sentence.split()
