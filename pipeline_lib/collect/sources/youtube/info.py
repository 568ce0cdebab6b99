"""Video id → what its page says (texts, captions on offer, formats), read once for all stages.

A page costs several requests, and YouTube counts them. So what is needed of it is kept for some hours in the work folder; the
addresses in it stay valid for six.
"""

import json
import logging
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock
from yt_dlp import YoutubeDL

from pipeline_lib.collect.limiter import VIDEOS
from pipeline_lib.collect.sources.youtube import filters, reasons
from pipeline_lib.collect.sources.youtube.client import Client
from pipeline_lib.core import files
from pipeline_lib.core.errors import TRANSIENT, ItemError, Reason, StopStage

log = logging.getLogger(__name__)

LOCKS = 64  # pages that several stages may read at a time

_KEPT = (
    "id", "title", "description", "channel", "uploader", "upload_date", "timestamp", "duration", "availability",
    "live_status", "language", "webpage_url", "age_limit", "formats", "_format_sort_fields", "token_missing",
)  # fmt: skip


class Pages:
    """The pages of videos, each read once in `info_hours`."""

    def __init__(self, client: Client, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._client, self._folder, self._clock = client, folder, clock

    def read(self, video_id: str, fresh: bool = False) -> dict[str, Any]:
        """yt-dlp's information on a video, as far as the stages need it.

        Args:
            fresh: don't use what was kept: an address in it no longer works.

        Raises:
            ItemError: the video can't be had or isn't wanted, with the reason.
            StopStage: YouTube refuses everything.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(
            self._folder / f".lock-{zlib.crc32(video_id.encode()) % LOCKS:02d}"
        ):  # the others then find it here
            kept = None if fresh else self._kept(video_id)
            if kept is None:
                kept = self._fetch(video_id)
                self._keep(video_id, kept)
        if "reason" in kept:
            raise ItemError(kept["reason"], kept["detail"])
        if why := filters.unwanted(kept, self._client.options.filters):
            raise ItemError(Reason.FILTERED, why)
        return kept

    def _fetch(self, video_id: str) -> dict[str, Any]:
        """What the page says now, or {reason, detail} of a lasting failure; raises ItemError for a passing one."""
        try:
            info = self._client.ask("pages", lambda: _extract(self._client, video_id))
        except ItemError as error:
            if error.reason in TRANSIENT:
                raise
            return {"reason": str(error.reason), "detail": error.detail}
        page = {key: info[key] for key in _KEPT if info.get(key) is not None}
        page |= {key: _tracks(info.get(key)) for key in ("subtitles", "automatic_captions")}
        plain: dict[str, Any] = json.loads(json.dumps(YoutubeDL.sanitize_info(page)))
        return plain

    def _path(self, video_id: str) -> Path:
        return self._folder / f"{video_id}.json"

    def _kept(self, video_id: str) -> dict[str, Any] | None:
        path = self._path(video_id)
        try:
            age = self._clock() - path.stat().st_mtime
            if not 0 <= age <= 3600 * self._client.options.info_hours:
                return None
            page = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return page if isinstance(page, dict) else None

    def _keep(self, video_id: str, page: dict[str, Any]) -> None:
        if self._client.options.info_hours > 0:
            with files.atomic(self._path(video_id)) as temporary:
                temporary.touch(mode=0o600)  # addresses carry signatures
                temporary.write_text(json.dumps(page), encoding="utf-8")


def forget(folder: Path, video_id: str) -> None:
    """Drop what is kept of a video, so that the next stage asks again."""
    (folder / f"{video_id}.json").unlink(missing_ok=True)


def _extract(client: Client, video_id: str) -> dict[str, Any]:
    client.limiter.acquire(VIDEOS)
    client.ydl.last_error = None
    client.ydl.messages.clear()
    try:
        url = f"https://www.youtube.com/watch?v={video_id}"
        info = client.ydl.extract_info(url, download=False, process=False, ie_key="Youtube")
    except (ItemError, StopStage):
        raise
    except Exception as error:
        raise reasons.of_ytdlp(error, client.ydl.last_error, client.ydl.messages.last) from None
    if not isinstance(info, dict) or info.get("id") != video_id:
        raise ItemError(Reason.MEMBERS_ONLY, "the page leads to another video, such as a trailer")
    if info.get("live_status") in ("is_live", "is_upcoming"):
        raise ItemError(Reason.LIVE, "on air now" if info["live_status"] == "is_live" else "announced, not yet on air")
    return info | {"token_missing": client.ydl.messages.token_missing}


def _tracks(offered: object) -> dict[str, list[dict[str, str]]]:
    """{language: [{ext, url}]} of the caption formats that are read here, without YouTube's machine translations."""
    kept: dict[str, list[dict[str, str]]] = {}
    for language, formats in offered.items() if isinstance(offered, dict) else ():
        ours = [
            {"ext": one["ext"], "url": one["url"]}
            for one in formats
            if one.get("ext") in ("json3", "vtt") and isinstance(one.get("url"), str) and "tlang=" not in one["url"]
        ]
        if ours and language != "live_chat":
            kept[language] = ours
    return kept
