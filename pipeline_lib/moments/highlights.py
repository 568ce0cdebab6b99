"""Predicted saliency and people's ratings of clips → average precision and HIT@1 at three levels, as Moment-DETR measures."""

import logging
from collections.abc import Sequence

import numpy as np

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments.submission import Prediction

log = logging.getLogger(__name__)

LEVELS = {"Fair": 2, "Good": 3, "VeryGood": 4}  # the least rating of a clip that is a highlight to someone


def columns(
    predictions: Sequence[Prediction | None], gold: Sequence[Moment], clip_length: float
) -> dict[str, tuple[dict[str, np.ndarray], np.ndarray]]:
    """{level: ({"mAP", "HIT@1": percent of each query}, which queries they are)}; empty if no saliency is known, or predicted.

    A rated query without predicted saliency has 0 in both. Ratings of two people work as those of three.

    Raises:
        UserError: a rated clip lies after the end of its video.
    """
    rated = [place for place, moment in enumerate(gold) if moment.clips]
    given = {
        place: one.saliency for place in rated if (one := predictions[place]) is not None and one.saliency is not None
    }
    given = {place: scores for place, scores in given.items() if len(scores)}
    if not rated or not given:
        return {}
    if len(given) < len(rated):
        first = next(gold[place].query_id for place in rated if place not in given)
        log.warning(
            "%d of %d rated queries have no saliency and count as misses (first: qid %d)",
            len(rated) - len(given),
            len(rated),
            first,
        )
    clips = np.array([int(gold[place].duration / clip_length) for place in rated])
    people = np.array([len(gold[place].saliency[0]) for place in rated])
    ratings = np.zeros((len(rated), people.max(), max(clips.max(), 1)))
    scores = np.zeros((len(rated), ratings.shape[2]))  # clips without a score have 0, as upstream
    best = np.full(len(rated), -1)
    for row, place in enumerate(rated):
        moment = gold[place]
        if max(moment.clips) >= clips[row]:
            raise UserError(
                f"qid {moment.query_id}: clip {max(moment.clips)} of {clip_length:g} s is rated, but the video of "
                f"{moment.duration:g} s has {clips[row]}; correct the annotations or moments.evaluation.clip_length"
            )
        ratings[row, : people[row], list(moment.clips)] = np.asarray(moment.saliency)
        if (found := given.get(place)) is not None:
            best[row] = found.argmax()
            scores[row, : min(len(found), clips[row])] = found[: clips[row]]
    answered = best >= 0
    chosen = np.array(rated)
    result = {}
    for level, least in LEVELS.items():
        positive = ratings >= least
        hit = np.zeros(len(rated), bool)
        inside = np.flatnonzero(answered & (best < clips))  # the best clip may lie after the end
        hit[inside] = positive[inside, :, best[inside]].any(axis=1)
        each = average_precision(positive, scores, clips)
        asked = np.arange(people.max()) < people[:, None]
        mean = (each * asked).sum(axis=1) / people
        result[level] = {"mAP": 100.0 * np.where(answered, mean, 0.0), "HIT@1": 100.0 * hit}, chosen
    return result


def average_precision(positive: np.ndarray, scores: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Interpolated average precision, (n, people): the mean over distinct recalls of the best precision at it or beyond.

    Clips of equal score come in together, so their order doesn't matter. Nothing positive: 0; all positive: 1.

    Args:
        positive: (n, people, C) bool, the clips that each person calls a highlight.
        scores: (n, C).
        clips: (n,) how many clips each query has.
    """
    count, width = scores.shape
    real = np.arange(width) < clips[:, None]
    order = np.argsort(np.where(real, -scores, np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    last = np.ones((count, width), bool)  # of clips of equal score
    last[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
    place = np.arange(width)
    last |= place == clips[:, None] - 1
    last &= place < clips[:, None]
    found = np.take_along_axis(positive, order[:, None], axis=2).cumsum(axis=2)
    ends = np.where(last[:, None], found, 0)
    precision = ends / (place + 1)
    beyond = np.maximum.accumulate(precision[:, :, ::-1], axis=2)[:, :, ::-1]
    before = np.zeros_like(ends)
    before[:, :, 1:] = np.maximum.accumulate(ends, axis=2)[:, :, :-1]
    new = ends > before
    levels = new.sum(axis=2)
    return np.divide((beyond * new).sum(axis=2), levels, out=np.zeros(levels.shape), where=levels > 0)
