"""What is known of a video + the configured filters → why it isn't wanted, or nothing."""

import datetime
from collections.abc import Sequence
from typing import Any

from pipeline_lib.config.youtube import Filters


def operators(options: Filters) -> str:
    """What is added to a query, in the words of YouTube's own search, so that fewer hits have to be thrown away."""
    words = []
    if options.after:
        words.append(f"after:{options.after - datetime.timedelta(days=1)}")  # its bounds are exclusive
    if options.before:
        words.append(f"before:{options.before + datetime.timedelta(days=1)}")
    return "".join(f" {word}" for word in words)


def unwanted(info: dict[str, Any], options: Filters) -> str | None:
    """Why a video is left out; None for one that is wanted as far as is known.

    Args:
        info: as yt-dlp gives it, of a page (exact) or of a search result (where dates are missing or approximate).
    """
    duration = info.get("duration")
    if isinstance(duration, int | float):
        if duration < options.min_seconds:
            return f"{duration:.0f} s; filters.min_seconds is {options.min_seconds:g}"
        if duration > options.max_seconds:
            return f"{duration:.0f} s; filters.max_seconds is {options.max_seconds:g}"
    if not options.live and (info.get("live_status") in ("was_live", "post_live") or info.get("was_live")):
        return "the recording of a live stream; filters.live is false"
    if (day := uploaded(info)) is not None:
        if options.after and day < options.after:
            return f"uploaded {day}; filters.after is {options.after}"
        if options.before and day > options.before:
            return f"uploaded {day}; filters.before is {options.before}"
    return _language(info.get("language"), options.languages)


def uploaded(info: dict[str, Any]) -> datetime.date | None:
    """The day of upload, where it is known to the day."""
    text = info.get("upload_date")
    if isinstance(text, str) and len(text) == 8 and text.isascii() and text.isdigit():
        try:
            return datetime.datetime.strptime(text, "%Y%m%d").date()
        except ValueError:
            return None
    return None


def _language(spoken: object, wanted: Sequence[str]) -> str | None:
    if not wanted or not isinstance(spoken, str) or not spoken:
        return None
    if any(spoken == one or spoken.split("-")[0] == one for one in wanted):
        return None
    return f"spoken in {spoken}; filters.languages is {', '.join(wanted)}"
