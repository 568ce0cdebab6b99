"""Errors of yt-dlp and youtube-transcript-api → the closed list of reasons of the ledgers.

Both libraries pass on YouTube's sentences, in English whatever the visitor's language (they ask for it).
"""

import re

import requests
import youtube_transcript_api as transcripts
from yt_dlp.networking.exceptions import HTTPError, RequestError
from yt_dlp.utils import ContentTooShortError, DownloadError, ExtractorError, GeoRestrictedError

from pipeline_lib.collect.limiter import Refused
from pipeline_lib.core.errors import ItemError, Reason, one_line

#: What YouTube or yt-dlp says → why. The first that matches counts, so the narrower come first.
_SENTENCES: tuple[tuple[str, Reason], ...] = (
    (r"not a bot|unusual traffic|captcha|IP is likely being blocked|blocking requests from your IP", Reason.REQUEST_BLOCKED),
    (r"try again later|rate.?limited|too many requests|HTTP Error 429", Reason.RATE_LIMITED),
    (r"confirm your age|age.?restricted|inappropriate for some users|age.?verification", Reason.AGE_RESTRICTED),
    (r"private video|video is private", Reason.PRIVATE),
    (r"(?:in|from) your country|geo.?restrict|in your (?:location|region)", Reason.REGION_BLOCKED),
    (r"members.only|join this channel|requires? payment|music premium|purchase|rental|only available to", Reason.MEMBERS_ONLY),
    (r"DRM", Reason.DRM_PROTECTED),
    (r"live event will begin|premieres? (?:will begin )?in|premiere will begin|live stream is offline|is upcoming", Reason.LIVE),
    (r"PO.?Token", Reason.PO_TOKEN_REQUIRED),
    (r"Requested format|no video formats", Reason.NO_VIDEO_STREAM),
    (r"removed|terminated|no longer available|unavailable|not available|isn't available|does not exist|been deleted"
     r"|violat|copyright|live event has ended", Reason.REMOVED),
    (r"HTTP Error 403", Reason.REQUEST_BLOCKED),
    (r"HTTP Error [45]\d\d|timed? ?out|connection|incomplete|truncated|resolve|bytes read|reset", Reason.NETWORK),
)  # fmt: skip

_TRANSCRIPTS: tuple[tuple[type[Exception], Reason], ...] = (
    (transcripts.IpBlocked, Reason.REQUEST_BLOCKED),
    (transcripts.RequestBlocked, Reason.REQUEST_BLOCKED),
    (transcripts.AgeRestricted, Reason.AGE_RESTRICTED),
    (transcripts.PoTokenRequired, Reason.PO_TOKEN_REQUIRED),
    (transcripts.TranscriptsDisabled, Reason.CAPTIONS_DISABLED),
    (transcripts.NoTranscriptFound, Reason.NO_CAPTIONS),
    (transcripts.VideoUnavailable, Reason.REMOVED),
    (transcripts.YouTubeDataUnparsable, Reason.BAD_CAPTIONS),
)


def of_sentence(text: str) -> Reason | None:
    """The reason that a sentence gives, or None if it says nothing known."""
    for pattern, reason in _SENTENCES:
        if re.search(pattern, text, re.IGNORECASE):
            return reason
    return None


def refusal(reason: Reason, text: str) -> ItemError:
    """The reason as an error; one that the visitor rather than the video is refused for counts towards the stop."""
    visitor = reason == Reason.RATE_LIMITED or (reason == Reason.REQUEST_BLOCKED and "403" not in text)
    return Refused(text, reason=reason) if visitor else ItemError(reason, text)


def of_status(status: int, text: str) -> ItemError:
    """The reason of an HTTP status that is an error; 429 is dealt with where its Retry-After is known."""
    if status == 403:
        return ItemError(Reason.REQUEST_BLOCKED, text)
    if status == 429:
        return Refused(text)
    return ItemError(Reason.NETWORK, text)


def of_ytdlp(error: Exception, swallowed: Exception | None = None, warning: str = "") -> ItemError:
    """The reason of an error raised by yt-dlp.

    Args:
        swallowed, warning: the last network error and the last warning on the way to `error`; yt-dlp goes on after errors of
            a player answer, and in the end only says that there was none.
    """
    if isinstance(error, DownloadError) and error.exc_info and isinstance(error.exc_info[1], Exception):
        error = error.exc_info[1]
    cause = error.cause if isinstance(error, ExtractorError) else None
    for one in (error, cause):
        if isinstance(one, ItemError):
            return one
        if isinstance(one, HTTPError):
            return of_status(one.status, one_line(one.msg))
        if isinstance(one, RequestError | ContentTooShortError | TimeoutError | ConnectionError):
            return ItemError(Reason.NETWORK, one_line(one))
    text = _plain(error.msg if isinstance(error, ExtractorError) else str(error))
    if isinstance(error, GeoRestrictedError):
        return ItemError(Reason.REGION_BLOCKED, text)
    if "Failed to extract any player response" in text:
        if swallowed is not None:
            return of_ytdlp(swallowed)
        text = _plain(warning) or text
        return refusal(of_sentence(text) or Reason.NETWORK, text)
    if status := re.search(r"HTTP Error (\d{3})", text):
        return of_status(int(status[1]), text)
    reason = of_sentence(text)
    if reason is None:
        said = f"{text} (unknown to this program; a newer yt-dlp may help: pip install -U yt-dlp)"
        return ItemError(Reason.INTERNAL, said)
    return refusal(reason, text)


def of_transcripts(error: Exception) -> ItemError:
    """The reason of an error raised by youtube-transcript-api."""
    if isinstance(error, ItemError):
        return error
    text = one_line(getattr(error, "cause", None) or error, 200)
    if isinstance(error, transcripts.YouTubeRequestFailed):
        status = re.search(r"\b([45]\d\d)\b", str(error.reason))
        return of_status(int(status[1]) if status else 0, one_line(error.reason, 200))
    if isinstance(error, transcripts.VideoUnplayable):
        text = one_line(". ".join([error.reason or "no reason given", *error.sub_reasons]))
        reason = of_sentence(text) or Reason.REMOVED
        return refusal(reason, text)
    for kind, reason in _TRANSCRIPTS:
        if isinstance(error, kind):
            return refusal(reason, text)
    if isinstance(error, requests.RequestException):
        return ItemError(Reason.NETWORK, text)
    if isinstance(error, transcripts.CouldNotRetrieveTranscript):
        return ItemError(Reason.NO_CAPTIONS, f"{type(error).__name__}: {text}")
    return ItemError(Reason.BAD_CAPTIONS, f"{type(error).__name__}: {text}")  # what came is no transcript


def _plain(text: str) -> str:
    """A message without yt-dlp's prefix and its advice for users of its command line."""
    text = re.sub(r"^(?:ERROR: )?(?:\[[\w:+]+\] )?(?:[\w-]{11}: )?", "", one_line(text))
    return re.split(r" Use --cookies|; please report this issue| It is recommended to use|\. See  https", text)[0]
