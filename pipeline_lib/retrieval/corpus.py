"""A split of any dataset ↔ one JSON file: videos and captions with their classes, and which belong together.

    {"videos": [{id, feature, start, end, verbs, nouns}], "captions": [{id, text, verbs, nouns}], "pairs": [[video, caption]]}

A video is what is ranked: a file, a clip with features of its own, or seconds `start` to `end` of the features called `feature`.
`text` is words with single spaces between them: those that vocabulary and role graphs know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval import iou, labels
from pipeline_lib.retrieval.iou import Sets
from pipeline_lib.retrieval.labels import Labels

PARTS = ("verbs", "nouns")


class Video(NamedTuple):
    """What captions describe.

    Attributes:
        feature: what its features are called.
        start, end: the part of them that it is, in seconds; None: all.
    """

    video_id: str
    feature: str
    verbs: Labels
    nouns: Labels
    start: float | None = None
    end: float | None = None


class Text(NamedTuple):
    """A caption."""

    caption_id: str
    text: str
    verbs: Labels
    nouns: Labels


@dataclass(frozen=True)
class Corpus:
    """A split.

    Attributes:
        pairs: (n, 2) numbers of a video and of a caption that describes it.
    """

    videos: list[Video]
    captions: list[Text]
    pairs: np.ndarray

    def classes(self) -> dict[str, tuple[Sets, Sets]]:
        """Sets of classes of videos and of captions, by part of speech."""
        found = {}
        for part in PARTS:
            sides = [[getattr(one, part) for one in side] for side in (self.videos, self.captions)]
            rows, columns = iou.encode(*sides)
            found[part] = rows, columns
        return found

    def ids(self) -> tuple[list[str], list[str]]:
        """Of the videos, and of the captions."""
        return [video.video_id for video in self.videos], [caption.caption_id for caption in self.captions]


def write(path: Path, corpus: Corpus) -> None:
    """Write a split."""
    content = {
        "videos": [_plain(video) for video in corpus.videos],
        "captions": [_plain(caption) for caption in corpus.captions],
        "pairs": corpus.pairs.tolist(),
    }
    files.write_json(path, content, indent=None, sort_keys=False)


def _plain(one: Video | Text) -> dict[str, Any]:
    values = one._asdict()
    return {"id": values.pop("video_id" if isinstance(one, Video) else "caption_id"), **values}


def read(path: Path) -> Corpus:
    """A split that `write` wrote.

    Raises:
        UserError: missing or malformed; classes that are no lists are named with their caption or video.
    """
    content = files.read_json(path)
    try:
        videos = [
            Video(one["id"], one["feature"], *_classes(one, path), one.get("start"), one.get("end"))
            for one in content["videos"]
        ]
        captions = [Text(one["id"], " ".join(one["text"].split()), *_classes(one, path)) for one in content["captions"]]
        pairs = np.array(content["pairs"], np.int64).reshape(-1, 2)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            one_line(
                f"{path} is no split of videos and captions ({error!r}); make it with pipeline_lib.retrieval.prepare"
            )
        ) from None
    if not len(pairs):
        raise UserError(
            f"{path} has no pair of a video and a caption; give annotations and captions of the same videos"
        )
    if pairs.min() < 0 or (pairs >= (len(videos), len(captions))).any():
        raise UserError(
            f"{path}: pairs point past its {len(videos)} videos and {len(captions)} captions; make it again"
        )
    if silent := [caption.caption_id for caption in captions if not caption.text]:
        raise UserError(f"{path}: {len(silent)} captions have no words ({', '.join(silent[:3])}); give their sentences")
    return Corpus(videos, captions, pairs)


def _classes(one: Mapping[str, Any], path: Path) -> tuple[Labels, Labels]:
    found = []
    for part in PARTS:
        try:
            found.append(labels.parse(one[part]))
        except ValueError as error:
            raise UserError(one_line(f"{path}: {part} of {one['id']!r}: {error}", 600)) from None
    return found[0], found[1]
