import numpy as np
import pytest

from pipeline_lib.config.coref import CorefEvaluation
from pipeline_lib.coref import matching

#: IoU of [0, 4] with [0, 5] is .8, of [4, 10] with it .1, of [10, 30] with [20, 21] .05.
PROPOSALS = np.array([[0, 4], [4, 10], [10, 30]], float)
EVENTS = np.array([[0, 5], [20, 21]], float)


def stands(**rule):
    return matching.stands(PROPOSALS, EVENTS, CorefEvaluation(**rule)).tolist()


def test_proposals_are_the_intervals_between_cuts():
    assert matching.proposals([9.0, 4.0, 4.0, 0.0, 12.0], 12.0).tolist() == [[0.0, 4.0], [4.0, 9.0], [9.0, 12.0]]
    assert matching.proposals([], 12.0).tolist() == [[0.0, 12.0]]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"min_iou": 0.5}, [[True, False], [False, False], [False, False]]),
        ({"min_iou": 0.8}, [[True, False], [False, False], [False, False]]),  # exactly is enough
        ({"min_iou": 0.05}, [[True, False], [True, False], [False, True]]),
        ({"matching": "centre_inside"}, [[True, False], [False, False], [False, True]]),
        ({"matching": "overlap", "min_overlap": 0.5}, [[True, False], [False, False], [False, True]]),
        ({"matching": "overlap", "min_overlap": 0.2}, [[True, False], [True, False], [False, True]]),
        ({"matching": "overlap", "min_overlap": 0.0}, [[True, False], [True, False], [False, True]]),
    ],
)
def test_rules(rule, expected):
    assert stands(**rule) == expected


def test_a_centre_on_a_cut_is_in_the_later_proposal_and_the_last_holds_the_end():
    events = np.array([[3, 5], [29, 31], [40, 50]], float)
    found = matching.stands(PROPOSALS, events, CorefEvaluation(matching="centre_inside"))
    assert found.tolist() == [[False] * 3, [True, False, False], [False, True, False]]


def test_intervals_that_only_touch_never_match():
    touching = np.array([[4, 4 + 1e-9], [30, 31]], float)
    assert not matching.stands(PROPOSALS[:1], touching, CorefEvaluation(matching="overlap", min_overlap=0)).any()


def test_no_events():
    none = np.zeros((0, 2))
    for rule in ("iou", "centre_inside", "overlap"):
        found = matching.stands(PROPOSALS, none, CorefEvaluation(matching=rule))
        assert found.shape == (3, 0)
        assert matching.labels(found, np.zeros((0, 4), bool)).tolist() == [[False] * 4] * 3


def test_labels_and_what_nobody_proposed():
    truth = np.array([[True, False, True], [False, True, False]])
    found = matching.stands(PROPOSALS, EVENTS, CorefEvaluation())
    assert matching.labels(found, truth).tolist() == [[True, False, True], [False] * 3, [False] * 3]
    assert matching.missed(found, truth).tolist() == [0, 1]
    both = matching.stands(PROPOSALS, EVENTS, CorefEvaluation(min_iou=0.04))
    assert matching.missed(both, truth).tolist() == [0, 0]
    assert matching.labels(both, truth)[1].tolist() == [True, False, True]  # a second proposal for the same event
