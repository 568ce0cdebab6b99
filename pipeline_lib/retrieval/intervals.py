"""Metrics of single queries → metrics of a direction, of both, and of two systems' difference, with bootstrap intervals.

Queries are drawn with replacement. Intervals are the middle 95 % of what the resamples give.
"""

from collections.abc import Mapping

import numpy as np

from pipeline_lib.report.bootstrap import Measured
from pipeline_lib.retrieval.metrics import Queries

#: Metrics of a direction. Recalls are in percent, ranks count from 1, the others lie in [0, 1].
NAMES = ("ndcg", "map", "map_binary", "r1", "r5", "r10", "medr", "meanr")
DEPTHS = {"r1": 1, "r5": 5, "r10": 10}

_DRAWS = 2**20  # queries drawn at once


def direction(queries: Queries, resamples: int, seed: int) -> Measured:
    """Metrics of one direction, and those of `resamples` draws of as many queries."""
    columns = _columns(queries)
    count = len(queries.ndcg)
    values = {name: float(_reduce(name, column[None])[0]) for name, column in columns.items()}
    random = np.random.default_rng(seed)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in columns}
    step = max(1, _DRAWS // count)
    for start in range(0, resamples, step):
        chosen = random.integers(count, size=(min(step, resamples - start), count))
        for name, column in columns.items():
            drawn[name].append(_reduce(name, column[chosen]))
    return Measured(values, {name: np.concatenate([np.zeros(0), *parts]) for name, parts in drawn.items()})


def both(directions: Mapping[str, Measured]) -> Measured:
    """Means over the directions, as published, and rsum, the sum of their recalls, by which HGR chooses checkpoints."""
    found = Measured({}, {})
    parts = list(directions.values())
    for name in NAMES:
        found.values[name] = float(np.mean([part.values[name] for part in parts]))
        found.resampled[name] = np.mean([part.resampled[name] for part in parts], axis=0)
    found.values["rsum"] = len(parts) * sum(found.values[name] for name in DEPTHS)
    found.resampled["rsum"] = len(parts) * np.sum([found.resampled[name] for name in DEPTHS], axis=0)
    return found


def _columns(queries: Queries) -> dict[str, np.ndarray]:
    """What the mean (or, of medr, the median) is taken of."""
    place = queries.rank + 1.0
    recalls = {name: 100.0 * (queries.rank < depth) for name, depth in DEPTHS.items()}
    return {
        "ndcg": queries.ndcg,
        "map": queries.challenge_ap,
        "map_binary": queries.average_precision,
        **recalls,
        "medr": place,
        "meanr": place,
    }


def _reduce(name: str, values: np.ndarray) -> np.ndarray:
    return np.median(values, axis=1) if name == "medr" else values.mean(axis=1)
