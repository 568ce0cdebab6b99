"""Ledgers, facts and duplicates of a work folder → the numbers of the dataset report, as a plain dictionary."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_lib.clean import funnel
from pipeline_lib.clean.facts import Facts
from pipeline_lib.clean.funnel import Fall

#: Edges of histograms; the first and last bin also hold what lies beyond.
SECONDS = (0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400)
WORDS_PER_MINUTE = tuple(range(0, 401, 20))
FPS = (0, 10, 14, 20, 24.5, 27, 35, 48.5, 55, 65, 121)
WORDS = (0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def numbers(
    fallen: Mapping[str, Fall | None], facts: Iterable[Facts], pairs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The funnel, and what the videos that are kept are like.

    Args:
        fallen: where every id fell, None for those that are kept.
        facts: of at least the kept videos.
        pairs: of duplicates.json.
    """
    steps = funnel.steps(fallen)
    kept = [one for one in facts if one.video_id in fallen and fallen[one.video_id] is None]
    return {
        "searched": len(fallen),
        "kept": sum(fall is None for fall in fallen.values()),
        "funnel": [
            {"stage": step.stage, "entered": step.entered, "reasons": _counted(step.reasons), "left": step.left}
            for step in steps
        ],
        "reasons": _counted(sum((step.reasons for step in steps), Counter())),
        "seconds": summary([one.seconds for one in kept], SECONDS),
        "words": summary([one.words for one in kept], WORDS),
        "words_per_minute": summary([words_per_minute(one) for one in kept if one.segments], WORDS_PER_MINUTE),
        "fps": summary([one.fps for one in kept], FPS),
        "languages": _counted(Counter(one.language or "none" for one in kept)),
        "caption_kinds": _counted(Counter(one.caption_kind for one in kept)),
        "resolutions": _counted(Counter(f"{one.width}×{one.height}" for one in kept)),
        "codecs": _counted(Counter(one.codec for one in kept)),
        "with_sound": sum(one.audio for one in kept),
        "bytes": sum(one.bytes for one in kept),
        "duplicates": {
            "dropped": _counted(Counter(str(pair["reason"]) for pair in pairs if pair["drop"])),
            "reported": _counted(Counter(str(pair["reason"]) for pair in pairs if not pair["drop"])),
        },
    }


def words_per_minute(one: Facts) -> float:
    """Words of the captions in a minute of video."""
    return 60.0 * one.words / one.seconds if one.seconds > 0 else 0.0


def summary(values: Sequence[float], edges: Sequence[float]) -> dict[str, Any]:
    """Total, mean and quantiles, and a histogram from the first bin that isn't empty to the last."""
    if not values:
        return {"count": 0, "histogram": {"edges": [], "counts": []}}
    array = np.asarray(values, float)
    bins = np.clip(np.searchsorted(edges, array, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(bins, minlength=len(edges) - 1)
    first, last = int(bins.min()), int(bins.max())
    return {
        "count": len(values),
        "total": round(float(array.sum()), 3),
        "mean": round(float(array.mean()), 3),
        "quantiles": {
            name: round(float(np.quantile(array, share)), 3)
            for name, share in (("min", 0), ("10 %", 0.1), ("median", 0.5), ("90 %", 0.9), ("max", 1))
        },
        "histogram": {"edges": list(edges[first : last + 2]), "counts": counts[first : last + 1].tolist()},
    }


def _counted(counts: Counter[str]) -> dict[str, int]:
    """Most frequent first, equally frequent ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
