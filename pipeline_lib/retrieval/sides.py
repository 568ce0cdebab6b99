"""Captions → the two sides of a relevance matrix: videos (rows), captions to rank (columns), and who belongs to whom."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval.annotations import Caption
from pipeline_lib.retrieval.labels import Labels

#: Classes that at least this share of a video's captions have are the video's own (RANP: `percent`).
MIN_SHARE = 0.25


class Side(NamedTuple):
    """Videos or captions with their classes.

    Attributes:
        parts: by part of speech, `verbs` and `nouns` or `words`: classes of each id.
    """

    ids: list[str]
    parts: dict[str, list[Labels]]


class Sides(NamedTuple):
    """What a relevance matrix is about.

    Attributes:
        pairs: (n, 2) row and column of every video and caption that belong together, sorted.
    """

    videos: Side
    captions: Side
    pairs: np.ndarray


def parts(captions: Sequence[Caption]) -> tuple[str, ...]:
    """The parts of speech that captions carry."""
    return ("words",) if any(caption.words for caption in captions) else ("verbs", "nouns")


def by_caption(rows: Sequence[Caption], columns: Sequence[Caption]) -> Sides:
    """A row per caption, with that caption's classes: EPIC-Kitchens' clips, or captions among themselves.

    Rows are called as the videos, or as the captions where a video has several.
    A row and a column belong together if they have the same text, or, where there is none, the same video.
    """
    columns_of: dict[str, list[int]] = defaultdict(list)
    for j, caption in enumerate(columns):
        columns_of[caption.text or caption.video_id].append(j)
    pairs = [(i, j) for i, caption in enumerate(rows) for j in columns_of.get(caption.text or caption.video_id, [])]
    kinds = parts([*rows, *columns])
    names = {name: [getattr(caption, name) for caption in rows] for name in kinds}
    ids = [caption.video_id for caption in rows]
    if len(set(ids)) < len(ids):
        ids = [caption.caption_id for caption in rows]
    return Sides(Side(ids, names), _captions(columns, kinds), _sorted(pairs))


def by_video(
    captions: Sequence[Caption],
    min_share: float = MIN_SHARE,
    videos: Sequence[str] | None = None,
    *,
    same_text: bool = False,
) -> Sides:
    """A row per video with the classes pooled over its captions: MSR-VTT, MSVD, Charades.

    Args:
        same_text: a caption belongs to every video that has one of the same text, as in upstream's evaluation (it looks
            captions up by their text); by default to its own alone, as in training.
        videos: the videos wanted, in the order of the rows; columns follow it. By default the order of the captions.

    Raises:
        UserError: a wanted video has no captions.
    """
    own: dict[str, list[Caption]] = defaultdict(list)
    for caption in captions:
        own[caption.video_id].append(caption)
    order = list(own) if videos is None else list(videos)
    if missing := [name for name in order if name not in own]:
        raise UserError(
            one_line(
                f"{len(missing)} of {len(order)} videos have no captions with classes: {', '.join(missing[:3])}; "
                "give names and annotations of the same split"
            )
        )
    columns = [caption for name in order for caption in own[name]]
    kinds = parts(columns)
    pooled = {
        part: [pool([getattr(caption, part) for caption in own[name]], min_share) for name in order] for part in kinds
    }
    keys = [(same_text and caption.text) or caption.caption_id for caption in columns]
    rows_of: dict[str, set[int]] = defaultdict(set)
    place = {name: i for i, name in enumerate(order)}
    for key, caption in zip(keys, columns, strict=True):
        rows_of[key].add(place[caption.video_id])
    pairs = [(i, j) for j, key in enumerate(keys) for i in rows_of[key]]
    return Sides(Side(order, pooled), _captions(columns, kinds), _sorted(pairs))


def pool(captions: Sequence[Labels], min_share: float = MIN_SHARE) -> Labels:
    """Classes that occur at least `min_share` × number of captions times, in order of first appearance.

    A class that a caption repeats counts each time, as upstream.
    """
    counts = Counter(label for labels in captions for label in labels)
    return tuple(label for label, count in counts.items() if count >= min_share * len(captions))


def _captions(captions: Sequence[Caption], kinds: Sequence[str]) -> Side:
    return Side(
        [caption.caption_id for caption in captions],
        {name: [getattr(caption, name) for caption in captions] for name in kinds},
    )


def _sorted(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)
