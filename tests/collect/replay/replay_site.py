"""Scripted videos → a site that answers as YouTube does, as far as yt-dlp and youtube-transcript-api ask.

Written for these tests, after the form of real answers: pages, search results, captions and media. Recorded player answers
(replay_recordings.py) can stand in for the written ones, by video id.
"""

import collections
import hashlib
import json
import threading
from dataclasses import dataclass, field
from urllib.parse import quote

from replay_server import Answer, Asked

MEDIA_HOST = "rr1---sn-replay.googlevideo.com"
HTML = b"<!DOCTYPE html><html><body>Sorry</body></html>"
_OWNER = {"videoOwnerRenderer": {"title": {"runs": [{"text": "Coast News"}]}}}
_CONTENTS = [{"videoSecondaryInfoRenderer": {"owner": _OWNER}}]
INITIAL = {"contents": {"twoColumnWatchNextResults": {"results": {"results": {"contents": _CONTENTS}}}}}
PLAYABILITY = {
    "age_restricted": {"status": "LOGIN_REQUIRED", "reason": "Sign in to confirm your age"},
    "private": {"status": "LOGIN_REQUIRED", "reason": "Private video"},
    "removed": {"status": "ERROR", "reason": "This video has been removed by the uploader"},
    "members_only": {"status": "UNPLAYABLE", "reason": "Join this channel to get access to members-only content"},
    "region_blocked": {
        "status": "UNPLAYABLE",
        "reason": "Video unavailable",
        "errorScreen": {
            "playerErrorMessageRenderer": {
                "reason": {"simpleText": "Video unavailable"},
                "subreason": {"simpleText": "The uploader has not made this video available in your country"},
            }
        },
    },
    "request_blocked": {"status": "LOGIN_REQUIRED", "reason": "Sign in to confirm you’re not a bot"},
    "live": {"status": "LIVE_STREAM_OFFLINE", "reason": "This live event will begin in 3 hours."},
}


@dataclass
class Fault:
    """What goes wrong at one place (page | player | captions | media) of a video: the first `times` times, None: always."""

    place: str
    kind: str  # a status like "503", a key of PLAYABILITY, or reset | stall | html | short | garbage
    times: int | None = None
    retry_after: str | None = None


@dataclass
class Video:
    """A video of the site."""

    media: bytes = b""
    title: str = "A storm over the harbour"
    description: str = "Waves broke over the pier.\nNobody was hurt."
    seconds: int = 4
    captions: dict[str, str] | None = field(default_factory=lambda: {"en": "manual"})  # language → kind; None: disabled
    words: str = "the waves broke over the pier"
    faults: list[Fault] = field(default_factory=list)
    details: dict = field(default_factory=dict)  # further videoDetails
    player: dict | None = None  # a recorded player answer


