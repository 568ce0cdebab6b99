"""Scores on val → the threshold and the similarity that a system is measured with on val and test (§5)."""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.coref.metrics import Pairs, best_threshold, measure
from pipeline_lib.coref.scoring import KINDS

PUBLISHED = tuple(round(0.01 * i, 2) for i in range(8, 17))  # thresholds that the public script tries


class OperatingPoint(NamedTuple):
    """What turns scores into predictions: `score > threshold` of one kind of similarity."""

    threshold: float
    similarity: str


def choose(val: Mapping[str, Pairs], options: CorefEvaluation) -> OperatingPoint:
    """The operating point of a system under `options.protocol`.

    Args:
        val: pairs of val by kind of similarity. Not looked at by the protocol `fixed`.
    """
    return OperatingPoint(options.sim_threshold, "combined") if options.protocol == "fixed" else best(val, options)


def best(val: Mapping[str, Pairs], options: CorefEvaluation) -> OperatingPoint:
    """The operating point with the highest F1 on val, of combined scores or, `as_published`, of any similarity.

    Of equally good ones it is that with the lowest threshold, then the first of KINDS, in upstream's order.
    """
    if options.protocol != "as_published":
        return OperatingPoint(best_threshold(val["combined"], options.thresholds), "combined")
    points = [OperatingPoint(best_threshold(val[kind], PUBLISHED), kind) for kind in KINDS]
    return max(points, key=lambda point: (measure(val[point.similarity], point.threshold)["f1"], -point.threshold))


def threshold(val: Mapping[str, Pairs], kind: str, options: CorefEvaluation) -> float:
    """The threshold for one kind of similarity under `options.protocol`."""
    if options.protocol == "fixed":
        return options.sim_threshold
    return best_threshold(val[kind], PUBLISHED if options.protocol == "as_published" else options.thresholds)
