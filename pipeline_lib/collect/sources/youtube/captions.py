"""Page of a video → its captions in the language wanted most: from yt-dlp's caption addresses, else youtube-transcript-api."""

import logging
from collections.abc import Sequence
from typing import Any

from youtube_transcript_api import Transcript, TranscriptList, YouTubeTranscriptApi

from pipeline_lib.collect import subtitles
from pipeline_lib.collect.sources.base import Captions, Segment
from pipeline_lib.collect.sources.youtube import reasons
from pipeline_lib.collect.sources.youtube.client import Client
from pipeline_lib.core.errors import TRANSIENT, ItemError, Reason, StopStage

log = logging.getLogger(__name__)

FORMS = ("json3", "vtt")  # in this order
_MANUAL, _AUTO = "manual", "auto"


def captions(client: Client, video_id: str, page: dict[str, Any], languages: Sequence[str]) -> Captions:
    """Captions in the first of `languages` there is; within a language those that people wrote before automatic ones.

    Raises:
        ItemError: no_captions, captions_disabled, bad_captions, or why they can't be fetched.
        StopStage: YouTube refuses everything.
    """
    trouble: ItemError | None = None
    for kind, language, tracks in _offered(page, languages, client.options.captions.automatic):
        try:
            segments = _fetch(client, tracks)
        except ItemError as error:
            if error.reason in TRANSIENT and error.reason != Reason.PO_TOKEN_REQUIRED:
                raise
            trouble = error
            continue
        if segments:
            return Captions(captions=segments, caption_kind=kind, language=language)
    try:
        return client.ask("captions", lambda: _transcript(client, video_id, languages))
    except ItemError as error:
        says_little = error.reason in (Reason.NO_CAPTIONS, Reason.CAPTIONS_DISABLED)
        raise (trouble if trouble is not None and says_little else error) from None


def _offered(
    page: dict[str, Any], languages: Sequence[str], automatic: bool
) -> list[tuple[str, str, list[dict[str, str]]]]:
    """(kind, language, addresses) of what a page offers and is wanted, best first; en-GB and en-orig serve en."""
    kinds = [(_MANUAL, "subtitles"), *([(_AUTO, "automatic_captions")] if automatic else [])]
    found = []
    for language in languages:
        for kind, key in kinds:
            tracks = page.get(key) or {}
            exact = [language, f"{language}-orig"]
            for code in [
                *exact,
                *sorted(code for code in tracks if code.split("-")[0] == language and code not in exact),
            ]:
                if code in tracks:
                    found.append((kind, code.removesuffix("-orig"), tracks[code]))
    return found


def _fetch(client: Client, tracks: list[dict[str, str]]) -> list[Segment]:
    """The segments of a caption track, in the first form that can be read; [] if there is nothing in it."""
    broken: ItemError | None = None
    for form in FORMS:
        for track in tracks:
            if track["ext"] != form:
                continue
            text = client.ask("captions", lambda url=track["url"]: _get(client, url))  # type: ignore[misc]
            if not text.strip():  # what YouTube answers to who lacks a token for captions
                broken = broken or ItemError(Reason.PO_TOKEN_REQUIRED, "an empty caption file; a token may be needed")
                continue
            try:
                return subtitles.read(text, form)
            except subtitles.BadCaptions as error:
                broken = ItemError(Reason.BAD_CAPTIONS, f"{form}: {error}")
    if broken is not None:
        raise broken
    return []


def _get(client: Client, url: str) -> str:
    try:
        return client.get(url)
    except (ItemError, StopStage):
        raise
    except Exception as error:
        raise reasons.of_ytdlp(error) from None


def _transcript(client: Client, video_id: str, languages: Sequence[str]) -> Captions:
    """The same captions by the other library's way."""
    try:
        offered = YouTubeTranscriptApi(http_client=client.session).list(video_id)
        chosen = _choose(offered, languages, client.options.captions.automatic)
        if chosen is None:
            there = ", ".join(sorted({transcript.language_code for transcript in offered})) or "none"
            raise ItemError(Reason.NO_CAPTIONS, f"none in {', '.join(languages)}; there are: {there}")
        cues = [(one.start, one.start + one.duration, [subtitles.plain(one.text)]) for one in chosen.fetch()]
    except (ItemError, StopStage):
        raise
    except Exception as error:
        raise reasons.of_transcripts(error) from None
    segments = subtitles.unrolled(
        [(round(start, 3), max(round(start, 3), end), text) for start, end, text in cues], False
    )
    if not segments:
        raise ItemError(Reason.NO_CAPTIONS, f"the captions in {chosen.language_code} are empty")
    kind = _AUTO if chosen.is_generated else _MANUAL
    return Captions(captions=segments, caption_kind=kind, language=chosen.language_code)


def _choose(offered: TranscriptList, languages: Sequence[str], automatic: bool) -> Transcript | None:
    for language in languages:
        for generated in (False, True) if automatic else (False,):
            for transcript in offered:
                code = transcript.language_code
                if transcript.is_generated == generated and (code == language or code.split("-")[0] == language):
                    return transcript
    return None