class Site:
    """Answers for some videos; keeps count of what was asked."""

    def __init__(self, videos: dict[str, Video], results: dict[str, list[list[dict]]] | None = None) -> None:
        self.videos, self.results = videos, results or {}
        self._seen: collections.Counter = collections.Counter()
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/watch":
            return self._faulty("page", asked.query["v"]) or Answer(page(asked.query["v"]), kind="text/html")
        if asked.path == "/youtubei/v1/player":
            return self._player(asked.json()["videoId"])
        if asked.path == "/youtubei/v1/search":
            return self._search(asked.json())
        if asked.path == "/api/timedtext":
            return self._captions(asked.query)
        if asked.path == "/videoplayback":
            return self._media(asked)
        if asked.path == "/youtubei/v1/next":
            return Answer(json.dumps(INITIAL).encode())
        if asked.path == "/" or asked.path.startswith("/embed/"):
            return Answer(page(""), kind="text/html")
        return Answer(HTML, status=404, kind="text/html")

    def _faulty(self, place: str, video_id: str) -> Answer | None:
        """The answer of a fault of this video that is due at a place."""
        for number, fault in enumerate(self.videos[video_id].faults if video_id in self.videos else ()):
            if fault.place != place:
                continue
            with self._lock:
                self._seen[video_id, number] += 1
                if fault.times is not None and self._seen[video_id, number] > fault.times:
                    continue
            if fault.kind.isdigit():
                headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                return Answer(HTML, status=int(fault.kind), kind="text/html", headers=headers)
            if fault.kind in PLAYABILITY:
                details = {"videoId": video_id, "title": self.videos[video_id].title}
                return Answer(
                    json.dumps({"playabilityStatus": PLAYABILITY[fault.kind], "videoDetails": details}).encode()
                )
            if fault.kind == "html":
                return Answer(HTML * 50, kind="text/html")
            if fault.kind == "garbage":
                return Answer(b"\x00{[<" * 40, kind="text/plain")
            return Answer(HTML * 50, sent=100, then=fault.kind)  # reset | stall | short
        return None

    def _player(self, video_id: str) -> Answer:
        video = self.videos.get(video_id)
        if video is None:
            status = {"status": "ERROR", "reason": "This video is unavailable"}
            return Answer(json.dumps({"playabilityStatus": status, "videoDetails": {"videoId": video_id}}).encode())
        return self._faulty("player", video_id) or Answer(json.dumps(video.player or player(video_id, video)).encode())

    def _captions(self, query: dict[str, str]) -> Answer:
        video = self.videos[query["v"]]
        text, kind = captions(video.words, query.get("fmt", "srv1"))
        return self._faulty("captions", query["v"]) or Answer(text.encode(), kind=kind)

    def _media(self, asked: Asked) -> Answer:
        media, video_id = self.videos[asked.query["id"]].media, asked.query["id"]
        first, last = 0, len(media) - 1
        if span := asked.headers.get("Range"):
            start, _, end = span.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or last), last)
        if first > last:
            return Answer(status=416, headers={"Content-Range": f"bytes */{len(media)}"})
        body = media[first : last + 1]
        headers = {"Content-Range": f"bytes {first}-{last}/{len(media)}", "Accept-Ranges": "bytes"}
        fault = self._faulty("media", video_id)
        if fault is None:
            return Answer(body, status=206, kind="video/mp4", headers=headers)
        if fault.sent is None:
            return fault
        if fault.then == "short":  # less than was promised, consistently
            return Answer(media[: len(media) // 2], kind="video/mp4")
        return Answer(body, status=206, kind="video/mp4", headers=headers, sent=len(body) // 2, then=fault.then)

    def _search(self, body: dict) -> Answer:
        query, number = body.get("query", ""), 0
        if token := body.get("continuation"):
            query, _, place = token.rpartition("|")
            number = int(place)
        pages = self.results.get(query, [])
        items = [{"videoRenderer": renderer} for renderer in (pages[number] if number < len(pages) else [])]
        contents = [{"itemSectionRenderer": {"contents": items}}]
        if number + 1 < len(pages):
            endpoint = {"continuationCommand": {"token": f"{query}|{number + 1}"}}
            contents.append({"continuationItemRenderer": {"continuationEndpoint": endpoint}})
        if number:
            action = {"appendContinuationItemsAction": {"continuationItems": contents}}
            return Answer(json.dumps({"onResponseReceivedCommands": [action]}).encode())
        columns = {
            "twoColumnSearchResultsRenderer": {"primaryContents": {"sectionListRenderer": {"contents": contents}}}
        }
        return Answer(json.dumps({"contents": columns}).encode())


def result(video_id: str, title: str, length: str | None = "4:05", **more: object) -> dict:
    """A line of a search result."""
    found = {
        "videoId": video_id,
        "title": {"runs": [{"text": title}]},
        "ownerText": {"runs": [{"text": "Coast News"}]},
        "publishedTimeText": {"simpleText": "3 years ago"},
        **({"lengthText": {"simpleText": length}} if length else {}),
    }
    return found | more


def page(video_id: str) -> bytes:
    """A page without anything but what the clients look for."""
    settings = {
        "INNERTUBE_API_KEY": "AIzaReplay_0123456789",
        "INNERTUBE_CONTEXT": {"client": {"clientName": "WEB", "clientVersion": "2.20260708.00.00", "hl": "en"}},
        "INNERTUBE_CLIENT_VERSION": "2.20260708.00.00",
        "STS": 20000,
        "PLAYER_JS_URL": "/s/player/00000000/player_ias.vflset/en_US/base.js",
        "VISITOR_DATA": "replay",
    }
    return (
        f"<!DOCTYPE html><html><head><title>{video_id}</title></head><body><script>ytcfg.set({json.dumps(settings)});</script>"
        f"<script>var ytInitialData = {json.dumps(INITIAL)};</script></body></html>"
    ).encode()


def player(video_id: str, video: Video) -> dict:
    """A player answer with one progressive file."""
    digest = hashlib.sha256(video.media).hexdigest()[:12]
    url = f"https://{MEDIA_HOST}/videoplayback?id={quote(video_id)}&itag=18&lmt={int(digest, 16)}&sig=replay-secret"
    answer = {
        "playabilityStatus": {"status": "OK", "playableInEmbed": True},
        "videoDetails": {
            "videoId": video_id,
            "title": video.title,
            "lengthSeconds": str(video.seconds),
            "shortDescription": video.description,
            "author": "Coast News",
            "channelId": "UC" + "a" * 22,
            "isLiveContent": False,
            "isLive": False,
            "isPrivate": False,
            "viewCount": "7",
            **video.details,
        },
        "microformat": {
            "playerMicroformatRenderer": {"publishDate": "2024-01-31", "uploadDate": "2024-01-31", "isUnlisted": False}
        },
        "streamingData": {
            "expiresInSeconds": "21540",
            "formats": [
                {
                    "itag": 18, "url": url, "mimeType": 'video/mp4; codecs="avc1.42001E, mp4a.40.2"', "bitrate": 300_000,
                    "width": 64, "height": 48, "contentLength": str(len(video.media)), "quality": "medium", "fps": 10,
                    "qualityLabel": "360p", "approxDurationMs": str(1000 * video.seconds), "audioQuality": "AUDIO_QUALITY_LOW",
                }
            ],
        },
    }  # fmt: skip
    if video.captions is not None:
        tracks = [
            {
                "baseUrl": f"https://www.youtube.com/api/timedtext?v={quote(video_id)}&lang={language}&kind={kind}",
                "name": {"runs": [{"text": language}]},
                "vssId": f".{language}" if kind == "manual" else f"a.{language}",
                "languageCode": language,
                "isTranslatable": True,
                **({} if kind == "manual" else {"kind": "asr"}),
            }
            for language, kind in video.captions.items()
        ]
        answer["captions"] = {"playerCaptionsTracklistRenderer": {"captionTracks": tracks, "translationLanguages": []}}
    return answer


def captions(words: str, form: str) -> tuple[str, str]:
    """A caption file of two cues, and its content type."""
    parts = [words, "nobody was hurt"]
    if form == "json3":
        events = [{"tStartMs": 2000 * i, "dDurationMs": 1500, "segs": [{"utf8": part}]} for i, part in enumerate(parts)]
        return json.dumps({"wireMagic": "pb3", "events": events}), "application/json"
    if form == "vtt":
        cues = "".join(f"00:00:0{2 * i}.000 --> 00:00:0{2 * i + 1}.500\n{part}\n\n" for i, part in enumerate(parts))
        return f"WEBVTT\n\n{cues}", "text/vtt"
    texts = "".join(f'<text start="{2 * i}" dur="1.5">{part}</text>' for i, part in enumerate(parts))
    return f'<?xml version="1.0" encoding="utf-8" ?><transcript>{texts}</transcript>', "text/xml"
