"""Feature files → the rows of a video as the network reads them: side by side, of unit length, pooled (specs: mesm §5)."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from pipeline_lib.config.moments import MomentsData
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments.feature_files import Source, open_source

log = logging.getLogger(__name__)
_ROUNDING = 1e-6  # clips
_EPSILON = 1e-12  # least length that rows are divided by, as torch's normalize


class Video(NamedTuple):
    """A video's rows, (L, dim) float32, and how many there were before it was pooled."""

    rows: np.ndarray
    stored: int


class Scale(NamedTuple):
    """Mean and deviation of each column of a file, (dim,) float32, by which its rows are standardised."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> "Scale":
        """That of all rows of some arrays; a column that doesn't vary has deviation 1."""
        total = squares = np.zeros(1)
        count = 0
        for part in parts:
            rows = part.astype(np.float64)
            total, squares, count = total + rows.sum(0), squares + np.square(rows).sum(0), count + len(rows)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return cls(mean.astype(np.float32), np.where(std > 1e-6, std, 1).astype(np.float32))


class Videos:
    """Videos out of one or several files; a context manager.

    Args:
        cut: rows beyond max_video are cut off (QVHighlights); otherwise they are pooled.

    Raises:
        UserError: a file is missing or of another kind.
    """

    def __init__(self, paths: Sequence[Path], options: MomentsData, cut: bool = False) -> None:
        if not paths:
            raise UserError("give at least one feature file")
        self._stack = ExitStack()
        self.options, self._cut = options, cut
        self.sources: list[Source] = [open_source(path, options.clip_len, self._stack) for path in paths]
        self.scales: list[Scale] | None = None  # of each file; given, its rows are standardised
        self._kept = lru_cache(options.cache_videos)(self._read)

    @property
    def specs(self) -> dict[str, str]:
        """What the features of each file are, by its name, where it says so."""
        return {source.path.name: source.spec for source in self.sources if source.spec}

    def measure(self, names: Sequence[str]) -> list[Scale]:
        """Scales of the files over some videos."""
        return [self._scale(source, names) for source in self.sources]

    def _scale(self, source: Source, names: Sequence[str]) -> Scale:
        widths: dict[int, str] = {}  # and the first video that has them

        def parts() -> Iterator[np.ndarray]:
            for name in names:
                rows = _read(source, name, self.clips(name))
                widths.setdefault(rows.shape[1], name)
                if len(widths) > 1:
                    said = ", ".join(f"{width} of {one}" for width, one in widths.items())
                    raise UserError(f"{source.path}: videos have features of different columns ({said}); give one kind")
                yield rows

        return Scale.of(parts())

    def __getitem__(self, name: str) -> Video:
        return self._kept(name)

    def clips(self, name: str) -> int:
        """Rows of a video before it is pooled: those of its shortest file."""
        return max(1, min(round(source.clips(name)) for source in self.sources))

    def dim(self, name: str) -> int:
        """Columns of a row, its two ends (TEF) included."""
        return self[name].rows.shape[1]

    def why_not(self, name: str) -> str | None:
        """Why a video can't be used, or None."""
        for source in self.sources:
            if name not in source:
                return f"not in {source.path.name}"
            if source.clips(name) <= 0:
                return f"no rows in {source.path.name}"
        return self.uneven(name) if self.options.uneven == "leave_out" else None

    def uneven(self, name: str) -> str | None:
        """By how much the files disagree about a video's length, if that is more than a clip."""
        ranges = [source.range(name) for source in self.sources]
        shortest = min(range(len(ranges)), key=lambda place: ranges[place][1])
        longest = max(range(len(ranges)), key=lambda place: ranges[place][0])
        if ranges[longest][0] - ranges[shortest][1] <= 1 + _ROUNDING:
            return None
        said = (f"{self.sources[i].clips(name):.4g} clips in {self.sources[i].path.name}" for i in (shortest, longest))
        return ", ".join(said)

    def _read(self, name: str) -> Video:
        count = self.clips(name)
        parts = []
        for place, source in enumerate(self.sources):
            rows = _read(source, name, count)
            if self.scales is not None:
                rows = (rows - self.scales[place].mean) / self.scales[place].std
            parts.append(unit(rows) if self.options.normalise_video else rows)
        rows = np.concatenate(parts, axis=1)
        rows = rows[: self.options.max_video] if self._cut else pooled(rows, self.options.max_video)
        return Video(with_ends(rows) if self.options.use_tef else rows, count)

    def usable(self, names: Iterable[str], what: str) -> set[str]:
        """Those of some videos that can be used; the others are named in the log, and so are those that had to be cut.

        Raises:
            UserError: there are none.
        """
        different = list(dict.fromkeys(names))
        reasons = {name: self.why_not(name) for name in different}
        left_out = [f"{name} ({reason})" for name, reason in reasons.items() if reason is not None]
        if len(left_out) == len(different):
            raise UserError(f"{what}: no video can be used, first {left_out[0]}; give features of these videos")
        if left_out:
            log.warning("%s: %d of %d videos are left out: %s", what, len(left_out), len(different), first(left_out))
        kept = {name for name, reason in reasons.items() if reason is None}
        if shortened := [f"{name} ({why})" for name in different if name in kept and (why := self.uneven(name))]:
            log.warning("%s: %d videos are cut to their shortest file: %s", what, len(shortened), first(shortened))
        return kept

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _read(source: Source, name: str, count: int) -> np.ndarray:
    """The first `count` rows of a video, float32."""
    rows = source.rows(name, count)[:count].astype(np.float32)
    if not np.isfinite(rows).all():
        raise UserError(f"{source.path}: the features of {name} hold NaN or infinite numbers; make them again")
    return rows


def first(names: Sequence[str]) -> str:
    """The first few, for a message."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows divided by their length; a row of zeros stays."""
    found: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _EPSILON)
    return found


def boundaries(count: int, most: int) -> np.ndarray:
    """(most + 1,) where each of `most` pooled rows begins, and the last ends: round(k / most · count), count - 1 at most."""
    # In float32, as upstream: it decides where the exact value lies half-way.
    exact = np.arange(most + 1, dtype=np.float32) / np.float32(most) * np.float32(count)
    found: np.ndarray = np.minimum(np.round(exact).astype(np.int64), count - 1)
    return found


def pooled(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` rows: means of those between two boundaries, or the one row where they coincide."""
    if len(rows) <= most:
        return rows
    ends = boundaries(len(rows), most)
    return np.stack([rows[a:b].mean(0) if a < b else rows[a] for a, b in itertools.pairwise(ends)])


def with_ends(rows: np.ndarray) -> np.ndarray:
    """Rows with their start and end behind them, fractions of the video (temporal endpoint features)."""
    starts = np.arange(len(rows), dtype=np.float32) / np.float32(len(rows))
    return np.concatenate([rows, np.stack([starts, starts + np.float32(1 / len(rows))], axis=1)], axis=1)
