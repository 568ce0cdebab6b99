"""Times of caption segments and clips → the rows of stored features that they stand for (§1).

Times are multiplied by the rate, as upstream has it, so that they are rounded alike: the rate of a step of 2/3 s is 1.5,
that of 3 s is 1/3, both exactly upstream's numbers.
"""

from typing import Any

Segment = dict[str, Any]  # of captions: start, duration, text; of data from upstream also end and object_row


def clip(start: float, end: float, step: float, first: float, count: int) -> slice:
    """Rows from int(start · rate) to int(end · rate) inclusive; past the end at least the last row remains (§1.2).

    Args:
        step, first: seconds from row to row, and of row 0.
        count: number of rows there are.
    """
    rate = 1 / step
    begin = max(min(int((start - first) * rate), count - 1), 0)
    return slice(begin, max(int((end - first) * rate), begin) + 1)


def frame(seconds: float, step: float) -> int:
    """Row of objects at a time; Python's round, half to even (§1.4)."""
    return round(seconds * (1 / step))


def interval(segment: Segment) -> tuple[float, float]:
    """Start and end of a caption segment in seconds; `end` is there where start + duration would round."""
    start: float = segment["start"]
    return start, segment.get("end", start + segment["duration"])


def middle(segment: Segment, step: float, count: int) -> int:
    """Row of the objects in the middle of a segment: its own, where it has one, else that of the nearest stored frame."""
    row: int = segment.get("object_row", frame(sum(interval(segment)) / 2, step))
    return min(row, count - 1)
