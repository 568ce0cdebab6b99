"""Page of a video → its file, downloaded in parts that outlive a killed run.

<folder>/.part/<video_id>/<format>-<bytes>-<version>.mp4.part   what is there so far; goes on where it ended

The name holds what YouTube says of the file, so a part is never continued with bytes of another encoding.
"""

import errno
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipeline_lib.collect.remux import remux
from pipeline_lib.collect.sources.youtube import formats, reasons
from pipeline_lib.collect.sources.youtube.client import Client
from pipeline_lib.collect.sources.youtube.formats import Format
from pipeline_lib.core.errors import TRANSIENT, ItemError, Reason, StopStage

PARTS = ".part"
_HTML = (b"<!doctype", b"<html", b"<?xml", b"{")
_MAGIC = {"mp4": (4, b"ftyp"), "m4a": (4, b"ftyp"), "webm": (0, b"\x1a\x45\xdf\xa3")}


class Media:
    """Downloads through one client."""

    def __init__(self, client: Client) -> None:
        self._client, self._choice = client, client.options.videos
        self._deadline = 0.0
        client.ydl.add_progress_hook(self._watch)

    def video(self, page: dict[str, Any], to: Path, folder: Path) -> None:
        """Write the whole video to `to`, an mp4; parts of it lie in `folder` until it is there.

        Raises:
            ItemError: what is wrong with it, or with the network.
            StopStage: YouTube refuses everything.
        """
        parts = folder / PARTS / str(page["id"])
        try:
            chosen = formats.choose(self._formats(page), self._choice)
            got = [self._fetch(page, one, parts) for one in chosen]
            if len(got) == 1 and chosen[0]["ext"] == "mp4":
                os.replace(got[0], to)
            else:
                remux(to, *got)
        except ItemError as error:
            if error.reason not in TRANSIENT:
                shutil.rmtree(parts, ignore_errors=True)
            raise
        shutil.rmtree(parts, ignore_errors=True)

    def sound(self, page: dict[str, Any], folder: Path) -> Path:
        """A file in which speech can be recognised; the caller deletes its folder."""
        chosen = formats.sound(self._formats(page), self._choice.max_bytes)
        return self._fetch(page, chosen, folder / PARTS / str(page["id"]))

    def _formats(self, page: dict[str, Any]) -> list[Format]:
        """The formats as yt-dlp sorts and completes them."""
        if not page.get("formats"):
            if page.get("token_missing"):
                raise ItemError(
                    Reason.PO_TOKEN_REQUIRED, "all formats need a token that proves a browser; see docs/youtube.md"
                )
            raise ItemError(Reason.NO_VIDEO_STREAM, "the page offers no formats")
        try:
            result = self._client.ydl.process_ie_result(
                {"extractor": "youtube", "extractor_key": "Youtube", **page, "_type": "video"}, download=False
            )
        except (ItemError, StopStage):
            raise
        except Exception as error:
            raise reasons.of_ytdlp(error) from None
        return list(result.get("formats") or [])

    def _fetch(self, page: dict[str, Any], one: Format, parts: Path) -> Path:
        """One format as a whole file in `parts`."""
        parts.mkdir(parents=True, exist_ok=True)
        path = parts / _name(one)
        return self._client.ask("media", lambda: self._download(page, one, path))

    def _download(self, page: dict[str, Any], one: Format, path: Path) -> Path:
        self._deadline = time.monotonic() + self._choice.max_wall
        try:
            done, _ = self._client.ydl.dl(str(path), {"title": "", **one, "id": page["id"]})
        except (ItemError, StopStage):
            raise
        except Exception as error:
            if "No space left" in str(error) or "Disk quota" in str(error):
                raise OSError(errno.ENOSPC, "no space left", str(path)) from None
            raise reasons.of_ytdlp(error) from None
        if not done or not path.is_file():
            raise ItemError(Reason.NETWORK, "the download ended without a file")
        try:
            check(path, one)
        except ItemError:
            path.unlink()
            raise
        return path

    def _watch(self, progress: dict[str, Any]) -> None:
        """Stop a download that is larger than was declared, or too slow."""
        if progress.get("status") != "downloading":
            return
        if (progress.get("downloaded_bytes") or 0) > self._choice.max_bytes:
            raise ItemError(Reason.TOO_LARGE, f"more than {self._choice.max_bytes} bytes, which is videos.max_bytes")
        if time.monotonic() > self._deadline:
            raise ItemError(
                Reason.NETWORK, f"not finished after {self._choice.max_wall:.0f} s, which is videos.max_wall"
            )


def check(path: Path, one: Format) -> None:
    """What came is what was asked for, by its first bytes and its length.

    Raises:
        ItemError: not_a_video, or network for another length.
    """
    with open(path, "rb") as stream:
        head = stream.read(512)
    where, magic = _MAGIC[one["ext"]]
    if head[where : where + len(magic)] != magic:
        what = "a web page" if head.lstrip().lower().startswith(_HTML) else "something else"
        raise ItemError(Reason.NOT_A_VIDEO, f"{what} instead of {one['ext']}")
    size, declared = path.stat().st_size, one.get("filesize")
    if declared and size != declared:
        raise ItemError(Reason.NETWORK, f"wrong length: {size} bytes of {declared}")


def _name(one: Format) -> str:
    """A file name of our own making from what tells one encoding from another."""
    version = parse_qs(urlsplit(str(one["url"])).query).get("lmt", ["0"])[-1]
    words = [str(one.get("format_id")), str(one.get("filesize") or 0), version]
    return "-".join(re.sub(r"[^A-Za-z0-9]", "", word)[:24] for word in words) + f".{one['ext']}"
