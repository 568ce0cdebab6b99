"""A folder of video files with the sidecars that yt-dlp writes → the same answers as a video site."""

import base64
import fcntl
import hashlib
import html
import io
import json
import math
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from pipeline_lib.collect.sources.base import Article, Captions, SearchHit, Segment
from pipeline_lib.core import files
from pipeline_lib.core.errors import ItemError, UserError

EXTENSIONS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".m4v")
MAX_SIDECAR_BYTES = 20 * 10**6
UNKNOWN_LANGUAGE = "und"  # BCP 47 for captions whose file name has no language

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CAPTION_FILE = re.compile(r"(?P<name>.+)\.(?P<language>[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]+)*)\.(?:vtt|srt)")
_WORD_TIME = re.compile(r"<\d\d:\d\d:\d\d\.\d{3}>")  # only automatic captions time every word
_ASS_OVERRIDE = re.compile(r"\{\\[^}]*\}")  # e.g. {\an8} in .srt files
_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file


@dataclass
class _Entry:
    """A video file and the sidecars beside it."""

    video: Path
    info: Path | None = None
    description: Path | None = None
    captions: dict[str, Path] = field(default_factory=dict)  # language → file

    def paths(self) -> list[Path]:
        return [p for p in (self.video, self.info, self.description, *sorted(self.captions.values())) if p]


