"""Videos on disk with the sidecars that yt-dlp writes → the same answers as a video site."""

import contextlib
import fcntl
import hashlib
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline_lib.collect import subtitles
from pipeline_lib.collect.sources.base import Article, Captions, SearchHit, Segment
from pipeline_lib.collect.sources.local_files import EXTENSIONS, UNKNOWN_LANGUAGE, Entry, clean, listed, scan
from pipeline_lib.core import files
from pipeline_lib.core.errors import ItemError, UserError

log = logging.getLogger(__name__)

MAX_SIDECAR_BYTES = 20 * 10**6
_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file


class LocalSource:
    """Videos of one folder (subfolders are not searched) or of a list, listed once when the source is made.

    Raises UserError for a missing folder, for two files that would have the same id, and for a list that can't be read.
    """

    name = "local"

    def __init__(self, place: Path, extensions: Sequence[str] = EXTENSIONS) -> None:
        is_list = place.is_file() or (place.suffix.lower() == ".csv" and not place.is_dir())
        self._folder = place.parent if is_list else place
        self._entries = listed(place) if is_list else scan(place, extensions)

    def search(self, query: str, limit: int) -> dict[str, SearchHit]:
        """At most `limit` hits by id: all for `*`, else those with every word in title or file name."""
        words = [] if query.strip() == "*" else query.casefold().split()
        hits: dict[str, SearchHit] = {}
        for video_id, entry in self._entries.items():
            if len(hits) >= limit:
                break
            hit = _search_hit(entry)
            if video_id != entry.name:
                hit["original_id"] = clean(entry.name)
            text = f"{hit['title']} {clean(entry.video.name)}".casefold()
            if all(word in text for word in words):
                hits[video_id] = hit
        return hits

    def article(self, video_id: str) -> Article:
        """Title, description and dates from the sidecars; without any, the file's name, "" and 0 s.

        Raises ItemError not_found or bad_article.
        """
        entry = self._entry(video_id)
        info = _info(entry)
        description = entry.article or _string(info, "description")
        if not description and entry.description:
            description = _read_text(entry.description, "bad_article")
        upload_date = _string(info, "upload_date")
        article = Article(
            url=_string(info, "webpage_url") or clean(entry.video.name),
            title=_string(info, "title") or clean(entry.video.stem),
            article=description,
            channel=_string(info, "channel") or _string(info, "uploader"),
            upload_date=upload_date if re.fullmatch(r"\d{8}", upload_date, re.ASCII) else "",
            duration=_duration(info) or 0.0,
        )
        if video_id != entry.name:
            article["original_id"] = clean(entry.name)
        return article

    def captions(self, video_id: str, languages: Sequence[str]) -> Captions:
        """The captions in the first of `languages` that has a file, else those whose file names no language.

        A regional variant (en-GB) serves its language (en); a file without cues counts as none.
        Raises ItemError not_found or bad_captions.
        """
        entry = self._entry(video_id)
        language = _choose(sorted(entry.captions), languages)
        if language is None:
            return Captions(captions=[], caption_kind="none", language="")
        path = entry.captions[language]
        text = _read_text(path, "bad_captions")
        segments = _segments(text, path)
        automatic = bool(subtitles.WORD_TIME.search(text)) or _is_automatic(entry, language)
        kind = "none" if not segments else "auto" if automatic else "manual"
        return Captions(captions=segments, caption_kind=kind, language=language)

    def video(self, video_id: str, to: Path) -> None:
        """Copy the file to `to`, sharing its blocks where possible. Raises ItemError missing_file."""
        path = self._entry(video_id).video
        try:
            source = open(path, "rb")  # noqa: SIM115 (closed below)
        except FileNotFoundError:
            raise ItemError("missing_file", f"{path.name} is gone") from None
        with source, open(to, "wb") as target:
            try:
                fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
            except OSError:
                shutil.copyfileobj(source, target, 1 << 20)

    def version(self, video_id: str) -> str:
        """16 hex digits over name, size and modification time (ns) of the file and its sidecars; a missing one counts as such."""
        entry = self._entry(video_id)
        digest = hashlib.sha256(entry.article.encode())
        for path in entry.paths():
            digest.update(_stamp(path).encode())
        return digest.hexdigest()[:16]

    def annotations(self) -> dict[str, dict[str, Any]]:
        """Gold labels from the folder's annotations.json, {} without one. Raises UserError if broken."""
        path = self._folder / "annotations.json"
        return files.read_entries(path) if path.exists() else {}

    def by_id(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Labels whose keys are ids, file names without suffix, or paths as the list has them → by id, sorted.

        A key that is none of these is kept, and named in the log.

        Raises:
            UserError: a name that several files have, or a video with two labels.
        """
        ids: dict[str, list[str]] = {}
        for video_id, entry in self._entries.items():
            for name in {entry.name, entry.video.stem, clean(entry.name), clean(entry.video.stem)}:
                ids.setdefault(name, []).append(video_id)
        found: dict[str, Any] = {}
        for key, label in labels.items():
            ours = [key] if key in self._entries else ids.get(key, [])
            if len(ours) > 1:
                raise UserError(f"annotations: {key} is the name of several videos; give the ids {', '.join(ours)}")
            if not ours:
                log.warning("annotations: %s is no video of %s", key, self._folder)
            if (video_id := ours[0] if ours else key) in found:
                raise UserError(f"annotations: video {video_id} has two entries, one of them {key}; remove one")
            found[video_id] = label
        return dict(sorted(found.items()))

    def _entry(self, video_id: str) -> Entry:
        try:
            return self._entries[video_id]
        except KeyError:
            raise ItemError("not_found", f"{video_id} is not in {self._folder}") from None


def state(place: Path) -> str:
    """A short string that changes when videos or sidecars of a folder or of a list are added, removed or rewritten."""
    if place.is_dir():
        paths = [Path(entry.path) for entry in os.scandir(place)]
    else:
        paths = [place]
        with contextlib.suppress(UserError):  # the search says what is wrong with it
            paths += [path for entry in listed(place).values() for path in entry.paths()]
    stamps = sorted(_stamp(path) for path in paths)
    return hashlib.sha256("".join(stamps).encode()).hexdigest()[:16]


def _stamp(path: Path) -> str:
    """Name, size and time of a file."""
    try:
        stat = path.stat()
    except OSError:  # gone, or a link that leads nowhere
        return f"{clean(path.name)}\0absent\0"
    return f"{clean(path.name)}\0{stat.st_size}\0{stat.st_mtime_ns}\0"


def _search_hit(entry: Entry) -> SearchHit:
    """A hit from the sidecar; a broken one costs only its title here, and the article stage reports it."""
    try:
        info = _info(entry)
    except ItemError:
        info = {}
    return SearchHit(
        url=_string(info, "webpage_url") or clean(entry.video.name),
        title=_string(info, "title") or clean(entry.video.stem),
        duration=_duration(info),
        channel=_string(info, "channel") or _string(info, "uploader"),
    )


def _info(entry: Entry) -> dict[str, Any]:
    if entry.info is None:
        return {}
    try:
        info = json.loads(_read_text(entry.info, "bad_article"))
    except (ValueError, RecursionError) as error:
        raise ItemError("bad_article", f"{entry.info.name} is not JSON: {error}") from None
    if not isinstance(info, dict):
        raise ItemError("bad_article", f"{entry.info.name} is not a JSON object")
    return info


def _string(info: dict[str, Any], key: str) -> str:
    value = info.get(key)
    return clean(value) if isinstance(value, str) else ""


def _duration(info: dict[str, Any]) -> float | None:
    value = info.get("duration")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 10**9 and math.isfinite(value) else None


def _read_text(path: Path, reason: str) -> str:
    """A sidecar's text; too large, gone or not UTF-8 is an ItemError with the given reason."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_SIDECAR_BYTES + 1)
    except FileNotFoundError:
        raise ItemError(reason, f"{path.name} is gone") from None
    if len(data) > MAX_SIDECAR_BYTES:
        raise ItemError(reason, f"{path.name} is larger than {MAX_SIDECAR_BYTES // 10**6} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ItemError(reason, f"{path.name} is not UTF-8: {error.reason} at byte {error.start}") from None


def _choose(available: Sequence[str], languages: Sequence[str]) -> str | None:
    for language in languages:
        for candidate in available:
            if candidate == language or re.split("[-_]", candidate)[0] == language:
                return candidate
    return UNKNOWN_LANGUAGE if UNKNOWN_LANGUAGE in available else None


def _is_automatic(entry: Entry, language: str) -> bool:
    """Whether yt-dlp's information lists this language under automatic captions only."""
    try:
        info = _info(entry)
    except ItemError:
        return False
    manual, automatic = info.get("subtitles"), info.get("automatic_captions")
    listed = isinstance(automatic, dict) and language in automatic
    return listed and not (isinstance(manual, dict) and language in manual)


def _segments(text: str, path: Path) -> list[Segment]:
    try:
        return subtitles.read(text, path.suffix[1:])
    except subtitles.BadCaptions as error:
        raise ItemError("bad_captions", f"{path.name}: {error}") from None
