"""Small matrices → metrics computed by hand; random ones → the definitions written out, and two libraries where they agree."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import directions, metrics


def by_definition(similarity, relevance, threshold=1.0):
    """(nDCG, the challenge's AP, the textbook's AP, rank of the first exact item) per query, item by item."""
    found = []
    for scores, gains in zip(similarity.tolist(), relevance.tolist(), strict=True):
        order = sorted(range(len(scores)), key=lambda j: -scores[j])
        ranked = [gains[j] for j in order]
        k = sum(g > 0 for g in gains)
        dcg = sum(g / math.log2(r + 1) for r, g in enumerate(ranked[:k], 1))
        ideal = sum(g / math.log2(r + 1) for r, g in enumerate(sorted(gains, reverse=True)[:k], 1))
        exact = [r for r, g in enumerate(ranked, 1) if g == 1]
        challenge = sum(sum(ranked[:r]) / r for r in exact) / max(1, len(exact))
        hits = [r for r, g in enumerate(ranked, 1) if g >= threshold]
        textbook = sum(i / r for i, r in enumerate(hits, 1)) / max(1, len(hits))
        found.append((dcg / ideal if k else 0, challenge, textbook, exact[0] - 1 if exact else len(gains)))
    return np.array(found)


def drawn(seed, shape=(40, 60), dtype=np.float32, levels=(0, 0, 0, 0, 0.25, 1 / 3, 0.5, 0.99, 1)):
    """Scores without ties and graded relevance."""
    random = np.random.default_rng(seed)
    scores = random.permuted(np.tile(np.arange(shape[1]), (shape[0], 1)), axis=1) / shape[1] - 0.5
    return scores.astype(dtype), random.choice(levels, size=shape)


def test_the_example_of_jpose():
    similarity = np.array([[1.0, 0.7, 0.4, 0.0], [0.3, 0.9, 0.6, 0.1], [0.2, 0.5, 0.8, 0.4]])
    relevance = np.array([[1.0, 0.5, 0.25, 0.0], [0.0, 1.0, 0.4, 0.0], [0.5, 0.3, 1.0, 0.0]])
    assert metrics.ndcg(similarity, relevance) == pytest.approx(0.9371789900735429, abs=1e-15)
    third = (1 + 0.3 / math.log2(3)) / (1 + 0.5 / math.log2(3) + 0.3 / 2)
    assert metrics.measure(similarity, relevance).ndcg == pytest.approx([1, 1, third])


def test_average_precision_by_hand():
    similarity = np.array([[4.0, 3.0, 2.0, 1.0]])
    relevance = np.array([[0.5, 1.0, 0.0, 1.0]])  # in ranked order
    assert metrics.mean_average_precision(similarity, relevance) == pytest.approx((1.5 / 2 + 2.5 / 4) / 2)
    assert metrics.mean_average_precision_binary(similarity, relevance) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert metrics.mean_average_precision_binary(similarity, relevance, 0.5) == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_ndcg_looks_at_as_many_ranks_as_there_are_relevant_items():
    relevance = np.array([[1.0, 0.5, 0.0, 0.0]])
    late = metrics.measure(np.array([[2.0, 1.0, 4.0, 3.0]]), relevance)  # both relevant ones behind the cut
    assert (late.ndcg.tolist(), late.relevant.tolist()) == ([0.0], [2])
    half = metrics.ndcg(np.array([[1.0, 3.0, 4.0, 2.0]]), relevance)
    assert half == pytest.approx((0.5 / math.log2(3)) / (1 + 0.5 / math.log2(3)))


def test_queries_without_relevant_items_are_zero_and_ranked_last():
    similarity, relevance = np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[0.0, 0.0], [0.0, 1.0]])
    found = metrics.measure(similarity, relevance)
    assert found.ndcg.tolist() == [0.0, 1.0]
    assert found.challenge_ap.tolist() == found.average_precision.tolist() == [0.0, 1.0]
    assert (found.rank.tolist(), found.positives.tolist()) == ([2, 0], [0, 1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.uint8])
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_definitions(dtype, seed):
    similarity, relevance = drawn(seed)
    similarity = (
        (similarity * 60 + 30).round().astype(dtype) if np.dtype(dtype).kind in "iu" else similarity.astype(dtype)
    )
    found = metrics.measure(similarity, relevance, threshold=0.5)
    stacked = np.stack([found.ndcg, found.challenge_ap, found.average_precision, found.rank], axis=1)
    np.testing.assert_allclose(stacked, by_definition(similarity, relevance, 0.5), atol=1e-12)
    assert not found.tied.any()


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, (4, 7), elements=st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1e-300])),
    arrays.arrays(np.float64, (4, 7), elements=st.sampled_from([0.0, 0.5, 1.0])),
)
def test_ties_keep_the_order_of_the_columns(similarity, relevance):
    found = metrics.measure(similarity, relevance)
    stacked = np.stack([found.ndcg, found.challenge_ap, found.average_precision, found.rank], axis=1)
    np.testing.assert_allclose(stacked, by_definition(similarity, relevance), atol=1e-12)
    for scores, gains, tied in zip(similarity, relevance, found.tied, strict=True):
        assert tied == any(len(set(gains[scores == one].tolist())) > 1 for one in scores)


def test_infinite_scores_have_their_ranks():
    similarity = np.array([[-np.inf, 0.0, np.inf, -np.inf]], np.float32)
    found = metrics.measure(similarity, np.array([[1.0, 0, 0, 0]]))
    assert (found.rank.tolist(), found.average_precision.tolist(), found.tied.tolist()) == ([2], [1 / 3], [True])


def test_many_ties_in_long_rows():
    random = np.random.default_rng(0)
    similarity, relevance = (
        random.integers(0, 3, (2, 5000)).astype(np.float32),
        random.choice([0.0, 0.5, 1.0], (2, 5000)),
    )
    found = metrics.measure(similarity, relevance)
    stacked = np.stack([found.ndcg, found.challenge_ap, found.average_precision, found.rank], axis=1)
    np.testing.assert_allclose(stacked, by_definition(similarity, relevance), atol=1e-12)
    assert found.tied.all()


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_perfect_ranking_has_ndcg_one_and_order_of_items_does_not_matter(seed):
    similarity, relevance = drawn(seed, (5, 9))
    relevance[:, 0] = 1
    assert metrics.ndcg(relevance + similarity * 1e-3, relevance) == pytest.approx(1)
    shuffled = np.random.default_rng(seed).permutation(9)
    assert metrics.ndcg(similarity[:, shuffled], relevance[:, shuffled]) == pytest.approx(
        metrics.ndcg(similarity, relevance)
    )


def test_recalls_take_the_best_of_several_positives():
    similarity = np.array([[0.9, 0.8, 0.1], [0.1, 0.5, 0.3]])
    relevance = np.zeros((2, 3))
    found = metrics.measure(similarity, relevance, np.array([[0, 2], [0, 1], [1, 0], [0, 1]]))
    assert (found.rank.tolist(), found.positives.tolist()) == ([1, 2], [2, 1])


def test_blocks_and_views_change_nothing(monkeypatch):
    similarity, relevance = drawn(1)
    pairs = np.argwhere(relevance == 0.5)
    whole = metrics.measure(similarity, relevance, pairs)
    monkeypatch.setattr(metrics, "_CELLS", 100)
    turned = metrics.measure(np.asfortranarray(similarity), relevance.T.copy().T, pairs)
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(whole, name), getattr(turned, name))


@pytest.mark.parametrize(
    ("similarity", "relevance", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "similarity is 2 × 3 but the relevance 3 × 2"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "no queries"),
        (np.array([[0.0, np.nan]]), np.zeros((1, 2)), "similarity of query 0 and item 1 is nan"),
        (np.zeros((2, 2)), np.array([[0, 0], [0, np.inf]]), "relevance of query 1 and item 1 is inf"),
        (np.zeros((1, 2)), np.array([[0, -0.5]]), "item 1 is -0.5; relevance is 0 or more, and finite"),
    ],
)
def test_what_cannot_be_measured_is_named(similarity, relevance, message):
    with pytest.raises(UserError, match=message):
        metrics.measure(similarity, relevance)


@pytest.mark.parametrize("threshold", [0, -1, math.nan])
def test_a_threshold_that_takes_irrelevant_items_is_refused(threshold):
    with pytest.raises(UserError, match="would take irrelevant items as relevant; give one above 0"):
        metrics.measure(np.zeros((1, 2)), np.ones((1, 2)), threshold=threshold)


def runs(similarity, relevance, scale=1):
    """Judgements and scores as the libraries take them; queries without relevant items are left out, as they do."""
    judged, scored = {}, {}
    for i, (scores, gains) in enumerate(zip(similarity.tolist(), relevance.tolist(), strict=True)):
        if any(gains):
            judged[f"q{i}"] = {f"d{j}": round(g * scale) for j, g in enumerate(gains) if g}
            scored[f"q{i}"] = {f"d{j}": s for j, s in enumerate(scores)}
    return judged, scored


def agree(values, expected):
    assert len(values) == len(expected) > 0
    np.testing.assert_allclose(values, expected, atol=1e-6)


def graded(seed=4):
    """Relevance in twelfths, and relevance 1 for the two kinds of AP."""
    return drawn(seed, levels=(0, 0, 0, 0.25, 1 / 3, 0.5, 1))


def test_pytrec_eval_agrees_on_average_precision():
    oracle = pytest.importorskip("pytrec_eval")
    similarity, relevance = graded()
    judged, scored = runs(similarity, (relevance == 1).astype(float))
    theirs = oracle.RelevanceEvaluator(judged, {"map"}).evaluate(scored)
    found = metrics.measure(similarity, relevance).average_precision
    agree([found[int(name[1:])] for name in theirs], [one["map"] for one in theirs.values()])


def test_pytrec_eval_agrees_on_ndcg_where_the_cut_is_no_cut():
    """trec_eval's ndcg looks at all ranks, so every item is made relevant here."""
    oracle = pytest.importorskip("pytrec_eval")
    similarity, relevance = drawn(5, levels=(0.25, 0.5, 1))
    judged, scored = runs(similarity, relevance, scale=4)
    theirs = oracle.RelevanceEvaluator(judged, {"ndcg"}).evaluate(scored)
    found = metrics.measure(similarity, relevance).ndcg
    agree([found[int(name[1:])] for name in theirs], [one["ndcg"] for one in theirs.values()])


