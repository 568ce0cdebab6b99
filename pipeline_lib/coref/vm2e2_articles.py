"""A vid2article file, or a folder of texts → articles by video id, found by the titles that VM2E2 has for its videos."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from pipeline_lib.collect.sources.local_files import id_of
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, explain
from pipeline_lib.text import sentences

_LOST = re.compile(r"[\W_]+")  # what file names drop or replace


class _Entry(BaseModel):
    title: str = ""
    article: str | None = None
    description: str | None = None  # what yt-dlp calls it
    duration: float | None = None


class Article(NamedTuple):
    """An article and the title of its video; `duration` in seconds, if it is known."""

    title: str
    sentences: list[str]
    duration: float | None


def read(path: Path) -> dict[str, Article]:
    """Articles by video id.

    Args:
        path: vid2article JSON {id: {title, article, duration}}, or a folder with `TITLE.txt`, `TITLE.description` or
            `TITLE.info.json`, whose ids are those of videos in a folder.

    Raises:
        UserError: neither of these.
    """
    return _of_folder(path) if path.is_dir() else _of_file(path)


def _of_file(path: Path) -> dict[str, Article]:
    try:
        entries = TypeAdapter(dict[str, _Entry]).validate_python(files.read_json(path))
    except ValidationError as error:
        raise UserError(f"{path} is no vid2article file: {explain(error)}") from None
    return {video_id: _article(entry) for video_id, entry in sorted(entries.items())}


def _of_folder(folder: Path) -> dict[str, Article]:
    found: dict[str, _Entry] = {}
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    for path in paths:
        if path.name.endswith(".info.json"):
            name = path.name.removesuffix(".info.json")
            try:
                entry = _Entry.model_validate(files.read_json(path))
            except ValidationError as error:
                raise UserError(f"{path}: {explain(error)}") from None
            entry.title = entry.title or name
            before = found.get(name)
            entry.article = (before and before.article) or entry.article or entry.description
            found[name] = entry
        elif path.suffix in (".txt", ".description"):
            entry = found.setdefault(path.stem, _Entry(title=path.stem))
            entry.article = _text(path)
    if not found:
        raise UserError(f"{folder} has no TITLE.txt, TITLE.description or TITLE.info.json; correct --articles")
    return {id_of(name): _article(entry) for name, entry in sorted(found.items())}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}); convert it") from None


def _article(entry: _Entry) -> Article:
    text = sentences.Entry(article=entry.article or entry.description)
    return Article(entry.title, list(sentences.articles({"": text})), entry.duration)


def normalised(title: str) -> str:
    """A title without case, blanks and punctuation."""
    return _LOST.sub("", unicodedata.normalize("NFKC", title).casefold())


def match(titles: Iterable[str], articles: Mapping[str, Article]) -> tuple[dict[str, str], dict[str, str]]:
    """{title: video id}, and {title: reason} of those without one. A title may be an id, too."""
    by_title: dict[str, list[str]] = {}
    for video_id, article in articles.items():
        by_title.setdefault(normalised(article.title), []).append(video_id)
    found: dict[str, str] = {}
    unmatched: dict[str, str] = {}
    taken: dict[str, str] = {}
    for title in titles:
        ids = [title] if title in articles else by_title.get(normalised(title), [])
        ids = ids or [one for one in (id_of(title),) if one in articles]
        if len(ids) != 1:
            unmatched[title] = f"{len(ids)} articles have this title: {', '.join(ids)}" if ids else "no article"
        elif ids[0] in taken:
            unmatched[title] = f"its article, {ids[0]}, is that of {taken[ids[0]]!r}"
        else:
            found[title] = ids[0]
            taken[ids[0]] = title
    return found, unmatched


def nothing_matched(unmatched: Mapping[str, str], articles: Mapping[str, Article], path: Path) -> str:
    """What to say where no title found its article: what was looked for, and what is there."""
    title, reason = next(iter(unmatched.items()))
    there = next((f"e.g. {article.title!r} ({video_id})" for video_id, article in articles.items()), "it is empty")
    return (
        f"no annotated video has an article in {path}; looked for {len(unmatched)} titles without case, blanks and "
        f"punctuation, the first: {title!r}: {reason}; {path.name} has {len(articles)} articles, {there}; "
        "give the articles of these videos"
    )
