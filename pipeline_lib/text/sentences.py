"""vid2article JSON ({video_id: entry}) → its caption segments and article sentences, in one fixed order."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


class Segment(BaseModel):
    """A caption: what is said from `start` (seconds) on."""

    start: float
    text: str


class Entry(BaseModel):
    """The parts of a video's entry that hold text."""

    captions: list[Segment] | None = None
    article: str | None = None


_ENTRIES = TypeAdapter(dict[str, Entry])


def read(path: Path) -> dict[str, Entry]:
    """The entries of a vid2article file, sorted by video id; a wrong file is a UserError that says where."""
    try:
        entries = _ENTRIES.validate_python(files.read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path}: {where}: {first['msg']}; run the stage that writes it again") from None
    return dict(sorted(entries.items()))


def captions(entries: Mapping[str, Entry]) -> Iterator[str]:
    """Caption texts: videos in the order given, segments of a video in the order of their start."""
    for entry in entries.values():
        for segment in sorted(entry.captions or [], key=lambda segment: segment.start):
            yield segment.text


def articles(entries: Mapping[str, Entry]) -> Iterator[str]:
    """Sentences of the articles, cut after `.`, `!`, `?` before white space and at line ends."""
    for entry in entries.values():
        for sentence in _SENTENCE_END.split(entry.article or ""):
            if sentence.strip():
                yield sentence.strip()