@pytest.mark.slow  # numba compiles it
def test_ranx_agrees_on_ndcg_at_the_number_of_relevant_items():
    ranx = pytest.importorskip("ranx")
    similarity, relevance = graded()
    relevance[:, 8:] = 0
    relevance[:, :8] = np.where(relevance[:, :8] > 0, relevance[:, :8], 0.25)  # eight relevant items in every query
    judged, scored = runs(similarity, relevance, scale=12)
    theirs = ranx.evaluate(ranx.Qrels(judged), ranx.Run(scored), "ndcg@8", return_mean=False)
    found = metrics.measure(similarity, relevance).ndcg
    agree([found[int(name[1:])] for name in sorted(judged)], theirs)


def test_real_queries_with_many_positives(many_positives):
    relevance = many_positives
    assert len(relevance) == 1332
    assert relevance.sum(1).mean() == pytest.approx(8.47, abs=0.01)
    random = np.random.default_rng(0)
    similarity = random.permuted(np.tile(np.arange(relevance.shape[1]) / relevance.shape[1], (1332, 1)), axis=1)
    similarity += 2 * relevance * (random.random(relevance.shape) < 0.5)  # half of them are found
    both = directions.measure(similarity, relevance)
    for name, scores, gains in (
        (directions.VIDEO_TO_TEXT, similarity, relevance),
        (directions.TEXT_TO_VIDEO, similarity.T, relevance.T),
    ):
        found = both[name]
        stacked = np.stack([found.ndcg, found.challenge_ap, found.average_precision, found.rank], axis=1)
        np.testing.assert_allclose(stacked[:100], by_definition(scores[:100], gains[:100]), atol=1e-12)
        np.testing.assert_allclose(found.challenge_ap, found.average_precision)  # no graded relevance: no difference


def test_real_queries_agree_with_pytrec_eval(many_positives):
    oracle = pytest.importorskip("pytrec_eval")
    relevance = many_positives[:200]
    random = np.random.default_rng(1)
    similarity = random.permuted(np.tile(np.arange(relevance.shape[1]) / relevance.shape[1], (200, 1)), axis=1)
    judged, scored = runs(similarity, relevance)
    theirs = oracle.RelevanceEvaluator(judged, {"map", "Rprec", "recall.10"}).evaluate(scored)
    found = metrics.measure(similarity, relevance)
    agree([found.average_precision[int(name[1:])] for name in theirs], [one["map"] for one in theirs.values()])
    first = np.array([one["recall_10"] > 0 for one in theirs.values()])
    assert ((found.rank < 10) == first).all()
