"""HDF5 files of features → the rows of a video, one per clip of `clip_len` seconds.

Anyone's file has a dataset (rows, dim) per video, whose rows are taken for clips as they are. Those of this pipeline say which
seconds their rows are, and are put on the clips: rows of single frames stand for the clips around them, rows of windows
(S3D, ResNeXt) for what they cover; of several rows in a clip the mean is taken.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np

from pipeline_lib.config.moments import WHOLE
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.store.merged_file import attributes_of
from pipeline_lib.store.reader import FeatureFile


class Source(Protocol):
    """A feature file.

    Attributes:
        spec: what the features are; "" where the file doesn't say.
    """

    path: Path
    spec: str

    def __contains__(self, name: object) -> bool: ...

    def clips(self, name: str) -> float:
        """How many clips a video has in it; a fraction where rows have times."""

    def range(self, name: str) -> tuple[float, float]:
        """How many it may have at least and at most, as far as its rows tell."""

    def rows(self, name: str, count: int | None = None) -> np.ndarray:
        """(clips, dim), as stored; `count` of them, of a file whose rows have times."""


def open_source(path: Path, clip_len: float, stack: ExitStack) -> Source:
    """The reader of a file; `stack` closes it.

    Raises:
        UserError: the file is missing or no HDF5.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; make the features, or correct the path")
    if attributes_of(path) is not None:
        file = stack.enter_context(FeatureFile(path))
        return Plain(path, file) if clip_len == WHOLE else Timed(path, file, clip_len)
    try:
        return Plain(path, stack.enter_context(h5py.File(path, "r", locking=False)))
    except OSError as error:
        raise UserError(one_line(f"{path} can't be read as HDF5: {error}; give .hdf5 features")) from None


class Plain:
    """A file whose rows are clips."""

    def __init__(self, path: Path, file: FeatureFile | h5py.File) -> None:
        self.path, self._file = path, file
        self.spec = file.spec if isinstance(file, FeatureFile) else ""

    def __contains__(self, name: object) -> bool:
        return name in self._file

    def clips(self, name: str) -> float:
        """Number of rows."""
        if isinstance(self._file, FeatureFile):
            return self._file.kind(name)[1][0]
        found = self._file[name]
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual or found.ndim not in (1, 2):
            raise UserError(f"{self.path}: {name} is no array (rows, dim) of its own; give features of clips")
        return 1 if found.ndim == 1 else found.shape[0]

    def range(self, name: str) -> tuple[float, float]:
        """Exactly its rows."""
        return self.clips(name), self.clips(name)

    def rows(self, name: str, count: int | None = None) -> np.ndarray:
        """All rows; a single one that npy2hdf5 squeezed is one row."""
        self.clips(name)
        stored = self._file.rows(name) if isinstance(self._file, FeatureFile) else self._file[name][()]
        return np.atleast_2d(stored)


class Timed:
    """A file of this pipeline, whose rows have times."""

    def __init__(self, path: Path, file: FeatureFile, clip_len: float) -> None:
        self.path, self._file, self._clip_len = path, file, clip_len
        self.spec = file.spec
        self._windows = file.windows

    def __contains__(self, name: object) -> bool:
        return name in self._file

    def clips(self, name: str) -> float:
        """Clips that its rows cover."""
        rows = self._file.kind(name)[1][0]
        return (self._file.start + self._file.step * rows) / self._clip_len

    def range(self, name: str) -> tuple[float, float]:
        """A row less, where the last one is of the video's last moment; a row more, where a window that isn't full is missing."""
        one = self._file.step / self._clip_len
        return self.clips(name) - one, self.clips(name) + one * self._windows

    def rows(self, name: str, count: int | None = None) -> np.ndarray:
        """The first `count` clips."""
        stored = np.atleast_2d(self._file.rows(name))
        count = max(1, round(self.clips(name))) if count is None else count
        middles = (np.arange(len(stored)) + 0.5 * self._windows) * self._file.step + self._file.start
        first, last = (np.searchsorted(middles, (np.arange(count) + k) * self._clip_len) for k in (0, 1))
        wanted = (np.arange(count) + 0.5) * self._clip_len
        nearest = np.abs(wanted[:, None] - middles[None]).argmin(1)
        return np.stack(
            [
                stored[a:b].mean(0, np.float32) if b > a else stored[n]
                for a, b, n in zip(first, last, nearest, strict=True)
            ]
        )
