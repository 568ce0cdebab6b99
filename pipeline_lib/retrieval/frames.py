"""Feature files → the frames of a video as HGR reads them: at most `max_frames` rows, evenly spaced (specs: ranp §3)."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from pipeline_lib.config.retrieval import RetrievalData
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import feature_sources
from pipeline_lib.retrieval.corpus import Video


class Moments(NamedTuple):
    """Mean and deviation of each column, (dim,) float32, by which frames are standardised."""

    mean: np.ndarray
    std: np.ndarray


class Frames:
    """Frames of videos out of one or several files, side by side; a context manager.

    Args:
        names: of the videos, in the order of .npy files.

    Raises:
        UserError: a file is missing or of another kind, or an array and the names don't agree.
    """

    def __init__(self, paths: Sequence[Path], options: RetrievalData, names: Sequence[str] | None = None) -> None:
        if not paths:
            raise UserError("give at least one feature file")
        self._stack = ExitStack()
        self.max_frames = options.max_frames
        self.moments: Moments | None = None  # given, frames are standardised by them
        self.sources = [feature_sources.open_source(path, names, self._stack) for path in paths]
        self._first: tuple[str, int] | None = None  # video that was read, and its number of columns; all have as many
        self._kept = lru_cache(options.cache_videos)(self._read)

    def why_not(self, video: Video) -> str | None:
        """Why a video can't be used, or None."""
        for source in self.sources:
            name = source.name(video.feature)
            if name is None:
                return f"no features in {source.path.name}"
            if source.length(name) < 1:
                return f"0 rows of features in {source.path.name}"
        return None

    def __getitem__(self, video: Video) -> np.ndarray:
        """(frames, dim) float32, 1 ≤ frames ≤ max_frames."""
        rows = self._kept(video)
        return rows if self.moments is None else (rows - self.moments.mean) / self.moments.std

    def _read(self, video: Video) -> np.ndarray:
        parts = [source.rows(video) for source in self.sources]
        shortest = min(map(len, parts))
        same = [
            part if len(part) == shortest else part[np.linspace(0, len(part) - 1, shortest, dtype=int)]
            for part in parts
        ]
        rows = np.concatenate(same, axis=1) if len(same) > 1 else same[0]
        if len(rows) > self.max_frames:
            rows = rows[np.round(np.linspace(0, len(rows) - 1, self.max_frames)).astype(int)]
        with np.errstate(over="ignore"):  # of float64: infinite then
            rows = np.ascontiguousarray(rows, np.float32)
        if not np.isfinite(rows).all():
            raise UserError(f"the features of {video.video_id} hold NaN or infinite numbers; make them again")
        first, columns = self._first = self._first or (video.video_id, rows.shape[1])
        if rows.shape[1] != columns:
            raise UserError(
                f"the features of {video.video_id} have {rows.shape[1]} columns, those of {first} {columns}; give one kind"
            )
        return rows

    def measure(self, videos: Sequence[Video]) -> Moments:
        """Moments of all frames of some videos; a column that doesn't vary has deviation 1."""
        total = squares = np.zeros(1)
        count = 0
        for video in videos:
            rows = self._kept(video).astype(np.float64)
            total, squares, count = total + rows.sum(0), squares + np.square(rows).sum(0), count + len(rows)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return Moments(mean.astype(np.float32), np.where(std > 1e-6, std, 1).astype(np.float32))

    @property
    def specs(self) -> dict[str, str]:
        """The spec of each file that has one, by name."""
        return {source.path.name: source.spec for source in self.sources if source.spec}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
