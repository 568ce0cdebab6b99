"""Items and scores of a split → its part of coref_eval.json: counts, metrics with intervals, differences to baselines."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_lib.config.coref import Coref
from pipeline_lib.coref import operating_point
from pipeline_lib.coref.evaluation_items import Item
from pipeline_lib.coref.metrics import Measured, Pairs, flatten, measure
from pipeline_lib.coref.names import ALL_POSITIVE, HOWTO100M, MILO, UNTRAINED
from pipeline_lib.coref.operating_point import OperatingPoint
from pipeline_lib.coref.scoring import KINDS, Scores
from pipeline_lib.report.bootstrap import resamples

ByKind = Mapping[str, Pairs]


def pairs(scores: Sequence[Scores]) -> dict[str, Pairs]:
    """The pairs of a split, by kind of similarity."""
    labels, missed = [s.labels for s in scores], [s.missed for s in scores]
    return {kind: flatten([s.by_kind[kind] for s in scores], labels, missed) for kind in KINDS}


def points(val: Mapping[str, ByKind], options: Coref) -> dict[str, OperatingPoint]:
    """The operating point of every system, chosen on val where the protocol says so; all_positive accepts everything."""
    found = {system: operating_point.choose(by_kind, options.evaluation) for system, by_kind in val.items()}
    return found | ({ALL_POSITIVE: OperatingPoint(0.0, "combined")} if ALL_POSITIVE in found else {})


def split_report(
    items: list[Item],
    scores: Mapping[str, list[Scores]],
    val: Mapping[str, ByKind],
    chosen: Mapping[str, OperatingPoint],
    options: Coref,
) -> dict[str, Any]:
    """{counts, sentences_per_article, systems, milo_minus} of a split.

    Args:
        scores: of every system, on this split.
        val: pairs of every system on val, that thresholds of single similarities are chosen on.
    """
    drawn = resamples(len(items), options.evaluation.bootstrap, options.training.seed)
    origin = "fixed" if options.evaluation.protocol == "fixed" else "val"
    systems: dict[str, Any] = {}
    measured = {}
    for system, own in scores.items():
        point, by_kind = chosen[system], pairs(own)
        measured[system] = Measured.of(by_kind[point.similarity], point.threshold, drawn)
        systems[system] = {
            "threshold": point.threshold,
            "threshold_from": origin,
            "similarity": point.similarity,
            **measured[system].report(),
            "by_event_type": by_event_type(items, own, point, drawn),
        }
        if system in (MILO, UNTRAINED, HOWTO100M):
            systems[system]["f1_by_similarity"] = _by_similarity(by_kind, val[system], options)
    return {
        "counts": counts(items),
        "sentences_per_article": sentences_per_article(items),
        "systems": systems,
        "milo_minus": {
            system: measured[MILO].minus(other).report() for system, other in measured.items() if system != MILO
        },
    }


def _by_similarity(by_kind: ByKind, val: ByKind, options: Coref) -> dict[str, Any]:
    found = {}
    for kind in KINDS:
        threshold = operating_point.threshold(val, kind, options.evaluation)
        found[kind] = {"threshold": threshold, "f1": round(measure(by_kind[kind], threshold)["f1"], 6)}
    return found


def by_event_type(
    items: list[Item], scores: list[Scores], point: OperatingPoint, drawn: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Metrics over the clips that are, or stand for, an event of a type, at the threshold of all; events without a type
    are in none."""
    types = [[str(event["type"]) if event.get("type") not in (None, "") else "" for event in i.events] for i in items]
    found = {}
    for wanted in sorted({kind for own in types for kind in own if kind}):
        having = [place for place, own in enumerate(types) if wanted in own]  # the others add nothing
        of_type = [np.array([kind == wanted for kind in types[place]]) for place in having]
        clips = [items[place].stands[:, chosen].any(axis=1) for place, chosen in zip(having, of_type, strict=True)]
        missed = [int(items[place].missed_of[chosen].sum()) for place, chosen in zip(having, of_type, strict=True)]
        some = flatten(
            [scores[place].by_kind[point.similarity][rows] for place, rows in zip(having, clips, strict=True)],
            [scores[place].labels[rows] for place, rows in zip(having, clips, strict=True)],
            missed,
        )
        found[wanted] = {
            "events": int(sum(chosen.sum() for chosen in of_type)),
            "pairs": len(some.scores),
            "positive_pairs": int(some.labels.sum()) + sum(missed),
            **Measured.of(some, point.threshold, drawn[:, having]).report(),
        }
    return found


def counts(items: list[Item]) -> dict[str, int]:
    """How much was measured."""
    return {
        "videos": len(items),
        "clips": sum(len(item.intervals) for item in items),
        "sentences": sum(len(item.sentences) for item in items),
        "pairs": sum(item.labels.size for item in items),
        "positive_pairs": int(sum(item.labels.sum() for item in items)),
        "positive_pairs_without_clip": sum(item.missed for item in items),
    }


def sentences_per_article(items: list[Item]) -> dict[str, Any]:
    """Lengths of articles: a softmax over n sentences gives 1/n on average, and always 1 where n = 1 (§ trap 5)."""
    lengths = [len(item.sentences) for item in items]
    return {
        "median": float(np.median(lengths)),
        "articles_by_length": {str(length): count for length, count in sorted(Counter(lengths).items())},
        "one_sentence_share": round(lengths.count(1) / len(lengths), 6),
        "sentences_without_known_words": sum(int((~item.words.any(axis=(1, 2))).sum()) for item in items),
    }
