"""YouTube behind the interface of every source."""

import functools
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline_lib.collect.limiter import Limiter
from pipeline_lib.collect.sources.base import Article, Captions, SearchHit
from pipeline_lib.collect.sources.youtube import article, asr, captions, search
from pipeline_lib.collect.sources.youtube.client import Client
from pipeline_lib.collect.sources.youtube.info import Pages
from pipeline_lib.collect.sources.youtube.media import PARTS, Media
from pipeline_lib.config.youtube import YouTube
from pipeline_lib.core.errors import ItemError, Reason

log = logging.getLogger(__name__)

FOLDER = "youtube"  # in the work folder: pages that were read, and the limiter unless source.youtube.shared is set


class YouTubeSource:
    """Videos of YouTube, asked for politely; one per process, and opened by the first question.

    Every method raises UserError where there is no JavaScript runtime or others can read the cookie file.

    Args:
        work: the work folder.
    """

    name = "youtube"

    def __init__(self, options: YouTube, work: Path) -> None:
        self._options, self._folder = options, work / FOLDER
        self.limiter = Limiter(Path(options.shared) if options.shared else self._folder, options.politeness)

    @functools.cached_property
    def _client(self) -> Client:
        return Client(self._options, self.limiter)

    @functools.cached_property
    def _pages(self) -> Pages:
        return Pages(self._client, self._folder / "pages")

    @functools.cached_property
    def _media(self) -> Media:
        return Media(self._client)

    def search(self, query: str, limit: int) -> dict[str, SearchHit]:
        """At most `limit` hits in YouTube's order (which YouTube changes as it likes)."""
        return search.search(self._client, query, limit, self._options.filters)

    def article(self, video_id: str) -> Article:
        """What the page says."""
        return article.article(video_id, self._pages.read(video_id))

    def captions(self, video_id: str, languages: Sequence[str]) -> Captions:
        """The captions in the first of `languages`; recognised here where there are none and a model is configured."""
        page = self._pages.read(video_id)
        try:
            return captions.captions(self._client, video_id, page, languages)
        except ItemError as error:
            if error.reason not in (Reason.NO_CAPTIONS, Reason.CAPTIONS_DISABLED):
                raise
            if self._options.captions.asr:
                return self._recognise(page, self._options.captions.asr, languages)
            if self._options.captions.required:
                raise
        return Captions(captions=[], caption_kind="none", language="")

    def video(self, video_id: str, to: Path) -> None:
        """Download the file to `to`; parts of it stay in a folder beside it if the process is killed."""
        page = self._pages.read(video_id)
        try:
            self._media.video(page, to, to.parent)
        except ItemError as error:
            if not error.detail.startswith("HTTP Error 4"):
                raise
            log.info("%s: %s; reading its page again", video_id, error)  # addresses expire, and belong to one visitor
            self._media.video(self._pages.read(video_id, fresh=True), to, to.parent)

    def version(self, video_id: str) -> str:
        """Nothing: whether a video has changed can't be known without asking for it."""
        return ""

    def annotations(self) -> dict[str, dict[str, Any]]:
        """None."""
        return {}

    def _recognise(self, page: dict[str, Any], model: str, languages: Sequence[str]) -> Captions:
        folder = self._folder / "sound"
        try:
            return asr.recognise(self._media.sound(page, folder), model, languages)
        finally:
            shutil.rmtree(folder / PARTS / str(page["id"]), ignore_errors=True)