class LocalSource:
    """Videos of one folder (subfolders are not searched), listed once when the source is made.

    Raises UserError for a missing folder and for two files that would have the same id.
    """

    name = "local"

    def __init__(self, folder: Path, extensions: Sequence[str] = EXTENSIONS) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise UserError(f"{folder} is not a folder; set the local source to the folder of the videos")
        self._entries = _scan(self._folder, tuple(extension.lower() for extension in extensions))

    def search(self, query: str, limit: int) -> dict[str, SearchHit]:
        """At most `limit` hits by id: all for `*`, else those with every word in title or file name."""
        words = [] if query.strip() == "*" else query.casefold().split()
        hits: dict[str, SearchHit] = {}
        for video_id, entry in self._entries.items():
            if len(hits) >= limit:
                break
            hit = _search_hit(entry)
            text = f"{hit['title']} {_clean(entry.video.name)}".casefold()
            if all(word in text for word in words):
                hits[video_id] = hit
        return hits

    def article(self, video_id: str) -> Article:
        """Title, description and dates from the sidecars; without any, the file's name, "" and 0 s.

        Raises ItemError not_found or bad_article.
        """
        entry = self._entry(video_id)
        info = _info(entry)
        description = _string(info, "description")
        if not description and entry.description:
            description = _read_text(entry.description, "bad_article")
        upload_date = _string(info, "upload_date")
        return Article(
            url=_string(info, "webpage_url") or _clean(entry.video.name),
            title=_string(info, "title") or _clean(entry.video.stem),
            article=description,
            channel=_string(info, "channel") or _string(info, "uploader"),
            upload_date=upload_date if re.fullmatch(r"\d{8}", upload_date, re.ASCII) else "",
            duration=_duration(info) or 0.0,
        )

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
        automatic = bool(_WORD_TIME.search(text)) or _is_automatic(entry, language)
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
        """16 hex digits over name, size and modification time (ns) of the file and its sidecars."""
        digest = hashlib.sha256()
        for path in self._entry(video_id).paths():
            try:
                stat = path.stat()
            except FileNotFoundError:
                raise ItemError("missing_file", f"{path.name} is gone") from None
            digest.update(f"{_clean(path.name)}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        return digest.hexdigest()[:16]

    def annotations(self) -> dict[str, dict[str, Any]]:
        """Gold labels from the folder's annotations.json, {} without one. Raises UserError if broken."""
        path = self._folder / "annotations.json"
        if not path.exists():
            return {}
        value = files.read_json(path)
        if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
            raise UserError(f"{path} must be an object {{video_id: {{…}}}}; correct or remove it")
        return value

    def _entry(self, video_id: str) -> _Entry:
        try:
            return self._entries[video_id]
        except KeyError:
            raise ItemError("not_found", f"{video_id} is not in {self._folder}") from None


def folder_state(folder: Path) -> str:
    """A short string that changes when files of a folder are added, removed or rewritten; without opening any."""
    digest = hashlib.sha256()
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        stat = entry.stat(follow_symlinks=False)
        digest.update(f"{_clean(entry.name)}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def id_of(name: str) -> str:
    """The id of a video from its file name without extension: that name if it can be one, else a hash."""
    if _ID.fullmatch(name):
        return name
    return base64.urlsafe_b64encode(hashlib.sha256(os.fsencode(name)).digest())[:11].decode()


def _scan(folder: Path, extensions: tuple[str, ...]) -> dict[str, _Entry]:
    """The videos of a folder by id, sorted by id, each with its sidecars."""
    root = folder.resolve()
    paths = [folder / entry.name for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)]
    paths = [path for path in paths if not path.name.startswith(".") and _is_inside(path, root)]
    entries: dict[str, _Entry] = {}
    by_name: dict[str, _Entry] = {}
    for path in paths:
        if path.suffix.lower() not in extensions:
            continue
        video_id = id_of(path.stem)
        if video_id in entries:
            both = f"{entries[video_id].video.name} and {path.name}"
            raise UserError(f"{both} have the same id {video_id}; rename one of them in {folder}")
        entries[video_id] = by_name[path.stem] = _Entry(path)
    for path in paths:
        _attach(path, by_name)
    return dict(sorted(entries.items()))


def _attach(path: Path, by_name: dict[str, _Entry]) -> None:
    """Add a sidecar to the video that it belongs to, if there is one."""
    if path.name.endswith(".info.json"):
        if entry := by_name.get(path.name.removesuffix(".info.json")):
            entry.info = path
    elif path.suffix == ".description":
        if entry := by_name.get(path.stem):
            entry.description = path
    elif path.suffix in (".vtt", ".srt"):
        if entry := by_name.get(path.stem):
            entry.captions.setdefault(UNKNOWN_LANGUAGE, path)
        elif (match := _CAPTION_FILE.fullmatch(path.name)) and (entry := by_name.get(match["name"])):
            entry.captions[match["language"]] = path  # .vtt sorts after .srt and wins: it keeps more


def _is_inside(path: Path, root: Path) -> bool:
    """Whether a path is a regular file that really lies under `root`: no link leads out of the folder."""
    return path.is_file() and path.resolve().is_relative_to(root)


def _search_hit(entry: _Entry) -> SearchHit:
    """A hit from the sidecar; a broken one costs only its title here, and the article stage reports it."""
    try:
        info = _info(entry)
    except ItemError:
        info = {}
    return SearchHit(
        url=_string(info, "webpage_url") or _clean(entry.video.name),
        title=_string(info, "title") or _clean(entry.video.stem),
        duration=_duration(info),
        channel=_string(info, "channel") or _string(info, "uploader"),
    )


def _info(entry: _Entry) -> dict[str, Any]:
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
    return _clean(value) if isinstance(value, str) else ""


def _duration(info: dict[str, Any]) -> float | None:
    value = info.get("duration")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 10**9 and math.isfinite(value) else None


def _clean(text: str) -> str:
    """Text that UTF-8 can hold: a file name or a JSON escape may smuggle in half a character."""
    return text.encode("utf-8", "replace").decode()


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


def _is_automatic(entry: _Entry, language: str) -> bool:
    """Whether yt-dlp's information lists this language under automatic captions only."""
    try:
        info = _info(entry)
    except ItemError:
        return False
    manual, automatic = info.get("subtitles"), info.get("automatic_captions")
    listed = isinstance(automatic, dict) and language in automatic
    return listed and not (isinstance(manual, dict) and language in manual)


def _segments(text: str, path: Path) -> list[Segment]:
    """Caption file text → segments in the order of time, without markup, empty cues and repeats."""
    try:
        cues = webvtt.from_buffer(io.StringIO(text), format=path.suffix[1:])
    except (MalformedFileError, MalformedCaptionError, ValueError) as error:
        raise ItemError("bad_captions", f"{path.name}: {error or type(error).__name__}") from None
    rolling = bool(_WORD_TIME.search(text))
    segments: list[Segment] = []
    shown: list[str] = []
    for cue in cues.captions:
        start, end = _seconds(cue.start), _seconds(cue.end)
        if end < start:
            raise ItemError("bad_captions", f"{path.name}: the cue at {cue.start} ends before it starts")
        lines = [_plain(line) for line in cue.text.split("\n")]
        # automatic captions roll: a cue repeats the line above, which the cue before has said already
        new = " ".join(line for line in lines if line and not (rolling and line in shown))
        if any(lines):
            shown = lines
        if new:
            segments.append(Segment(start=start, duration=round(end - start, 3), text=new))
    return sorted(segments, key=lambda segment: segment["start"])


def _seconds(clock: str) -> float:
    """HH:MM:SS.mmm in seconds; webvtt's own in_seconds() drops the milliseconds."""
    hours, minutes, seconds = clock.split(":")
    return round(int(hours) * 3600 + int(minutes) * 60 + float(seconds), 3)


def _plain(line: str) -> str:
    """A line without character references, override codes and doubled spaces; tags are webvtt's work."""
    return _clean(" ".join(html.unescape(_ASS_OVERRIDE.sub("", line)).split()))
