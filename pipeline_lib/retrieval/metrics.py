"""Similarity and relevance, (queries, items) → nDCG, mean average precision, recalls and ranks of the queries.

Of a query with relevances R over its items, ranked by falling similarity (equal ones in the order of the columns), R_r at rank r:

    nDCG = DCG / IDCG,  DCG = Σ_{r ≤ K} R_r / log₂(r + 1),  K = number of items with R > 0,  IDCG: the same, ranked by R
    AP   = 1/P · Σ_{r: R_r = 1} 1/r · Σ_{q ≤ r} R_q,       P = max(1, number of items with R = 1)

Gains are linear, and what isn't defined (a query without relevant items) is 0. This AP is that of the EPIC-Kitchens-100
challenge, whose inner sum is of graded relevance; `average_precision` is the textbook's, of relevant and irrelevant items.
Sources: JPoSE's nDCG.py and mAP.py, RANP's ndcg_map_helpers.py (which sets undefined queries to 0) and evaluation.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval.ranking import Ranking

_CELLS = 2**20  # of a block of queries: 8 MiB
_TILE = 256  # items


@dataclass(frozen=True)
class Queries:
    """What every query of a direction scores, each array (queries,).

    Attributes:
        challenge_ap: average precision as the challenge computes it.
        average_precision: the textbook's.
        rank: of the best positive, from 0; the number of items if the query has none.
        relevant: number of items with relevance above 0.
        positives: number of positives of recalls and ranks.
        tied: whether items of other relevance have equal similarity, so that the order of columns counts.
    """

    ndcg: np.ndarray
    challenge_ap: np.ndarray
    average_precision: np.ndarray
    rank: np.ndarray
    relevant: np.ndarray
    positives: np.ndarray
    tied: np.ndarray

    @classmethod
    def empty(cls, count: int) -> "Queries":
        """Room for `count` queries."""
        numbers = {"rank": np.int64, "relevant": np.int64, "positives": np.int64, "tied": np.bool_}
        return cls(**{field.name: np.zeros(count, numbers.get(field.name, np.float64)) for field in fields(cls)})


_NAMES = tuple(field.name for field in fields(Queries))


def ndcg(similarity: np.ndarray, relevance: np.ndarray) -> float:
    """Mean nDCG of the queries, in [0, 1].

    Args:
        similarity, relevance: (queries, items); relevance not negative.
    """
    return float(measure(similarity, relevance).ndcg.mean())


def mean_average_precision(similarity: np.ndarray, relevance: np.ndarray) -> float:
    """Mean of the challenge's average precision, in [0, 1]; see `mean_average_precision_binary` for the textbook's."""
    return float(measure(similarity, relevance).challenge_ap.mean())


def mean_average_precision_binary(similarity: np.ndarray, relevance: np.ndarray, threshold: float = 1.0) -> float:
    """Mean of the textbook's average precision, in [0, 1]: items of relevance ≥ `threshold` are relevant, others not."""
    return float(measure(similarity, relevance, threshold=threshold).average_precision.mean())


def measure(
    similarity: np.ndarray, relevance: np.ndarray, positives: np.ndarray | None = None, *, threshold: float = 1.0
) -> Queries:
    """All metrics of all queries in one pass, in blocks of queries; memory mapped files and transposed views will do.

    Args:
        similarity, relevance: (queries, items).
        positives: (n, 2) query and item of what counts for recalls and ranks; by default all items of relevance 1.
        threshold: relevance from which the textbook's average precision takes an item as relevant.

    Raises:
        UserError: the shapes differ or are empty, a score is NaN, or a relevance is negative or not finite.
    """
    count, _ = _shape(similarity, relevance)
    if not threshold > 0:  # nor NaN
        raise UserError(f"threshold {threshold:g} would take irrelevant items as relevant; give one above 0")
    of_query = None if positives is None else _by_query(positives, count)
    discount = 1 / np.log2(np.arange(relevance.shape[1]) + 2.0)
    found = Queries.empty(count)
    for query, scores, gains in _queries(similarity, relevance):
        own = None if of_query is None else of_query[query]
        values = _query(scores, gains, own, threshold, discount)
        for name, value in zip(_NAMES, values, strict=True):
            getattr(found, name)[query] = value
    return found


