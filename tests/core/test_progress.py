import logging

from pipeline_lib.core.progress import track


def test_every_item_comes_through_and_a_line_tells_rate_and_time_left(caplog):
    with caplog.at_level(logging.INFO):
        assert list(track(["a", "b", "c"], "s3d 0003", interval=0.0)) == ["a", "b", "c"]
    assert caplog.messages[0].startswith("s3d 0003: 1 of 3 videos, ") and caplog.messages[0].endswith(" s left")
    assert len(caplog.messages) == 3


def test_nothing_is_said_before_the_interval_is_over(caplog):
    with caplog.at_level(logging.INFO):
        assert list(track(range(3), "x", interval=60)) == [0, 1, 2]
    assert not caplog.messages
