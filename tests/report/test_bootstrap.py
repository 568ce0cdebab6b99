"""Resamples draw whole units, equal seeds give equal intervals, differences are paired."""

import numpy as np
import pytest

from pipeline_lib.report.bootstrap import Measured, resamples


def test_resamples_draw_as_many_units() -> None:
    drawn = resamples(6, 20, seed=3)
    assert drawn.shape == (20, 6) and (drawn.sum(axis=1) == 6).all()
    np.testing.assert_array_equal(drawn, resamples(6, 20, seed=3))
    assert (drawn != resamples(6, 20, seed=4)).any()


def test_intervals_are_the_middle_of_the_resamples_and_leave_out_what_is_undefined() -> None:
    drawn = np.r_[np.arange(101.0), np.nan]
    report = Measured(
        {"r1": 50.0, "r5": 1.0, "none": 2.0}, {"r1": drawn, "r5": np.zeros(0), "none": drawn[-1:]}
    ).report()
    assert report == {"r1": {"value": 50.0, "ci95": [2.5, 97.5]}, "r5": {"value": 1.0}, "none": {"value": 2.0}}


def test_differences_cancel_what_is_common() -> None:
    common = np.random.default_rng(0).normal(size=100)
    one, other = Measured({"x": 3.0}, {"x": common + 2}), Measured({"x": 1.0}, {"x": common})
    report = one.minus(other).report()["x"]
    assert report["value"] == 2.0 and report["ci95"] == pytest.approx([2.0, 2.0])
