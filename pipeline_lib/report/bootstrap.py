"""Metrics and what they are in resamples → values with 95 % intervals, and paired differences of two systems."""

from typing import Any, NamedTuple

import numpy as np


def resamples(units: int, count: int, seed: int) -> np.ndarray:
    """How often each unit (a video) is drawn in each of `count` resamples with replacement, (count, units).

    Systems that are measured with the same draws have paired differences.
    """
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=count).astype(float)


class Measured(NamedTuple):
    """Metrics and what they are in each resample."""

    values: dict[str, float]
    resampled: dict[str, np.ndarray]  # (resamples,) each; NaN where a resample has nothing to measure

    def minus(self, other: "Measured") -> "Measured":
        """Differences, resample by resample: paired, if both drew the same units (same count, same seed)."""
        return Measured(
            {name: value - other.values[name] for name, value in self.values.items()},
            {name: drawn - other.resampled[name] for name, drawn in self.resampled.items()},
        )

    def report(self) -> dict[str, Any]:
        """{metric: {value, ci95: [low, high]}}; without ci95 where nothing was resampled."""
        found: dict[str, dict[str, Any]] = {}
        for name, value in self.values.items():
            found[name] = {"value": float(value)}
            drawn = self.resampled[name]
            if len(drawn := drawn[~np.isnan(drawn)]):
                found[name]["ci95"] = [float(one) for one in np.percentile(drawn, [2.5, 97.5])]
        return found
