import numpy as np
import pytest

from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.coref.metrics import flatten
from pipeline_lib.coref.operating_point import PUBLISHED, best, choose, threshold

LABELS = [np.array([[True, False, False, True]])]


def kind(*scores):
    return flatten([np.array([scores])], LABELS, [0])


#: combined is right at 0.3, global at 0.1, regional nowhere.
VAL = {
    "combined": kind(0.4, 0.2, 0.2, 0.4),
    "global": kind(0.11, 0.05, 0.08, 0.12),
    "regional": kind(0.1, 0.2, 0.3, 0.1),
}


def test_chosen_on_val_is_the_lowest_best_of_the_configured_list():
    options = CorefEvaluation(thresholds=[0.35, 0.3, 0.5, 0.1])
    assert choose(VAL, options) == (0.3, "combined")


def test_every_score_of_val_may_be_the_threshold():
    assert choose(VAL, CorefEvaluation(thresholds="val_scores")) == (pytest.approx(0.3), "combined")


@pytest.mark.parametrize("value", [0.25, 0.5, 0.13])
def test_fixed_looks_at_nothing(value):
    options = CorefEvaluation(protocol="fixed", sim_threshold=value)
    assert choose({}, options) == (value, "combined")


def test_as_published_chooses_the_similarity_too():
    """The public script tries 0.08 … 0.16; it forgets which similarity was best, here it goes with the threshold."""
    assert PUBLISHED == (0.08, 0.09, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16)
    options = CorefEvaluation(protocol="as_published", thresholds=[0.9])
    assert choose(VAL, options) == (0.08, "global")
    assert best(VAL, options) == (0.08, "global")
    assert threshold(VAL, "combined", options) == 0.08  # all are the same there: every pair is predicted


def test_of_equally_good_points_as_published_takes_the_lowest_threshold():
    """The public script goes through the thresholds, and at each through the similarities."""
    val = {
        "combined": kind(0.16, 0.12, 0.12, 0.16),  # right from 0.12 on
        "global": kind(0.16, 0.09, 0.08, 0.16),  # from 0.09 on
        "regional": kind(0.15, 0.09, 0.05, 0.15),  # from 0.09 on
    }
    assert choose(val, CorefEvaluation(protocol="as_published")) == (0.09, "global")


def test_the_epoch_is_chosen_at_the_best_threshold_although_a_fixed_one_measures():
    assert best(VAL, CorefEvaluation(protocol="fixed", sim_threshold=0.9, thresholds=[0.3])) == (0.3, "combined")
