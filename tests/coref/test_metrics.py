import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_score, recall_score

from pipeline_lib.coref import metrics
from pipeline_lib.coref.metrics import NAMES, Measured, best_threshold, flatten, measure
from pipeline_lib.report.bootstrap import resamples

F1, AP = NAMES.index("f1"), NAMES.index("average_precision")


def drawn(seed=0, ties=False, videos=6):
    rng = np.random.default_rng(seed)
    scores = [rng.random((3, 4)) for _ in range(videos)]
    if ties:
        scores = [np.round(part, 1) for part in scores]
    return scores, [rng.random((3, 4)) < 0.3 for _ in range(videos)]


@pytest.mark.parametrize("ties", [False, True])
def test_equal_to_scikit_learn(ties):
    scores, labels = drawn(ties=ties)
    found = measure(flatten(scores, labels, [0] * 6), 0.5)
    truth, values = np.concatenate(labels).ravel(), np.concatenate(scores).ravel()
    assert found["precision"] == pytest.approx(precision_score(truth, values > 0.5))
    assert found["recall"] == pytest.approx(recall_score(truth, values > 0.5))
    assert found["f1"] == pytest.approx(f1_score(truth, values > 0.5))
    assert found["average_precision"] == pytest.approx(average_precision_score(truth, values))
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, values > 0.5))


def test_pairs_that_nothing_was_proposed_for_are_false_negatives():
    pairs = flatten([np.array([[0.9, 0.1]])], [np.array([[True, False]])], [1])
    found = measure(pairs, 0.5)
    assert (found["precision"], found["recall"], found["average_precision"]) == (1.0, 0.5, 0.5)
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_threshold_is_strict_and_the_lowest_of_equals():
    pairs = flatten([np.array([[0.4, 0.2, 0.3]])], [np.array([[True, False, False]])], [0])
    assert measure(pairs, 0.4)["recall"] == 0.0
    assert best_threshold(pairs, [0.35, 0.1, 0.3, 0.5]) == 0.3


@pytest.mark.parametrize("missed", [0, 2])
def test_the_best_threshold_is_that_of_trying_all(missed):
    scores, labels = drawn(ties=True)
    pairs = flatten(scores, labels, [missed] * 6)
    tried = [round(0.05 * i, 2) for i in range(20)]
    best = max(measure(pairs, threshold)["f1"] for threshold in tried)
    assert measure(pairs, best_threshold(pairs, tried))["f1"] == best
    every = best_threshold(pairs, "val_scores")
    assert measure(pairs, every)["f1"] >= best and every not in pairs.scores


def test_every_threshold_that_makes_a_difference_includes_all_and_nothing():
    pairs = flatten([np.array([[0.4, 0.2]])], [np.array([[True, True]])], [0])
    assert best_threshold(pairs, "val_scores") < 0.2
    same = flatten([np.array([[0.3, 0.3]])], [np.array([[True, False]])], [0])
    assert measure(same, best_threshold(same, "val_scores"))["recall"] == 1.0


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("cells", [2**22, 7])
def test_resampled_metrics_are_those_of_the_drawn_videos(monkeypatch, ties, cells):
    """Each resample is measured as if its videos, repeated as drawn, were the data; in blocks of any size."""
    monkeypatch.setattr(metrics, "_CELLS", cells)
    scores, labels = drawn(ties=ties)
    missed = [0, 1, 0, 2, 0, 0]
    draws = resamples(6, 20, seed=3)
    found = Measured.of(flatten(scores, labels, missed), 0.5, draws)
    for column, counts in enumerate(draws.astype(int)):
        videos = np.repeat(np.arange(6), counts)
        again = flatten([scores[i] for i in videos], [labels[i] for i in videos], [missed[i] for i in videos])
        assert found.resampled[:, column] == pytest.approx(list(measure(again, 0.5).values()))


def test_intervals_are_seeded_and_hold_the_value():
    scores, labels = drawn()
    pairs = flatten(scores, labels, [0] * 6)
    found = Measured.of(pairs, 0.5, resamples(6, 400, seed=1)).report()
    assert found == Measured.of(pairs, 0.5, resamples(6, 400, seed=1)).report()
    assert found != Measured.of(pairs, 0.5, resamples(6, 400, seed=2)).report()
    for name, value in measure(pairs, 0.5).items():
        assert found[name]["value"] == pytest.approx(value, abs=1e-6)
        assert found[name]["ci95"][0] < value < found[name]["ci95"][1]
    same = flatten([scores[0]] * 5, [labels[0]] * 5, [0] * 5)  # equal videos: nothing varies
    low, high = Measured.of(same, 0.5, resamples(5, 50, seed=0)).report()["f1"]["ci95"]
    assert low == pytest.approx(high)


def test_a_difference_is_paired():
    """One system finds a little more in every video: its interval overlaps the other's, their difference's excludes 0."""
    labels = [np.arange(10)[None] < positives for positives in (1, 3, 5, 7, 9, 2, 8, 4)]
    scores = [np.where(np.arange(10)[None] < 6, 0.9, 0.1) for _ in labels]
    better = [np.where(np.arange(10)[None] == 9, 0.0, part) for part in scores]
    better = [np.where(label & (part < 0.5), 0.9, part) for part, label in zip(better, labels, strict=True)]
    draws = resamples(8, 500, seed=0)
    a, b = (Measured.of(flatten(part, labels, [0] * 8), 0.5, draws) for part in (better, scores))
    assert a.report()["f1"]["ci95"][0] < b.report()["f1"]["ci95"][1]
    difference = a.minus(b).report()["f1"]
    assert difference["value"] == pytest.approx(a.values[F1] - b.values[F1], abs=1e-6) and difference["ci95"][0] > 0
    assert a.minus(a).report()["f1"] == {"value": 0.0, "ci95": [0.0, 0.0]}


def test_nothing_predicted_and_nothing_positive_are_zero():
    pairs = flatten([np.array([[0.1, 0.2]])], [np.array([[False, False]])], [0])
    assert measure(pairs, 0.5) == {**dict.fromkeys(NAMES, 0.0), "accuracy": 1.0}
    found = Measured.of(pairs, 0.5, resamples(1, 3, 0))
    assert not found.resampled[:AP].any()


def test_no_pairs_at_all():
    pairs = flatten([np.zeros((0, 3))], [np.zeros((0, 3), bool)], [2])
    assert set(measure(pairs, 0.5).values()) == {0.0}
    assert not Measured.of(pairs, 0.5, resamples(1, 3, 0)).resampled.any()
