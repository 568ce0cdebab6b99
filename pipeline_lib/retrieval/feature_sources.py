"""Feature files of three kinds → the rows of one video.

This pipeline's store; anyone's HDF5 with a dataset (frames, dim) per video, as HGR's `ordered_feature/SA`; HGR's arrays of all
videos of a split, `ordered_feature/MP` (.npy of (videos, dim) or (videos, frames, dim)) in the order of a list of names.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np

from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval import matrices
from pipeline_lib.retrieval.corpus import Video
from pipeline_lib.store.features import Features
from pipeline_lib.store.merged_file import attributes_of


class Source(Protocol):
    """A feature file."""

    path: Path

    @property
    def spec(self) -> str:
        """What the features are; "" where the file doesn't say."""

    def name(self, feature: str) -> str | None:
        """What the file calls a video; None if it has none."""

    def length(self, name: str) -> int:
        """Number of rows."""

    def rows(self, video: Video) -> np.ndarray:
        """(frames, dim) of a video."""


def open_source(path: Path, names: Sequence[str] | None, stack: ExitStack) -> Source:
    """The reader of a file; `stack` closes it.

    Args:
        names: of the videos, in the order of an .npy file.

    Raises:
        UserError: the file is missing or of another kind, or an array and the names don't agree.
    """
    if path.suffix == ".npy":
        return Array(path, names)
    if not path.is_file():
        raise UserError(f"{path} does not exist; make the features, or correct the path")
    if attributes_of(path) is not None:
        return StoreFile(path, stack.enter_context(Features([path])))
    try:
        return ForeignFile(path, stack.enter_context(h5py.File(path, "r", locking=False)))
    except OSError as error:
        raise UserError(one_line(f"{path} can't be read as HDF5: {error}; give .hdf5 or .npy features")) from None


def spellings(name: str) -> tuple[str, ...]:
    """Ways in which feature files call a video: HGR replaces slashes, MSR-VTT's lists add `.mp4`."""
    plain = name.replace("/", "_")
    return tuple(dict.fromkeys((name, plain, f"{plain}.mp4")))


class StoreFile:
    """A file of this pipeline's store, whose rows have times."""

    def __init__(self, path: Path, features: Features) -> None:
        self.path, self._features = path, features

    @property
    def spec(self) -> str:
        """What the features are."""
        return str(self._features.files[0].attributes.get("spec", ""))

    def name(self, feature: str) -> str | None:
        """What the file calls a video."""
        return next((one for one in spellings(feature) if one in self._features), None)

    def length(self, name: str) -> int:
        """Number of rows."""
        return self._features.length(name)

    def rows(self, video: Video) -> np.ndarray:
        """(frames, dim) of a video."""
        name = self.name(video.feature)
        if name is None:
            raise UserError(f"{self.path} has no features of {video.feature}; merge the stage again")
        if video.start is None or video.end is None:
            start, stop = None, None
        else:
            start, stop = self._span(video.start, video.end, self.length(name))
        return _frames(self._features.rows(name, start, stop), self.path, name)

    def _span(self, begin: float, end: float, count: int) -> tuple[int, int]:
        """Rows within the clip (of windows: whose middle is), or else the one nearest to the clip's middle."""
        file = self._features.files[0]
        first, last = ((time - file.start) / file.step - 0.5 * file.windows for time in (begin, end))
        start, stop = max(0, int(np.ceil(first))), min(count, int(np.ceil(last)))
        if start < stop:
            return start, stop
        nearest = min(max(round((first + last) / 2), 0), count - 1)
        return nearest, nearest + 1


class ForeignFile:
    """Anyone's HDF5 with a dataset (frames, dim) per video, as HGR's."""

    spec = ""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path, self._file = path, file

    def _dataset(self, name: str) -> h5py.Dataset:
        """An array that lies in this file, whole; nothing else is read, whatever the file points to."""
        found = None if isinstance(self._file.get(name, getlink=True), h5py.ExternalLink) else self._file.get(name)
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual or not found.shape:
            raise UserError(f"{self.path}: {name} is no array of its own; give features of frames")
        return found

    def name(self, feature: str) -> str | None:
        """What the file calls a video."""
        return next((one for one in spellings(feature) if one in self._file), None)

    def length(self, name: str) -> int:
        """Number of rows."""
        shape = self._dataset(name).shape
        return 1 if len(shape) == 1 else int(shape[-2])

    def rows(self, video: Video) -> np.ndarray:
        """(frames, dim) of a video."""
        name = self.name(video.feature)
        if name is None:
            raise UserError(f"{self.path} has no features of {video.feature}")
        if video.start is not None:
            raise UserError(
                f"{self.path} doesn't say which seconds its rows are, so no clip can be cut; merge them with "
                "pipeline_lib.store.merge"
            )
        return _frames(self._dataset(name)[()], self.path, name)


def _frames(rows: np.ndarray, path: Path, name: str) -> np.ndarray:
    """(frames, dim), of an array that may have an axis more (TBN's of EPIC-Kitchens-100) or less."""
    rows = rows[None] if rows.ndim == 1 else rows[0] if rows.ndim == 3 and len(rows) == 1 else rows
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or not rows.shape[1]:
        raise UserError(f"{path}: {name} is {rows.shape} of {rows.dtype}, not (frames, dim); give features of frames")
    return rows


class Array:
    """HGR's array of all videos of a split."""

    spec = ""

    def __init__(self, path: Path, names: Sequence[str] | None) -> None:
        self.path, self._values = path, matrices.load_npy(path)
        if names is None:
            raise UserError(
                f"{path} doesn't say which row is which video; give the list of names of its split (videos)"
            )
        if self._values.ndim not in (2, 3) or len(self._values) != len(names):
            raise UserError(f"{path} is {self._values.shape} for {len(names)} names; give the list of the same split")
        self._places = {name: row for row, name in enumerate(names)}

    def name(self, feature: str) -> str | None:
        """What the file calls a video."""
        return next((one for one in spellings(feature) if one in self._places), None)

    def length(self, name: str) -> int:
        """Number of rows."""
        return 1 if self._values.ndim == 2 else self._values.shape[1]

    def rows(self, video: Video) -> np.ndarray:
        """(frames, dim) of a video."""
        name = self.name(video.feature)
        if name is None:
            raise UserError(f"{self.path} has no features of {video.feature}; give the list of names of its split")
        found = np.asarray(self._values[self._places[name]], np.float32)
        return found if found.ndim == 2 else found[None]
