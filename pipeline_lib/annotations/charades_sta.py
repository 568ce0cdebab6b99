"""Charades-STA: `VIDEO start end##sentence` lines, and durations from Charades' CSV files → moments.

Gao et al., "TALL: Temporal activity localization via language query" (ICCV 2017). Sentences that start after their
video has ended are left out, three of the 12 408 of the training split. Queries are numbered by their line, from 0.
"""

import csv
import io
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline_lib.annotations import charades, reading
from pipeline_lib.annotations.moment import Moment

log = logging.getLogger(__name__)

SPLITS = {"train": "charades_sta_train.txt", "test": "charades_sta_test.txt"}
DURATIONS = {"train": "Charades_v1_train.csv", "test": "Charades_v1_test.csv"}
_EXPECTED = "VIDEO start end##sentence, with start and end in seconds"


def read(folder: Path, split: str) -> list[Moment]:
    """The sentences of a split, in the order of the file."""
    return read_file(folder / SPLITS[split], folder / DURATIONS[split], split)


def read_file(path: Path, durations_csv: Path | None, split: str) -> list[Moment]:
    """The same of files of any name.

    Without durations a video lasts until the last of its sentences ends: no window is cut, no sentence left out.
    """
    lines = list(_lines(path))
    durations: Mapping[str, float]
    if durations_csv is None:
        durations = _last_ends(lines)
        log.warning("%s: without the videos' durations, windows that go beyond their video stay as they are", path)
    else:
        durations = _durations(durations_csv)
    moments, left_out = [], 0
    for number, video_id, start, end, sentence in lines:
        if video_id not in durations:
            wanted = f"a video id of {durations_csv.name if durations_csv else path.name}"
            raise reading.wrong(path, number, f"{video_id} has no duration", wanted)
        window = charades.window(start, end, durations[video_id])
        if window is None:
            left_out += 1
            continue
        moments.append(Moment(video_id, number - 1, sentence, (window,), durations[video_id], split))
    charades.report(path, len(moments), left_out)
    return moments


def durations_beside(path: Path) -> Path | None:
    """The CSV of durations in the folder of a file of sentences, as Charades names it; None if there is none."""
    split = next((split for split in SPLITS if split in path.stem), None)
    beside = path.with_name(DURATIONS[split]) if split else None
    return beside if beside is not None and beside.exists() else None


def _lines(path: Path) -> Iterator[tuple[int, str, float, float, str]]:
    for number, line in reading.lines(path):
        place, marks, sentence = line.partition("##")
        video_id, start, end = _place(place, path, number)
        if not marks or not sentence.strip():
            raise reading.wrong(path, number, "no sentence", _EXPECTED)
        yield number, video_id, start, end, sentence.rstrip()


def _last_ends(lines: list[tuple[int, str, float, float, str]]) -> dict[str, float]:
    ends: dict[str, float] = {}
    for _, video_id, start, end, _ in lines:
        ends[video_id] = max(ends.get(video_id, 0.0), start, end)
    return ends


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
