"""A folder of videos with the sidecars that yt-dlp writes, or a CSV that lists videos → the files of every video, by id."""

import base64
import csv
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_lib.core.errors import UserError, one_line

EXTENSIONS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".m4v")
UNKNOWN_LANGUAGE = "und"  # BCP 47 for captions whose file name has no language
#: Columns of a CSV. feature_path, of video_feature_extractor's lists, is for that tool: here features lie in the work folder.
COLUMNS = ("video_path", "article", "captions", "feature_path")
_TEXT_FILES = (".txt", ".description", ".md")
_CAPTION_FILES = (".vtt", ".srt", ".json3")

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CAPTION_NAME = re.compile(r"(?P<name>.+)\.(?P<language>[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]+)*)\.(?:vtt|srt)")


@dataclass
class Entry:
    """A video file and what is known of it."""

    video: Path
    name: str  # that the id was made from
    info: Path | None = None
    description: Path | None = None
    captions: dict[str, Path] = field(default_factory=dict)  # language → file
    article: str = ""  # given in the list itself

    def paths(self) -> list[Path]:
        return [p for p in (self.video, self.info, self.description, *sorted(self.captions.values())) if p]


def id_of(name: str) -> str:
    """The id of a video from its file name without extension: that name if it can be one, else a hash."""
    if _ID.fullmatch(name):
        return name
    return base64.urlsafe_b64encode(hashlib.sha256(os.fsencode(name)).digest())[:11].decode()


def clean(text: str) -> str:
    """Text that UTF-8 can hold: a file name or a JSON escape may smuggle in half a character."""
    return text.encode("utf-8", "replace").decode()


def scan(folder: Path, extensions: Sequence[str] = EXTENSIONS) -> dict[str, Entry]:
    """The videos of a folder (not of its subfolders) by id, sorted by id, each with its sidecars.

    Raises:
        UserError: there is no such folder, or two files would have the same id.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; set the local source to the folder of the videos")
    wanted = tuple(extension.lower() for extension in extensions)
    root = folder.resolve()
    paths = [folder / entry.name for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)]
    paths = [path for path in paths if not path.name.startswith(".") and _is_inside(path, root)]
    entries: dict[str, Entry] = {}
    by_name: dict[str, Entry] = {}
    for path in paths:
        if path.suffix.lower() not in wanted:
            continue
        video_id = id_of(path.stem)
        if video_id in entries:
            both = f"{entries[video_id].video.name} and {path.name}"
            raise UserError(f"{both} have the same id {video_id}; rename one of them in {folder}")
        entries[video_id] = by_name[path.stem] = Entry(path, path.stem)
    _attach_all(paths, by_name)
    return dict(sorted(entries.items()))


def listed(path: Path) -> dict[str, Entry]:
    """The videos of a CSV by id, sorted by id, each with the sidecars beside it; columns of the list go before those.

    The header names the columns: video_path, and any of article (the text, or the path of a text file), captions (the path of
    a caption file) and feature_path (ignored). Relative paths start at the list's folder, or else at the working folder. Files
    of the same name in several folders get ids made from their paths.

    Raises:
        UserError: the list can't be read, has another header, or a line with too many or too few values.
    """
    rows = _rows(path)
    stems = Counter(Path(row["video_path"]).stem for row in rows)
    entries: dict[str, Entry] = {}
    beside: dict[Path, dict[str, Entry]] = {}
    for row in rows:
        video = _find(path, row["video_path"])
        name = video.stem if stems[video.stem] == 1 else row["video_path"]
        entry = entries[id_of(name)] = Entry(video, name)
        beside.setdefault(video.parent, {})[video.stem] = entry
    for folder, by_name in beside.items():
        if folder.is_dir():
            _attach_all((folder / one.name for one in sorted(os.scandir(folder), key=lambda one: one.name)), by_name)
    for row in rows:
        video = _find(path, row["video_path"])
        _complete(entries[id_of(video.stem if stems[video.stem] == 1 else row["video_path"])], row, path)
    return dict(sorted(entries.items()))


def _rows(path: Path) -> list[dict[str, str]]:
    """The lines of a list; a path that is repeated counts once."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            header = [column.strip() for column in next(lines, [])]
            if "video_path" not in header or set(header) - set(COLUMNS) or len(set(header)) != len(header):
                raise UserError(
                    f"{path} begins with {one_line(','.join(header), 100)!r}; its first line has to name its columns:"
                    f" video_path, and any of {', '.join(COLUMNS[1:])}"
                )
            rows: dict[str, dict[str, str]] = {}
            for values in lines:
                if not any(value.strip() for value in values):
                    continue
                row = dict(zip(header, map(clean, values), strict=False))
                if len(values) != len(header) or not row["video_path"].strip() or "\0" in row["video_path"]:
                    raise UserError(
                        f"{path}, line {lines.line_num}: {','.join(header)} expected, found {one_line(values, 100)}"
                    )
                rows.setdefault(row["video_path"], row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} can't be read as a list of videos ({one_line(error)})") from None
    return list(rows.values())


def _find(listing: Path, name: str) -> Path:
    """A path named by a list."""
    beside = listing.parent / name
    return Path(name) if not beside.exists() and Path(name).exists() else beside


def _complete(entry: Entry, row: dict[str, str], listing: Path) -> None:
    """Take over what the columns say."""
    article, captions = row.get("article", "").strip(), row.get("captions", "").strip()
    if article.endswith(_TEXT_FILES) and "\n" not in article and _find(listing, article).is_file():
        entry.description, entry.info = _find(listing, article), None
    elif article:
        entry.article = article
    if captions:
        path = _find(listing, captions)
        if path.suffix not in _CAPTION_FILES:
            raise UserError(
                f"{listing}: captions {captions!r} is no {', '.join(_CAPTION_FILES)} file; correct the column"
            )
        match = _CAPTION_NAME.fullmatch(path.name)
        entry.captions = {match["language"] if match else UNKNOWN_LANGUAGE: path}


def _attach_all(paths: Iterable[Path], by_name: dict[str, Entry]) -> None:
    """Add every sidecar to the video that it belongs to."""
    for path in paths:
        if path.name.endswith(".info.json"):
            if entry := by_name.get(path.name.removesuffix(".info.json")):
                entry.info = path
        elif path.suffix == ".description":
            if entry := by_name.get(path.stem):
                entry.description = path
        elif path.suffix in (".vtt", ".srt"):
            if entry := by_name.get(path.stem):
                entry.captions.setdefault(UNKNOWN_LANGUAGE, path)
            elif (match := _CAPTION_NAME.fullmatch(path.name)) and (entry := by_name.get(match["name"])):
                entry.captions[match["language"]] = path  # .vtt sorts after .srt and wins: it keeps more


def _is_inside(path: Path, root: Path) -> bool:
    """Whether a path is a regular file that really lies under `root`: no link leads out of the folder."""
    return path.is_file() and path.resolve().is_relative_to(root)
