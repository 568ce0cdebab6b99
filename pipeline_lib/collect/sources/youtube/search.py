"""Query → search hits {video_id: hit}, through yt-dlp's search."""

import logging
import re
from typing import Any

from pipeline_lib.collect.sources.base import SearchHit
from pipeline_lib.collect.sources.youtube import filters, reasons
from pipeline_lib.collect.sources.youtube.client import Client
from pipeline_lib.config.youtube import Filters
from pipeline_lib.core.errors import ItemError, Reason, StopStage, UserError, one_line

log = logging.getLogger(__name__)

ID = re.compile(r"[A-Za-z0-9_-]{11}")
SEEN_PER_HIT = 10  # results looked at for each wanted one, before strict filters give up


def search(client: Client, query: str, limit: int, options: Filters) -> dict[str, SearchHit]:
    """At most `limit` hits in YouTube's order, without those that the filters are known to reject.

    Raises:
        ItemError: the search failed.
        UserError: `*` or an empty query.
    """
    if query.strip() in ("", "*"):
        raise UserError(f"source.queries holds {query!r}, which YouTube can't answer; list what to search for")
    return client.ask("search", lambda: _search(client, query, limit, options), insist=True)


def _search(client: Client, query: str, limit: int, options: Filters) -> dict[str, SearchHit]:
    hits: dict[str, SearchHit] = {}
    left_out = 0
    try:
        extractor = client.ydl.get_info_extractor("YoutubeSearch")
        results = extractor._search_results(query + filters.operators(options))  # page by page, as far as it is read
        for count, result in enumerate(results, 1):
            video_id = result.get("id") if isinstance(result, dict) else None
            if not isinstance(video_id, str) or not ID.fullmatch(video_id) or video_id in hits:
                continue
            if result.get("live_status") in ("is_live", "is_upcoming") or filters.unwanted(_known(result), options):
                left_out += 1
            else:
                hits[video_id] = _hit(video_id, result)
            if len(hits) >= limit or count >= SEEN_PER_HIT * limit:
                break
    except (ItemError, StopStage):
        raise
    except Exception as error:
        known = reasons.of_ytdlp(error, client.ydl.last_error)
        raise known if known.reason != Reason.REMOVED else ItemError(Reason.NETWORK, known.detail) from None
    log.info("%r: %d hits, %d left out by the filters", query, len(hits), left_out)
    return hits


def _known(result: dict[str, Any]) -> dict[str, Any]:
    """A result without its date, which is a guess from words like `3 years ago`."""
    return {key: value for key, value in result.items() if key not in ("upload_date", "timestamp")}


def _hit(video_id: str, result: dict[str, Any]) -> SearchHit:
    duration = result.get("duration")
    return SearchHit(
        url=f"https://www.youtube.com/watch?v={video_id}",
        title=one_line(result.get("title") or "", 1000),
        duration=float(duration) if isinstance(duration, int | float) else None,
        channel=one_line(result.get("channel") or result.get("uploader") or "", 1000),
    )
