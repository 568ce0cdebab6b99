import pytest

from pipeline_lib.coref import rows
from pipeline_lib.coref.stop_words import STOP_WORDS


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.0, 0.0, (0, 1)),
        (2.0, 4.0, (3, 7)),  # 2 · 1.5 = 3, 4 · 1.5 = 6, inclusive
        (0.66, 0.67, (0, 2)),
        (2 / 3, 4 / 3, (1, 3)),
        (9.9, 99.0, (14, 149)),
        (30.0, 40.0, (19, 61)),  # past the end the last row remains
        (-5.0, -1.0, (0, 1)),
    ],
)
def test_rows_of_a_clip_at_one_and_a_half_a_second(start, end, expected):
    found = rows.clip(start, end, 16 / 24, 0.0, 20)
    assert (found.start, found.stop) == expected
    assert len(range(20)[found]) >= 1


def test_rows_start_where_the_file_says():
    assert rows.clip(3.5, 5.5, 1.0, 0.5, 10) == slice(3, 6)


def test_times_are_rounded_as_upstream_rounds_them():
    """By int(time · 1.5); of the ends of rows, k · 2/3, some fall a row short then, the seventh for one."""
    step = 16 / 24
    found = [rows.clip(k * step, k * step, step, 0.0, 10**6).start for k in range(0, 129_600)]
    assert found == [int(k * step * 1.5) for k in range(0, 129_600)] and found[7] == 6
    assert all(rows.clip(float(k), k, step, 0.0, 10**6).start == int(k * 1.5) for k in range(86_400))


def test_frames_of_objects_are_rounded_half_to_even():
    assert [rows.frame(t, 3.0) for t in (1.5, 4.5, 7.5, 4.4, 4.6)] == [0, 2, 2, 1, 2]
    assert all(rows.frame(3.0 * k, 3.0) == k for k in range(28_800))
    assert all(rows.frame(t / 10, 3.0) == round(t / 10 * (1 / 3)) for t in range(864_000))


def test_a_segment_ends_where_it_says_else_after_its_duration():
    assert rows.interval({"start": 1.0, "duration": 2.5}) == (1.0, 3.5)
    assert rows.interval({"start": 0.13, "duration": 4 / 3 - 0.13, "end": 4 / 3}) == (0.13, 4 / 3)


def test_objects_in_the_middle_of_a_segment():
    segment = {"start": 4.0, "duration": 4.0}  # 6 s is row 2
    assert rows.middle(segment, 3.0, 10) == 2
    assert rows.middle(segment, 3.0, 2) == 1  # the video has no more
    assert rows.middle(segment | {"object_row": 7}, 3.0, 10) == 7


def test_stop_words_are_those_of_the_loaders():
    assert len(STOP_WORDS) == 370
    assert {"the", "video", "don't", "youtube", "fire"} <= STOP_WORDS
    assert not {"The", "into", "get", "truck", ""} & STOP_WORDS
