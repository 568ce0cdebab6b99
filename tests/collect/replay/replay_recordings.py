"""Source packages of youtube-transcript-api and webvtt-py → the answers of YouTube recorded in them, fetched at test time."""

import hashlib
import json
from functools import cache
from pathlib import Path

import pytest

from pipeline_lib.collect import films
from pipeline_lib.core.errors import UserError

CACHE = Path(__file__).parents[3] / ".cache" / "replay"
_TRANSCRIPTS = films.Package(
    "youtube-transcript-api==1.2.5", "youtube_transcript_api-1.2.5.tar.gz", ("--no-binary", "youtube-transcript-api")
)
_WEBVTT = films.Package("webvtt-py==0.6.0", "webvtt_py-0.6.0.tar.gz", ("--no-binary", "webvtt-py"))
_SHA256 = {
    _TRANSCRIPTS.archive: "5e750bd1bac188c1b4afeaf20464ba4dd7a5fb05617f48463f9faa5bace683cc",
    _WEBVTT.archive: "2f4ba359ab7e6bac98aa086fa7fc0ba1320ca7495f7d67f565baceac37f40aff",
}


@cache
def _archive(package: films.Package) -> Path:
    try:
        path = films.download(package, CACHE)
    except UserError as error:
        pytest.skip(f"the recorded answers can't be had: {error}")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == _SHA256[package.archive]
    return path


def recorded(name: str) -> bytes:
    """A recorded answer by its file name, e.g. youtube.innertube.json.static."""
    member = f"youtube_transcript_api-1.2.5/youtube_transcript_api/test/assets/{name}"
    return films.unpack(_archive(_TRANSCRIPTS), (member,))


def recorded_player(name: str) -> dict:
    """A recorded player answer: "youtube", "youtube_ww1_nl_en", "youtube_age_restricted" …"""
    return json.loads(recorded(f"{name}.innertube.json.static"))


def rolling_sample() -> str:
    """Real automatic captions, as yt-dlp's predecessor saved them."""
    return films.unpack(_archive(_WEBVTT), ("webvtt_py-0.6.0/tests/samples/youtube_dl.vtt",)).decode()
