"""Requests of yt-dlp and of youtube-transcript-api → the same requests, one at a time, through one limiter.

Nothing else of this source opens a connection. yt-dlp's own tries are switched off: `Client.ask` tries again, so that every
request is counted and every refusal known.
"""

import email.utils
import logging
import os
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests
import yt_dlp.extractor.youtube  # noqa: F401 - registers the JavaScript runtimes
from requests.adapters import HTTPAdapter
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random
from yt_dlp import YoutubeDL
from yt_dlp.networking.common import Request, Response
from yt_dlp.networking.exceptions import HTTPError, RequestError

from pipeline_lib.collect.limiter import REQUESTS, Limiter, Refused
from pipeline_lib.collect.sources.youtube import runtime, secrets
from pipeline_lib.config.youtube import YouTube
from pipeline_lib.core.errors import ItemError, Reason

log = logging.getLogger(__name__)
T = TypeVar("T")

HOSTS = ("youtube.com", "youtube-nocookie.com", "googlevideo.com", "googleapis.com")
MAX_ANSWER = 20 * 10**6  # bytes of a caption file or the like

#: Narrower than any client's notion of an address: they differ in which host `https://a\\@b` names.
_ADDRESS = re.compile(r"https://([a-z0-9.-]+)(?::443)?(?:[/?#]|\Z)", re.IGNORECASE)


class Client:
    """Both libraries behind one limiter; not for several threads."""

    def __init__(self, options: YouTube, limiter: Limiter) -> None:
        self.options, self.limiter = options, limiter
        runtime.log_versions()
        self.ydl = _Downloader(options, limiter)
        self.session = requests.Session()
        self.session.mount("https://", _Adapter(limiter, options.politeness.timeout))
        self.session.mount("http://", _NoPlainHttp())
        if options.proxy:
            self.session.proxies = {"https": options.proxy}

    def ask(self, what: str, question: Callable[[], T], insist: bool = False) -> T:
        """The answer to a question (a call of one of the libraries), asked again after passing errors.

        Args:
            what: kind of the question, for counting refusals: search | pages | captions | media.
            insist: ask again after a refusal too; stages of videos turn to another video instead.

        Raises:
            ItemError: there is none; Refused if it is the visitor who gets none.
            StopStage: refused too often.
        """
        limits = self.options.politeness
        tries = Retrying(
            retry=retry_if_exception(lambda error: _passes(error) or (insist and isinstance(error, Refused))),
            stop=stop_after_attempt(limits.tries),
            wait=wait_exponential(limits.wait, limits.max_wait) + wait_random(0, limits.wait),
            before_sleep=lambda state: log.info("%s; trying again", state.outcome and state.outcome.exception()),
            reraise=True,
        )
        for attempt in tries:
            with attempt:
                try:
                    answer = question()
                except Refused as refusal:
                    self.limiter.refused(what, refusal)
                    raise
                except ItemError as error:
                    if error.reason != Reason.NETWORK:
                        self.limiter.answered(what)  # that a video is private is an answer, too
                    raise
                self.limiter.answered(what)
        return answer

    def get(self, url: str) -> str:
        """Text behind an address of YouTube. Raises ItemError, or what yt-dlp raises."""
        with self.ydl.urlopen(Request(url)) as response:
            content = response.read(MAX_ANSWER + 1)
        if len(content) > MAX_ANSWER:
            raise ItemError(Reason.TOO_LARGE, f"an answer of more than {MAX_ANSWER // 10**6} MB")
        return bytes(content).decode("utf-8", "replace")


class _Downloader(YoutubeDL):
    """yt-dlp with every request counted, refused hosts refused, and the last network error remembered."""

    def __init__(self, options: YouTube, limiter: Limiter) -> None:
        self._limiter = limiter
        self.last_error: RequestError | None = None
        self.messages = _Log()
        super().__init__(_parameters(options) | {"logger": self.messages}, auto_init="no_verbose_header")

    def urlopen(self, req: Request | str) -> Response:
        request = Request(req) if isinstance(req, str) else req
        check_address(request.url)
        self._limiter.acquire(REQUESTS)
        try:
            response = super().urlopen(request)
            check_address(response.url)  # it may have been led elsewhere
            return response
        except HTTPError as error:
            if refusal := refusal_of(error.status, error.response.headers.get("Retry-After")):
                raise refusal from None
            self.last_error = error
            raise
        except RequestError as error:
            self.last_error = error
            raise


