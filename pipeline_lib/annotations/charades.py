"""What the three Charades datasets share: how their windows are corrected, and the JSON layout of -CD and -CG."""

from pathlib import Path

from pydantic import Field

from pipeline_lib.annotations import reading
from pipeline_lib.annotations.moment import Moment, Window


class Video(reading.Grouped):
    """A video's entry in Charades-CD and -CG."""

    duration: float = Field(gt=0, allow_inf_nan=False)


def window(start: float, end: float, duration: float) -> Window | None:
    """A window with its ends swapped if reversed, and its end cut at the video's.

    Returns:
        None where the window starts after the video has ended; such sentences are left out.
    """
    if start > duration:
        return None
    start, end = min(start, end), max(start, end)
    return start, min(end, duration)


def read(path: Path, split: str, model: type[Video], expected: str) -> list[Moment]:
    """The sentences of a JSON file in its order, numbered from 1, those left out included."""
    moments, number = [], 0
    for video_id, video in reading.grouped(path, model, expected):
        for (start, end), sentence in zip(video.timestamps, video.sentences, strict=True):
            number += 1
            if (corrected := window(start, end, video.duration)) is not None:
                moments.append(Moment(video_id, number, sentence, (corrected,), video.duration, split))
    report(path, len(moments), number - len(moments))
    return moments


def report(path: Path, read: int, left_out: int) -> None:
    """Say how many sentences a file gave, and how many start too late."""
    reading.report(path, read, left_out, "they start after the end of the video")