def _query(
    scores: np.ndarray, gains: np.ndarray, positives: np.ndarray | None, threshold: float, discount: np.ndarray
) -> tuple[float, float, float, int, int, int, bool]:
    """A query's metrics in the order of _NAMES. Irrelevant items matter only in that they push others down the ranks."""
    ranking = Ranking(scores)
    items, ranks, tied = ranking.of(np.flatnonzero(gains > 0))  # of truth values: faster
    gain, count = gains[items], len(items)
    within = np.searchsorted(ranks, count)
    dcg = (gain[:within] * discount[ranks[:within]]).sum()
    ideal = (np.sort(gain)[::-1] * discount[:count]).sum()
    exact = np.flatnonzero(gain == 1)
    challenge = (gain.cumsum()[exact] / (ranks[exact] + 1)).sum() / max(1, len(exact))
    hits = ranks[gain >= threshold]
    textbook = (np.arange(1, len(hits) + 1) / (hits + 1)).sum() / max(1, len(hits))
    wanted = ranks[exact] if positives is None else ranking.of(positives)[1]
    best = wanted[0] if len(wanted) else len(scores)
    return dcg / ideal if count else 0.0, challenge, textbook, best, count, len(wanted), ranking.mixed(tied, gains)


def _shape(similarity: Any, relevance: Any) -> tuple[int, int]:
    if len(similarity.shape) != 2 or tuple(similarity.shape) != tuple(relevance.shape):
        shapes = [" × ".join(map(str, matrix.shape)) for matrix in (similarity, relevance)]
        raise UserError(f"the similarity is {shapes[0]} but the relevance {shapes[1]}; both must be queries × items")
    if not all(similarity.shape):
        raise UserError("there are no queries or no items to rank")
    return int(similarity.shape[0]), int(similarity.shape[1])


def _queries(similarity: Any, relevance: Any) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(query, scores, relevances) of each, checked."""
    count, items = similarity.shape
    step = max(1, _CELLS // items)
    for start in range(0, count, step):
        given = np.asarray(similarity[start : start + step])
        # numpy sorts floats fast; the types hold every number of those they replace, so nothing becomes equal
        scores = _contiguous(given, np.float32 if given.dtype in (np.float32, np.float16) else np.float64)
        gains = _contiguous(np.asarray(relevance[start : start + step]), np.float64)
        if np.isnan(scores).any():
            _refuse("similarity", start, scores, np.isnan(scores), "make that matrix again without NaN")
        if not (gains.min() >= 0 and gains.max() < np.inf):
            _refuse("relevance", start, gains, ~((gains >= 0) & (gains < np.inf)), "relevance is 0 or more, and finite")
        yield from zip(range(start, count), scores, gains, strict=False)


def _contiguous(block: np.ndarray, kind: type[np.floating[Any]]) -> np.ndarray:
    """Rows one after another; of a transposed view in tiles, which is several times as fast."""
    if block.flags.c_contiguous:
        return np.ascontiguousarray(block, dtype=kind)
    found = np.empty(block.shape, kind)
    for start in range(0, block.shape[1], _TILE):
        found[:, start : start + _TILE] = block[:, start : start + _TILE]
    return found


def _refuse(name: str, start: int, block: np.ndarray, wrong: np.ndarray, fix: str) -> None:
    row, column = np.argwhere(wrong)[0]
    raise UserError(f"{name} of query {start + row} and item {column} is {block[row, column]}; {fix}")


def _by_query(positives: np.ndarray, count: int) -> list[np.ndarray]:
    """Items of each query's positives, rising."""
    pairs = np.unique(positives, axis=0)
    return np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, count)))