class _Adapter(HTTPAdapter):
    """youtube-transcript-api's connections."""

    def __init__(self, limiter: Limiter, timeout: float) -> None:
        self._limiter, self._timeout = limiter, timeout
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        check_address(str(request.url))
        self._limiter.acquire(REQUESTS)
        kwargs |= {"timeout": self._timeout} | ({"verify": _authorities()} if _authorities() else {})
        response = super().send(request, *args, **kwargs)
        if refusal := refusal_of(response.status_code, response.headers.get("Retry-After")):
            raise refusal
        return response


class _NoPlainHttp(HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        check_address(str(request.url))
        raise AssertionError("unreachable: an address of http:// is refused")


def check_address(url: str) -> None:
    """Raise ItemError for an address that isn't https of YouTube's hosts: answers of a site can name any."""
    match = _ADDRESS.match(url)
    host, rest = (match[1].lower(), url[match.end(1) :]) if match else ("", "")
    if host == "www.google.com" and rest.startswith("/sorry"):
        raise Refused("a captcha (google.com/sorry)", reason=Reason.REQUEST_BLOCKED)
    if not any(host == one or host.endswith(f".{one}") for one in HOSTS):
        raise ItemError(Reason.NETWORK, f"an address that is none of YouTube's: {re.split('[?#]', url)[0][:80]}")


def refusal_of(status: int, header: str | None) -> Refused | None:
    """The refusal that a status means: 429, or 503 with a Retry-After."""
    after = retry_after(header)
    return Refused(f"HTTP Error {status}", after) if status == 429 or (status == 503 and after is not None) else None


def retry_after(header: str | None, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header (a number or a date, RFC 9110) asks to wait; None without one or for nonsense."""
    if not header:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return min(float(header), 1e6)
    try:
        moment = email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError):
        return None
    return min(max(0.0, moment - (time.time() if now is None else now)), 1e6)


def _passes(error: BaseException) -> bool:
    return isinstance(error, ItemError) and error.reason == Reason.NETWORK


def _authorities() -> str | None:
    """The file of certificate authorities that the environment names, e.g. for a company's proxy; for both libraries."""
    return os.environ.get("SSL_CERT_FILE") or None


def _parameters(options: YouTube) -> dict[str, Any]:
    """yt-dlp's options."""
    parameters: dict[str, Any] = {
        "verbose": True,  # to _Log; only so is it said that formats need a token
        "quiet": True,
        "noprogress": True,
        "noplaylist": True,
        "cachedir": False,
        "check_formats": None,
        "socket_timeout": options.politeness.timeout,
        "extractor_retries": 0,
        "retries": 0,
        "fragment_retries": 0,
        "file_access_retries": 0,
        "skip_unavailable_fragments": False,
        "continuedl": True,
        "updatetime": False,
        "color": "no_color",
        "js_runtimes": runtime.js_runtimes(options.js_runtimes),
        "compat_opts": {"no-certifi"} if _authorities() else set(),
        "extractor_args": {
            "youtube": {"skip": ["translated_subs"], "player_client": list(options.clients)},
            "youtubetab": {"approximate_date": [""]},
        },
    }
    if stream := secrets.cookies(options.cookies):
        parameters["cookiefile"] = stream
    if options.proxy:
        parameters["proxy"] = options.proxy
    return parameters


class _Log:
    """yt-dlp's messages, at the level of debugging: what matters reaches the ledgers."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.token_missing = False  # whether something was left out for want of a token
        self.last = ""  # warning

    def debug(self, message: str) -> None:
        log.debug("%s", message)
        if "PO Token" in message and ("skipped" in message or "discarded" in message):
            self.token_missing = True

    def warning(self, message: str) -> None:
        log.debug("%s", message)
        self.last = message

    info = error = debug
