"""A seed → a whole video site: search, articles, captions, rendered files and gold event coreference."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline_lib.collect.sources.base import Article, Captions, SearchHit
from pipeline_lib.collect.sources.demo import ids, story, words
from pipeline_lib.collect.sources.demo.render import VERSION, render
from pipeline_lib.collect.sources.demo.story import Outline, Story
from pipeline_lib.core.errors import ItemError

LANGUAGE = "en"


class DemoSource:
    """Short news-like videos, each a function of (seed, split, index): more of them never change others."""

    name = "demo"

    def __init__(
        self,
        *,
        seed: int = 0,
        train: int = 72,
        val: int = 24,
        test: int = 24,
        min_seconds: float = 8.0,
        max_seconds: float = 20.0,
        width: int = 320,
        height: int = 192,
        fps: int = 24,
        sound: bool = False,
    ) -> None:
        if width % 2 or height % 2:
            raise ValueError(f"demo: width {width} and height {height} must be even (yuv420p)")
        self.seed, self.counts = seed, {"train": train, "val": val, "test": test}
        self.seconds, self.size = (min_seconds, max_seconds), (width, height)
        self.fps, self.sound = fps, sound

    def search(self, query: str, limit: int) -> dict[str, SearchHit]:
        """Videos whose headline has all words of the query; `*` finds all. Splits mix in proportion."""
        wanted = frozenset(query.lower().split())
        outlines = (outline for outline in self._outlines() if _matches(outline, wanted))
        return {
            video_id: {
                "url": _url(video_id),
                "title": outline.title,
                "duration": outline.duration,
                "channel": outline.channel,
            }
            for outline in islice(outlines, limit)
            for video_id in [ids.encode(self.seed, outline.split, outline.index)]
        }

    def article(self, video_id: str) -> Article:
        """Title and article of one video."""
        written = self.story(video_id)
        return {
            "url": _url(video_id),
            "title": written.outline.title,
            "article": " ".join(written.sentences),
            "channel": written.outline.channel,
            "upload_date": written.upload_date,
            "duration": written.outline.duration,
        }

    def captions(self, video_id: str, languages: Sequence[str]) -> Captions:
        """English captions, or none if English isn't asked for."""
        written = self.story(video_id)
        if not any(language.split("-")[0] == LANGUAGE for language in languages):
            return {"captions": [], "caption_kind": "none", "language": ""}
        return {"captions": written.segments(), "caption_kind": written.caption_kind, "language": LANGUAGE}

    def video(self, video_id: str, to: Path) -> None:
        """Render one video to a file."""
        render(self.story(video_id), to, self.size, sound=self.sound)

    def version(self, video_id: str) -> str:
        """A hash of what decides the screenplay and how it is rendered, without writing it (10⁶ ids are searched)."""
        content = repr((video_id, self.seed, self.seconds, self.fps, self.size, self.sound, VERSION))
        return blake2b(content.encode(), digest_size=8).hexdigest()

    def annotations(self) -> dict[str, dict[str, Any]]:
        """Gold for every video: proposed cuts, shown events, and which sentence describes which of them.

        {video_id: {split, duration, article_sentences, temporal_proposals, events: [{start, end, type}],
        event_coreference: [[event index, sentence index]]}}, times in seconds.
        """
        return {
            ids.encode(self.seed, outline.split, outline.index): _annotation(story.write(outline))
            for outline in self._outlines()
        }

    def story(self, video_id: str) -> Story:
        """The screenplay behind an id; how many videos search lists doesn't matter."""
        found = ids.decode(self.seed, video_id)
        if found is None:
            raise ItemError("not_found", f"no demo video {video_id!r} for seed {self.seed}")
        return story.write(story.outline(self.seed, *found, self.seconds, self.fps))

    def _outlines(self) -> Iterator[Outline]:
        """All videos, one at a time, such that any first part holds the splits in proportion."""
        for _, split, index in merge(*(_positions(split, count) for split, count in self.counts.items())):
            yield story.outline(self.seed, split, index, self.seconds, self.fps)


def _positions(split: str, count: int) -> Iterator[tuple[float, str, int]]:
    """Where each video of a split stands among all, in (0, 1)."""
    return (((index + 0.5) / count, split, index) for index in range(count))


def _matches(outline: Outline, wanted: frozenset[str]) -> bool:
    return wanted == {"*"} or (bool(wanted) and wanted <= words.keywords(outline.headline))


def _url(video_id: str) -> str:
    return f"demo://video/{video_id}"


def _annotation(written: Story) -> dict[str, Any]:
    return {
        "split": written.outline.split,
        "duration": written.outline.duration,
        "article_sentences": list(written.sentences),
        "temporal_proposals": list(written.proposals),
        "events": [{"start": start, "end": end, "type": event.type} for start, end, event in written.events],
        "event_coreference": [list(pair) for pair in written.coreference],
    }
