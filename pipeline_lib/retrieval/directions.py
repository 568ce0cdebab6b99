"""A similarity of videos × captions → metrics of both directions: videos sought by text, and texts by video."""

import logging
from collections.abc import Mapping
from enum import StrEnum

import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import intervals, metrics
from pipeline_lib.retrieval.intervals import Measured
from pipeline_lib.retrieval.matrices import Matrix
from pipeline_lib.retrieval.metrics import Queries

log = logging.getLogger(__name__)

TEXT_TO_VIDEO, VIDEO_TO_TEXT = "text_to_video", "video_to_text"
DIRECTIONS = (TEXT_TO_VIDEO, VIDEO_TO_TEXT)


class Positives(StrEnum):
    """What counts as found in recalls and ranks."""

    AUTO = "auto"
    PAIRS = "pairs"
    EXACT = "exact"
    DIAGONAL = "diagonal"


def measure(
    similarity: np.ndarray, relevance: np.ndarray, pairs: np.ndarray | None = None, threshold: float = 1.0
) -> dict[str, Queries]:
    """Both directions of a matrix of videos × captions: {text_to_video: queries are captions, video_to_text: videos}.

    Args:
        similarity, relevance: (videos, captions).
        pairs: (n, 2) video and caption of what counts for recalls and ranks; by default relevance 1.
        threshold: relevance from which the textbook's average precision takes an item as relevant.
    """
    turned = None if pairs is None else pairs[:, ::-1]
    of_videos = metrics.measure(similarity, relevance, pairs, threshold=threshold)
    of_texts = metrics.measure(similarity.T, relevance.T, turned, threshold=threshold)
    return {TEXT_TO_VIDEO: of_texts, VIDEO_TO_TEXT: of_videos}


def summarise(queries: Mapping[str, Queries], resamples: int = 1000, seed: int = 0) -> dict[str, Measured]:
    """Metrics of each direction, and their `mean`."""
    found = {
        name: intervals.direction(one, resamples, seed + i) for i, (name, one) in enumerate(sorted(queries.items()))
    }
    return {name: found[name] for name in queries} | {"mean": intervals.both(found)}


def positives(wanted: Positives, relevance: Matrix) -> tuple[Positives, np.ndarray | None]:
    """What `auto` stands for, and the (n, 2) pairs; None for all of relevance 1.

    Raises:
        UserError: there are no pairs, or no diagonal.
    """
    height, width = relevance.values.shape
    if wanted == Positives.AUTO:
        wanted = Positives.EXACT if relevance.pairs is None else Positives.PAIRS
    if wanted == Positives.EXACT:
        return wanted, None
    if wanted == Positives.PAIRS:
        if relevance.pairs is None:
            raise UserError(
                "the relevance doesn't say which videos and captions belong together; write it with "
                "pipeline_lib.retrieval.relevance, or give --positives exact"
            )
        return wanted, relevance.pairs
    if height != width:
        raise UserError(
            f"--positives diagonal pairs video i with caption i, but there are {height} videos and {width} captions; "
            "give --positives exact, or a relevance with pairs"
        )
    return wanted, np.repeat(np.arange(height)[:, None], 2, axis=1)


def counts(queries: Mapping[str, Queries], relevance: Matrix) -> dict[str, dict[str, int]]:
    """How many queries each direction has, and how many of them are special; those are named on the way."""
    names = {TEXT_TO_VIDEO: relevance.caption_ids, VIDEO_TO_TEXT: relevance.video_ids}
    found = {}
    for direction, one in queries.items():
        found[direction] = {"queries": len(one.ndcg)}
        for what, which, consequence in (
            ("without_relevant", one.relevant == 0, "have no relevant item: their nDCG and AP are 0"),
            ("without_positive", one.positives == 0, "have no positive: their rank is the number of items + 1"),
            ("tied", one.tied, "give items of different relevance the same similarity: the order of the file decides"),
        ):
            places = np.flatnonzero(which)
            found[direction][what] = len(places)
            if len(places):
                ids = names[direction]
                first = [ids[i] if ids else f"number {i}" for i in places[:3].tolist()]
                log.warning("%s: %d queries %s (first: %s)", direction, len(places), consequence, ", ".join(first))
    return found
