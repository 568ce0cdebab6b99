"""Text and JSON annotation files → their lines or entries; what is wrong with one is said with its file and line."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, FiniteFloat, ValidationError, model_validator

from pipeline_lib.core.errors import UserError, explain, one_line

log = logging.getLogger(__name__)


class Grouped(BaseModel):
    """A video's entry where a file holds {video_id: entry}: the i-th sentence describes the i-th of `timestamps`."""

    timestamps: list[tuple[FiniteFloat, FiniteFloat]]
    sentences: list[str]

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.timestamps) != len(self.sentences):
            raise ValueError(f"{len(self.timestamps)} timestamps for {len(self.sentences)} sentences")
        return self


Entry = TypeVar("Entry", bound=BaseModel)


def wrong(path: Path, line: int, what: str, expected: str) -> UserError:
    """The error of a malformed line."""
    return UserError(one_line(f"{path} line {line}: {what}; expected {expected}", 600))


def text(path: Path, expected: str = "") -> str:
    """The text of a file, without a byte order mark; a missing or undecodable one is a UserError that names it.

    Args:
        expected: what a file that is named alone should hold; by default it is one of a dataset's folder.
    """
    path = Path(path)
    fix = "correct the path" if expected else "give the folder that holds the dataset's annotation files"
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {fix}") from None
    except NotADirectoryError:
        raise UserError(f"{path.parent} is no folder; {fix}") from None
    except IsADirectoryError:
        own = f"expected {expected}" if expected else "give the dataset's own annotation files"
        raise UserError(one_line(f"{path} is a folder, not a file; {own}", 600)) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise wrong(path, line, f"byte {error.start} is not UTF-8", expected or "UTF-8 text") from None


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of every line that is not blank."""
    for number, line in enumerate(text(path).split("\n"), 1):
        if line.strip():
            yield number, line


def checked(model: type[Entry], value: Any, path: Path, line: int, expected: str, place: str = "") -> Entry:
    """`value` as a `model`; otherwise a UserError that says where it stands and what is wrong with it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise wrong(path, line, explain(error, place) if isinstance(value, dict) else "no object", expected) from None


def parsed(content: str, path: Path, line: int, expected: str, once: bool = False) -> Any:
    """The value of a JSON text that starts at `line` of a file.

    Args:
        once: a name may not stand twice in an object. Otherwise the last of its values counts, as with json.
    """
    try:
        return json.loads(content, object_pairs_hook=_once if once else None)
    except json.JSONDecodeError as error:
        where = f"not valid JSON, {error.msg} at column {error.colno}"
        raise wrong(path, line + error.lineno - 1, where, expected) from None
    except ValueError as error:  # a name twice, or an integer of thousands of digits
        raise wrong(path, line, str(error).partition(";")[0], expected) from None
    except RecursionError:
        raise wrong(path, line, "brackets too deep", expected) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"{name!r} stands twice in one object")
    return found


def grouped(path: Path, model: type[Entry], expected: str) -> Iterator[tuple[str, Entry]]:
    """(video id, entry) of a file {video_id: entry}, in its order."""
    content = text(path)
    expected = f"{{video id: {expected}}}"
    videos = parsed(content, path, 1, expected, once=True)
    if not isinstance(videos, dict):
        raise wrong(path, 1, "no object", expected)
    for video_id, entry in videos.items():
        try:
            yield video_id, model.model_validate(entry)
        except ValidationError as error:
            # These files are often a single line, so the video is named as well as the line it starts on.
            line = content.count("\n", 0, max(content.find(json.dumps(video_id)), 0)) + 1
            raise wrong(path, line, f"video {video_id}: {explain(error)}", expected) from None


def report(path: Path, read: int, left_out: int, why: str) -> None:
    """Say how many sentences a file gave, and how many were left out."""
    log.info("%s: %d sentences%s", path, read, f", {left_out} left out: {why}" if left_out else "")
