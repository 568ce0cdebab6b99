import pytest

from pipeline_lib.video.plan import read_index
from pipeline_lib.video.sampling import Sampling, Shown, choose


def film(*times, keys=(), seconds=0.0):
    return [Shown(time, seconds, i in keys, i) for i, time in enumerate(times)]


def chosen(frames, sampling, offset=0.0):
    return [(number, frame.what) for number, frame in choose(frames, sampling, offset)]


def test_at_or_after():
    assert chosen(film(0, 1, 2.5, 3.2, 7.0), Sampling(3.0)) == [(0, 0), (1, 3), (2, 4)]


def test_a_frame_serves_several_times():
    assert chosen(film(0, 5), Sampling(2.0)) == [(0, 0), (1, 1), (2, 1)]


def test_nearest_keyframe_by_hand():
    frames = film(0, 1, 2, 3, 4, 5, 6, 7, keys={0, 4, 6})
    assert chosen(frames, Sampling(1.0, "keyframe")) == [
        (0, 0), (1, 0), (2, 0), (3, 4), (4, 4), (5, 4), (6, 6), (7, 6),
    ]  # fmt: skip


def test_of_two_equally_near_keyframes_the_earlier_is_shown_whatever_the_rounding():
    frames = film(*(0.4 * i for i in range(4)), keys=range(4))  # 3 · 0.2 is a bit more than the middle of 0.4 and 0.8
    assert chosen(frames, Sampling(0.2, "keyframe")) == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)]


def test_ffmpegs_rule_by_hand():
    """At 1 fps frames at 0, .4, .6, 1.4, 1.5, 3 fall into slots 0, 0, 1, 1, 2, 3; each slot shows its last frame."""
    frames = film(0, 0.4, 0.6, 1.4, 1.5, 3.0, seconds=0.5)
    assert chosen(frames, Sampling(1.0, "ffmpeg")) == [(0, 1), (1, 3), (2, 4), (3, 5)]


def test_ffmpegs_rule_fills_gaps_and_counts_from_the_container():
    assert chosen(film(0, 2.0, seconds=1.0), Sampling(1.0, "ffmpeg")) == [(0, 0), (1, 0), (2, 1)]
    assert chosen(film(0, 0.6, 2.0, seconds=0.6), Sampling(1.0, "ffmpeg"), 0.7) == [(0, 1), (1, 1)]


def test_ffmpegs_rule_may_show_nothing_of_a_very_short_film():
    """As ffmpeg: the end at 0.04 s rounds to slot 0, so no slot is filled."""
    assert chosen(film(0, seconds=0.04), Sampling(1.0, "ffmpeg")) == []


def test_index_of_a_file(video):
    index = read_index(video)
    assert (
        index.keys.nonzero()[0].tolist() == [0, 20] and len(index.pts) == 40 and index.restartable and index.depth == 8
    )
    assert index.last == pytest.approx(0.1) and index.offset == pytest.approx(0.0)
    assert [shown.time for shown in index.shown()] == pytest.approx([i / 10 for i in range(40)])
