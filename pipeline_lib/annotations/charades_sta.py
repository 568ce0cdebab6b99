"""Charades-STA: `VIDEO start end##sentence` lines, and durations from Charades' CSV files → moments.

Gao et al., "TALL: Temporal activity localization via language query" (ICCV 2017). Sentences that start after their
video has ended are left out, three of the 12 408 of the training split. Queries are numbered by their line, from 0.
"""

import csv
import io
import math
from pathlib import Path

from pipeline_lib.annotations import charades, reading
from pipeline_lib.annotations.moment import Moment

SPLITS = {"train": "charades_sta_train.txt", "test": "charades_sta_test.txt"}
_DURATIONS = {"train": "Charades_v1_train.csv", "test": "Charades_v1_test.csv"}
_EXPECTED = "VIDEO start end##sentence, with start and end in seconds"


def read(folder: Path, split: str) -> list[Moment]:
    """The sentences of a split, in the order of the file."""
    durations = _durations(folder / _DURATIONS[split])
    path = folder / SPLITS[split]
    moments, left_out = [], 0
    for number, line in reading.lines(path):
        place, marks, sentence = line.partition("##")
        video_id, start, end = _place(place, path, number)
        if not marks or not sentence.strip():
            raise reading.wrong(path, number, "no sentence", _EXPECTED)
        if video_id not in durations:
            raise reading.wrong(path, number, f"{video_id} has no duration", f"a video id of {_DURATIONS[split]}")
        window = charades.window(start, end, durations[video_id])
        if window is None:
            left_out += 1
            continue
        moments.append(Moment(video_id, number - 1, sentence.rstrip(), (window,), durations[video_id], split))
    charades.report(path, len(moments), left_out)
    return moments


def _place(text: str, path: Path, line: int) -> tuple[str, float, float]:
    try:
        video_id, start, end = text.split()
        seconds = float(start), float(end)
    except ValueError:
        raise reading.wrong(path, line, repr(text[:60]), _EXPECTED) from None
    if not all(map(math.isfinite, seconds)) or min(seconds) < 0:
        raise reading.wrong(path, line, repr(text[:60]), _EXPECTED)
    return video_id, *seconds


def _durations(path: Path) -> dict[str, float]:
    """Seconds of each video: the columns `id` and `length`."""
    expected = "CSV with the columns id and length, the length in seconds"
    rows = csv.DictReader(io.StringIO(reading.text(path)))
    seconds: dict[str, float] = {}
    for row in rows:
        try:
            value = float(row["length"])
            if not (row["id"] and 0 < value < math.inf):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise reading.wrong(path, rows.line_num, f"length {row.get('length')!r}", expected) from None
        seconds[row["id"]] = value
    return seconds
