"""Moments and rows → targets, by hand-computed cases of specs mesm §5."""

import numpy as np
import pytest

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments import MomentsData
from pipeline_lib.moments import targets
from pipeline_lib.moments.videos import Video

CLIPS = MomentsData(clip_len=1.0)


def video(rows, stored=None):
    return Video(np.zeros((rows, 1), np.float32), stored or rows)


@pytest.mark.parametrize(
    ("window", "duration", "rows", "clip_len", "expected"),
    [
        ((2.0, 4.5), 10.0, 10, 1.0, (2, 4)),  # int(start), int(end) inclusive
        ((8.0, 10.0), 10.0, 10, 1.0, (8, 9)),  # the end is clamped
        ((9.6, 9.9), 9.9, 8, 1.0, (7, 7)),  # features end before the moment: the last row
        ((0.4, 0.5), 10.0, 60, 0.17, (2, 2)),
        ((3.0, 6.0), 12.0, 100, -1, (25, 50)),  # fractions of the duration
        ((12.0, 12.0), 12.0, 100, -1, (99, 99)),
    ],
)
def test_rows_of_a_moment(window, duration, rows, clip_len, expected):
    options = CLIPS.model_copy(update={"clip_len": clip_len})
    assert targets.covered(window, duration, video(rows), options) == expected


def test_rows_of_a_moment_in_a_pooled_video():
    # 10 rows pooled to 5: row k holds 2k and 2k + 1, the last one 8 alone
    assert targets.covered((4.0, 7.0), 10.0, video(5, 10), CLIPS) == (2, 3)
    published = CLIPS.model_copy(update={"pooled_rows": "as_published"})
    assert targets.covered((4.0, 7.0), 10.0, video(5, 10), published) == (4, 4)


def test_a_query_with_one_moment():
    found = targets.of_windows(
        Moment("v", 1, "s", ((2.0, 3.0),), 8.0, "train"), video(8), CLIPS, np.random.default_rng(0)
    )
    assert found.moments.tolist() == [[0.25, 0.375]]
    assert found.inside.tolist() == [False, False, True, True, False, False, False, False]
    assert found.saliency.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert sorted(found.positive.tolist()) == [2, 3]
    assert len(set(found.negative.tolist())) == 2 and not set(found.negative.tolist()) & {2, 3}


def test_rows_are_drawn_twice_where_there_are_too_few():
    rng = np.random.default_rng(0)
    one = targets.of_windows(Moment("v", 1, "s", ((2.0, 2.5),), 3.0, "train"), video(3), CLIPS, rng)
    assert one.positive.tolist() == [2, 2] and sorted(one.negative.tolist()) == [0, 1]
    whole = targets.of_windows(Moment("v", 1, "s", ((0.0, 3.0),), 3.0, "train"), video(3), CLIPS, rng)
    assert whole.inside.all() and len(whole.negative) == 2  # upstream has nothing to draw from


def test_a_query_with_scored_clips():
    moment = Moment("f_0.0_20.0", 1, "s", ((2.0, 8.0),), 20.0, "train", (1, 2, 3), ((1, 1, 1), (4, 4, 4), (0, 1, 0)))
    options = MomentsData(clip_len=2.0)
    found = targets.of_scores(moment, video(10), options, np.random.default_rng(0))
    assert found.saliency.tolist() == [0, 3, 12, 1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(found.moments, [[0.1, 0.4]])
    assert found.positive[0] == 2 and found.positive[1] in (1, 2, 3)
    assert found.negative[0] == 3 and found.negative[1] not in (1, 2, 3)
    # rows beyond the features stand for the last one, and windows are fractions of the rows there are
    short = targets.of_scores(moment, video(3), options, np.random.default_rng(0))
    assert short.saliency.tolist() == [0, 3, 12] and short.positive.max() <= 2 and short.negative[0] == 2
    np.testing.assert_allclose(short.moments, [[1 / 3, 4 / 3]])
    full = Moment("f_0.0_4.0", 1, "s", ((0.0, 4.0),), 4.0, "train", (0, 1), ((1, 1, 1), (2, 2, 2)))
    every = targets.of_scores(full, video(2), options, np.random.default_rng(0))
    assert every.positive.tolist() == [1, 1] and every.negative.tolist() == [0, 0]


def test_many_moments_are_drawn_from():
    windows = tuple((float(i), float(i + 1)) for i in range(7))
    assert targets.drawn(windows, 7, np.random.default_rng(0)) == list(windows)
    some = targets.drawn(windows, 5, np.random.default_rng(0))
    assert len(set(some)) == 5 and set(some) < set(windows)


def test_a_third_of_the_words_is_masked_by_their_weights():
    weights = np.array([0, 2, 1, 2, 1, 2, 1, 2, 1, 0]) / 12
    drawn = np.array([targets.masked(weights, np.random.default_rng(seed)) for seed in range(600)])
    assert (drawn.sum(1) == 3).all() and not drawn[:, [0, 9]].any()
    share = drawn.mean(0)
    assert 1.4 < share[[1, 3, 5, 7]].mean() / share[[2, 4, 6, 8]].mean() < 2.0
    assert targets.masked(np.array([1.0]), np.random.default_rng(0)).tolist() == [False]
    assert targets.masked(np.array([0.5, 0.5]), np.random.default_rng(0)).sum() == 1


def test_others_are_of_another_group_and_all_of_them():
    seen = np.array([targets.others([2, 1, 3], np.random.default_rng(seed)) for seed in range(200)])
    group = np.array([0, 0, 1, 2, 2, 2])
    assert (group[seen] != group).all()
    assert set(seen[:, 2].tolist()) == {0, 1, 3, 4, 5} and set(seen[:, 0].tolist()) == {2, 3, 4, 5}
    assert targets.others([3], np.random.default_rng(0)).tolist() == [-1, -1, -1]
