"""A query and the rows of its video → what the network should find there (specs: mesm §5)."""

from typing import NamedTuple

import numpy as np

from pipeline_lib.annotations.moment import Moment, Window
from pipeline_lib.config.moments import WHOLE, MomentsData
from pipeline_lib.moments.videos import Video, boundaries


class Target(NamedTuple):
    """Of one query; L: rows of its video."""

    moments: np.ndarray  # (M, 2) float32, fractions of the video
    inside: np.ndarray  # (L,) bool
    saliency: np.ndarray  # (L,) float32
    positive: np.ndarray  # (k,) int64
    negative: np.ndarray  # (k,) int64


def covered(window: Window, duration: float, video: Video, options: MomentsData) -> tuple[int, int]:
    """First and last row that a moment touches; one past the end of the rows touches the last."""
    rows = len(video.rows)
    if options.clip_len == WHOLE:
        start, end = (int(time / duration * rows) for time in window)
    else:
        start, end = (int(time / options.clip_len) for time in window)
        if rows < video.stored and options.pooled_rows == "scaled":
            places = np.minimum([start, end], video.stored - 1)
            start, end = (np.searchsorted(boundaries(video.stored, rows), places, "right") - 1).tolist()
    end = min(end, rows - 1)
    return min(start, end), end


def of_windows(moment: Moment, video: Video, options: MomentsData, rng: np.random.Generator) -> Target:
    """Of a query with moments alone: their rows are salient, and what is drawn lies inside and outside of them."""
    rows = len(video.rows)
    windows = drawn(moment.windows, options.max_windows, rng)
    inside = np.zeros(rows, bool)
    for window in windows:
        first, last = covered(window, moment.duration, video, options)
        inside[first : last + 1] = True
    within, without = np.flatnonzero(inside), np.flatnonzero(~inside)
    return Target(
        np.array(windows, np.float32) / np.float32(moment.duration),
        inside,
        inside.astype(np.float32),
        choose(within, options.contra_samples, rng),
        choose(without if len(without) else within, options.contra_samples, rng),
    )


def of_scores(moment: Moment, video: Video, options: MomentsData, rng: np.random.Generator) -> Target:
    """Of a query with scored clips (QVHighlights): the sum of the scores says how salient they are.

    The most salient clip and any relevant one are positive, the least salient relevant one and any other negative; where all
    clips are relevant, the first of each pair stands for both.
    """
    rows = len(video.rows)
    scores = np.array(moment.saliency).sum(1)
    order = np.argsort(scores)
    clips = np.array(moment.clips)
    saliency = np.zeros(rows, np.float32)
    there = clips < rows
    saliency[clips[there]] = scores[there]
    most, least = min(clips[order[-1]], rows - 1), min(clips[order[0]], rows - 1)
    others = np.setdiff1d(np.arange(rows), clips)
    if len(others):
        pair = most, min(rng.choice(clips), rows - 1), least, rng.choice(others)
    else:
        pair = most, most, least, least
    windows = np.array(drawn(moment.windows, options.max_windows, rng), np.float32)
    length = rows * options.clip_len if options.clip_len > 0 else moment.duration
    return Target(
        windows / np.float32(length),
        saliency != 0,
        saliency,
        np.array(pair[:2], np.int64),
        np.array(pair[2:], np.int64),
    )


def drawn(windows: tuple[Window, ...], most: int, rng: np.random.Generator) -> list[Window]:
    """All moments of a query, or `most` of them in random order."""
    if len(windows) <= most:
        return list(windows)
    return [windows[place] for place in rng.permutation(len(windows))[:most].tolist()]


def choose(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of some rows, each once where there are enough."""
    return rng.choice(rows, count, replace=len(rows) < count).astype(np.int64)


def masked(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(L,) bool: a third of the words, at least one, drawn by their weights; none of a single word."""
    found = np.zeros(len(weights), bool)
    if len(weights) > 1:
        found[rng.choice(len(weights), max(len(weights) // 3, 1), replace=False, p=weights)] = True
    return found


def others(groups: list[int], rng: np.random.Generator) -> np.ndarray:
    """(n,) int64: for each query of groups of these sizes one of another group; -1 where there is none."""
    total = sum(groups)
    found = np.full(total, -1, np.int64)
    start = 0
    for size in groups:
        if total > size:
            chosen = rng.integers(0, total - size, size)
            found[start : start + size] = chosen + size * (chosen >= start)
        start += size
    return found
