"""Highlight metrics: by hand, two and three people, ties, clips beyond the end, and equality with the plain definition."""

import numpy as np
import plain_moments as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import highlights, metrics
from pipeline_lib.moments.submission import Prediction


def moment(qid: int, clips: list[int], ratings: list[tuple[int, ...]], duration: float = 8.0) -> Moment:
    return Moment("v", qid, "", ((0.0, 2.0),), duration, "val", tuple(clips), tuple(ratings))


def predicted(qid: int, saliency: list[float] | None) -> Prediction:
    return Prediction(qid, "", "v", np.zeros((0, 3)), None if saliency is None else np.array(saliency))


def values(found: list[Prediction], gold: list[Moment], level: str = "VeryGood") -> tuple[float, float]:
    report = metrics.evaluate(found, gold, MomentsEvaluation(bootstrap=0))["highlights"][level]
    return report["mAP"]["value"], report["HIT@1"]["value"]


def test_by_hand() -> None:
    gold = [moment(1, [0, 2], [(4, 4, 1), (4, 0, 2)])]
    # ranked 0, 1, 2, 3. Clips 0 and 2 for the first: precisions 1, 2/3; clip 0 for the second: 1; none for the third: 0
    assert values([predicted(1, [0.9, 0.8, 0.7, 0.1])], gold) == pytest.approx((100 * (5 / 6 + 1 + 0) / 3, 100))
    # at Fair the third has clip 2 alone: 1/3
    assert values([predicted(1, [0.9, 0.8, 0.7, 0.1])], gold, "Fair") == pytest.approx(
        (100 * (5 / 6 + 1 + 1 / 3) / 3, 100)
    )
    assert values([predicted(1, [0.1, 0.8, 0.7, 0.1])], gold)[1] == 0


def test_interpolation_takes_the_best_precision_further_on() -> None:
    gold = [moment(1, [1, 2, 3], [(4,), (4,), (4,)])]
    # ranked 0, 1, 2, 3: precisions at the positives 1/2, 2/3, 3/4; interpolated all 3/4
    assert values([predicted(1, [4, 3, 2, 1])], gold)[0] == pytest.approx(75)


def test_ties_come_in_together_and_the_first_of_them_is_the_top() -> None:
    gold = [moment(1, [1], [(4, 4, 4)])]
    assert values([predicted(1, [0.5, 0.5, 0.1, 0.1])], gold) == pytest.approx((50, 0))
    assert values([predicted(1, [0.1, 0.5, 0.5, 0.1])], gold) == pytest.approx((50, 100))
    assert values([predicted(1, [0.0, 0.0, 0.0, 0.0])], gold) == pytest.approx((25, 0))


def test_two_people_count_as_three_do() -> None:
    gold = [moment(1, [0, 1], [(4, 0), (0, 4)]), moment(2, [0], [(4, 4, 4)])]
    found = [predicted(1, [0.9, 0.8, 0.1, 0.1]), predicted(2, [0.9, 0.8, 0.1, 0.1])]
    assert values(found[:1], gold[:1]) == pytest.approx((75, 100))
    assert values(found, gold) == pytest.approx(((75 + 100) / 2, 100))


def test_all_positive_is_one_and_none_is_zero() -> None:
    everywhere = moment(1, [0, 1, 2, 3], [(4, 1, 1)] * 4)
    assert values([predicted(1, [0.1, 0.2, 0.3, 0.4])], [everywhere]) == pytest.approx((100 / 3, 100))


def test_lengths_that_differ() -> None:
    gold = [moment(1, [3], [(4,)])]
    assert values([predicted(1, [0.1, 0.2, -0.1])], gold) == pytest.approx((100 / 3, 0))  # clip 3 has 0, above -0.1
    # the highest clip lies after the end: no hit; precision ignores it
    assert values([predicted(1, [0.1, 0.2, 0.3, 0.9, 1.5])], gold) == pytest.approx((100, 0))


def test_queries_without_saliency_are_misses_and_none_at_all_gives_no_metrics(caplog: pytest.LogCaptureFixture) -> None:
    gold = [moment(1, [0], [(4,)]), moment(2, [0, 1, 2, 3], [(4,)] * 4), moment(3, [0], [(4,)])]
    found = [predicted(1, [0.9, 0.1, 0.1, 0.1]), predicted(2, None), predicted(3, [])]
    assert values(found, gold) == pytest.approx((100 / 3, 100 / 3))
    assert "2 of 3 rated queries have no saliency and count as misses (first: qid 2)" in caplog.text
    assert metrics.evaluate(found[1:2], gold, MomentsEvaluation(bootstrap=0))["highlights"] == {}


def test_rated_clips_after_the_end_are_named() -> None:
    with pytest.raises(UserError, match=r"qid 1: clip 4 of 2 s is rated, but the video of 8 s has 4"):
        highlights.columns([predicted(1, [0.5])], [moment(1, [4], [(4, 4, 4)])], 2.0)


@st.composite
def queries(draw: st.DrawFn) -> tuple[list[float], int, list[int], list[tuple[int, ...]]]:
    clips = draw(st.integers(1, 6))
    rated = draw(st.lists(st.integers(0, clips - 1), min_size=1, max_size=clips, unique=True))
    people = draw(st.integers(1, 3))
    ratings = [tuple(draw(st.lists(st.integers(0, 4), min_size=people, max_size=people))) for _ in rated]
    saliency = draw(st.lists(st.sampled_from([-0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=8))
    return saliency, clips, rated, ratings


@settings(max_examples=200, deadline=None)
@given(st.lists(queries(), min_size=1, max_size=5))
def test_equal_to_the_plain_definition(given_queries: list) -> None:
    gold = [moment(qid, one[2], one[3], 2.0 * one[1]) for qid, one in enumerate(given_queries)]
    found = [predicted(qid, one[0]) for qid, one in enumerate(given_queries)]
    for level, least in highlights.LEVELS.items():
        wanted = np.mean([plain.highlight(*one, least) for one in given_queries], axis=0)
        assert values(found, gold, level) == pytest.approx(tuple(100 * wanted), abs=1e-9)
