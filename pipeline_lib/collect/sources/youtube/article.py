"""Page of a video → its article: title, description, channel, date, duration, availability."""

import datetime
from typing import Any

from pipeline_lib.collect.sources.base import Article


def article(video_id: str, page: dict[str, Any]) -> Article:
    """What is written about a video; fields that YouTube left out are empty."""
    duration = page.get("duration")
    return Article(
        url=f"https://www.youtube.com/watch?v={video_id}",
        title=_text(page.get("title")),
        article=_text(page.get("description")),
        channel=_text(page.get("channel") or page.get("uploader")),
        upload_date=_day(page),
        duration=float(duration) if isinstance(duration, int | float) else 0.0,
        availability=_text(page.get("availability")),
    )


def _day(page: dict[str, Any]) -> str:
    """YYYYMMDD, in UTC where only a time is known."""
    day, moment = page.get("upload_date"), page.get("timestamp")
    if isinstance(day, str) and len(day) == 8 and day.isascii() and day.isdigit():
        return day
    if isinstance(moment, int | float) and 0 < moment < 4e9:
        return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y%m%d")
    return ""


def _text(value: object) -> str:
    """Text that UTF-8 can hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
