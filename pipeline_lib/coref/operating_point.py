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
    if options.protocol != "as_published":
        return OperatingPoint(threshold(val, "combined", options), "combined")
    points = [OperatingPoint(threshold(val, kind, options), kind) for kind in KINDS]
    return max(points, key=lambda point: measure(val[point.similarity], point.threshold)["f1"])


def threshold(val: Mapping[str, Pairs], kind: str, options: CorefEvaluation) -> float:
    """The threshold for one kind of similarity under `options.protocol`."""
    if options.protocol == "fixed":
        return options.sim_threshold
    return best_threshold(val[kind], PUBLISHED if options.protocol == "as_published" else options.thresholds)
