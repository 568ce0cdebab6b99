import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from pipeline_lib.coref.metrics import best_threshold, bootstrap, flatten, measure


def drawn(seed=0, ties=False):
    rng = np.random.default_rng(seed)
    scores = [rng.random((3, 4)) for _ in range(6)]
    if ties:
        scores = [np.round(part, 1) for part in scores]
    return scores, [rng.random((3, 4)) < 0.3 for _ in range(6)]


@pytest.mark.parametrize("ties", [False, True])
def test_equal_to_scikit_learn(ties):
    scores, labels = drawn(ties=ties)
    found = measure(flatten(scores, labels, [0] * 6), 0.5)
    truth, values = np.concatenate(labels).ravel(), np.concatenate(scores).ravel()
    assert found["precision"] == pytest.approx(precision_score(truth, values > 0.5))
    assert found["recall"] == pytest.approx(recall_score(truth, values > 0.5))
    assert found["f1"] == pytest.approx(f1_score(truth, values > 0.5))
    assert found["average_precision"] == pytest.approx(average_precision_score(truth, values))


def test_pairs_that_nothing_was_proposed_for_are_false_negatives():
    pairs = flatten([np.array([[0.9, 0.1]])], [np.array([[True, False]])], [1])
    found = measure(pairs, 0.5)
    assert (found["precision"], found["recall"], found["average_precision"]) == (1.0, 0.5, 0.5)


def test_threshold_is_strict_and_the_lowest_of_equals():
    pairs = flatten([np.array([[0.4, 0.2, 0.3]])], [np.array([[True, False, False]])], [0])
    assert measure(pairs, 0.4)["recall"] == 0.0
    assert best_threshold(pairs, [0.35, 0.1, 0.3, 0.5]) == 0.3


def test_bootstrap_is_over_whole_videos_and_seeded():
    scores, labels = drawn()
    pairs = flatten(scores, labels, [0] * 6)
    found = bootstrap(pairs, 0.5, 400, seed=1)
    assert found == bootstrap(pairs, 0.5, 400, seed=1) != bootstrap(pairs, 0.5, 400, seed=2)
    for name, value in measure(pairs, 0.5).items():
        assert found[name][0] < value < found[name][1]
    same = flatten([scores[0]] * 5, [labels[0]] * 5, [0] * 5)  # equal videos: nothing varies
    low, high = bootstrap(same, 0.5, 50, seed=0)["f1"]
    assert low == pytest.approx(high)


def test_nothing_predicted_and_nothing_positive_are_zero():
    pairs = flatten([np.array([[0.1, 0.2]])], [np.array([[False, False]])], [0])
    assert set(measure(pairs, 0.5).values()) == {0.0}
