"""The section `moments` and a split → its sentences with their moments, checked, and grouped as they are read together."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from pipeline_lib.annotations import datasets
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments import Moments
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.moments import own

_TOLERANCE = 1e-3  # seconds by which a rounded end may lie past the video's


def read(options: Moments, split: str, own_files: own.Files | None = None) -> list[Moment]:
    """The queries of a split, in the order of the dataset.

    Args:
        split: as the dataset calls it.
        own_files: what dataset `own` is read from.

    Raises:
        UserError: the files can't be read, or a query can't be used; says which and why.
    """
    if options.dataset == "own":
        if own_files is None:
            raise UserError(
                "dataset own is read from annotations.json and the captions; give --annotations and --captions"
            )
        kinds: Collection[str] = options.own_queries if split == options.splits.train else ["article"]
        found, place = own.read(own_files, split, kinds), str(own_files.annotations)
    else:
        folder = Path(options.annotations or "")
        found, place = datasets.read(Dataset(options.dataset), folder, split), f"{folder} ({split})"
    check(found, place)
    return found


def check(moments: Sequence[Moment], place: str) -> None:
    """Raise a UserError for numbers that stand twice, sentences without a word, and moments past the end of their video."""
    if not moments:
        raise UserError(f"{place} has no queries; give the annotations of a split that has some")
    number, times = Counter(one.query_id for one in moments).most_common(1)[0]
    if times > 1:
        videos = [one.video_id for one in moments if one.query_id == number]
        raise UserError(
            one_line(
                f"{place}: qid {number} stands there {times} times (videos {', '.join(videos[:3])}); give each its own"
            )
        )
    for one in moments:
        what = f"{place}: qid {one.query_id} of video {one.video_id}"
        if not any(char.isalnum() for char in one.sentence):
            raise UserError(one_line(f"{what} has no word in its sentence {one.sentence!r}; complete or remove it"))
        for start, end in one.windows:
            if start < 0:
                raise UserError(
                    one_line(f"{what}: its moment [{start:g}, {end:g}] starts before the video; correct it")
                )
            if start > end:
                raise UserError(one_line(f"{what}: its moment [{start:g}, {end:g}] ends before it starts; correct it"))
            if start > one.duration or end > one.duration + _TOLERANCE:
                raise UserError(
                    one_line(
                        f"{what}: its moment [{start:g}, {end:g}] lies past the end of the video ({one.duration:g} s); "
                        "correct the moment or the duration"
                    )
                )


def group_of(dataset: str) -> Callable[[Moment], str]:
    """What queries of one group have in common: the video; for QVHighlights the film that `<film>_<start>_<end>` is cut from."""
    if dataset == Dataset.QVHIGHLIGHTS:
        return lambda one: _piece(one)[0]
    return lambda one: one.video_id


def _piece(one: Moment) -> tuple[str, float]:
    """Film and start of a piece of QVHighlights."""
    try:
        film, start, end = one.video_id.rsplit("_", 2)
        seconds = float(start), float(end)
    except ValueError:
        seconds = (math.nan, math.nan)
    if not all(map(math.isfinite, seconds)):
        raise UserError(
            one_line(f"qid {one.query_id}: {one.video_id!r} is no piece of a film; expected <film>_<start>_<end>")
        )
    return film, seconds[0]


def time_of(dataset: str, clip_len: float) -> Callable[[Moment], float]:
    """What queries of a group are sorted by: the clip they start in, as upstream; those of the same keep their order."""
    if dataset == Dataset.QVHIGHLIGHTS:
        return lambda one: _piece(one)[1]
    if clip_len > 0:
        return lambda one: int(one.windows[0][0] / clip_len) if one.windows else 0
    return lambda one: one.windows[0][0] / one.duration if one.windows else 0.0


def groups(moments: Sequence[Moment], options: Moments) -> list[list[int]]:
    """Numbers of the queries of each video (or film), in order of time; videos as they first appear."""
    name, time = group_of(options.dataset), time_of(options.dataset, options.data.clip_len)
    found: dict[str, list[int]] = {}
    for number, one in enumerate(moments):
        found.setdefault(name(one), []).append(number)
    return [sorted(numbers, key=lambda number: time(moments[number])) for numbers in found.values()]
