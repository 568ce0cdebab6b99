"""A place that videos come from → hits, articles, captions and files behind one small interface."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict


class SearchHit(TypedDict):
    """One line of a search result."""

    url: str
    title: str
    duration: float | None  # seconds; None where the search page doesn't say
    channel: str
    original_id: NotRequired[str]  # the name that the id was made from, where it could not be one itself


class Article(TypedDict):
    """What is written about a video."""

    url: str
    title: str
    article: str  # the description text
    channel: str
    upload_date: str  # YYYYMMDD
    duration: float  # seconds
    availability: NotRequired[str]  # public | unlisted …, where the source knows
    original_id: NotRequired[str]  # the name that the id was made from, where it could not be one itself


class Segment(TypedDict):
    """One timed caption."""

    start: float  # seconds
    duration: float  # seconds
    text: str


class Captions(TypedDict):
    """All captions of a video in one language, in the order of time."""

    captions: list[Segment]
    caption_kind: str  # manual | auto | asr | none
    language: str
    model: NotRequired[str]  # that recognised the speech, of kind asr


class Source(Protocol):
    """Where videos come from. Every method raises core.errors.ItemError for an id that it can't serve."""

    name: str

    def search(self, query: str, limit: int) -> dict[str, SearchHit]:
        """At most `limit` hits {video_id: hit}, in the same order every time."""

    def article(self, video_id: str) -> Article:
        """Title, description and dates of one video."""

    def captions(self, video_id: str, languages: Sequence[str]) -> Captions:
        """The captions in the first of `languages` there is; kind `none` and no segments if there is none."""

    def video(self, video_id: str, to: Path) -> None:
        """Write the whole video file to `to`, a temporary path that the caller renames."""

    def version(self, video_id: str) -> str:
        """A short string that changes when the content behind the id changes."""

    def annotations(self) -> dict[str, dict[str, Any]]:
        """Gold labels for evaluation {video_id: annotation}; {} where the source has none."""
