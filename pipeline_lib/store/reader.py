"""HDF5 of a merged stage → arrays of one video, or of some of its rows, without reading the rest.

    features: root attributes spec, step, start; one dataset (rows, …) per video id at the root
    objects:  the same attributes; a group per video id with the datasets of PARTS

Row i of a video stands for the time `start + step · i` in seconds.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import h5py
import numpy as np

from pipeline_lib.core.errors import UserError

#: Datasets of a video's group: (n_frames, K, 2048), (n_frames, K, 4) x1 y1 x2 y2 in pixels, (n_frames, K) twice.
PARTS = ("features", "boxes", "scores", "labels")
ATTRIBUTES = ("spec", "step", "start")


class _MergedFile:
    """What both kinds of file share. Open while the object lives or, better, inside a `with`.

    Raises:
        UserError: the file is missing, not HDF5, or not written by `pipeline_lib.store.merge`.
    """

    _member: ClassVar[type]  # what stands at the root under a video's id
    _content: ClassVar[str]

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        missing = [name for name in ATTRIBUTES if name not in self._file.attrs]
        if missing:
            raise UserError(
                f"{self.path} has no attribute {', '.join(missing)}: not a file of this pipeline; "
                "make it with python -m pipeline_lib.store.merge"
            )
        first = next(iter(self._file), None)
        if first is not None and self._file.get(first, getclass=True) is not self._member:
            raise UserError(f"{self.path} does not hold {self._content} per video id; give the file of the right stage")

    @cached_property
    def ids(self) -> list[str]:
        """Video ids, sorted."""
        return sorted(self._file)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.ids)  # HDF5 itself would take "a/b" or "." for a path

    @property
    def spec(self) -> str:
        """JSON text of what the features are (core.spec)."""
        return str(self._file.attrs["spec"])

    @property
    def step(self) -> float:
        """Seconds from one row to the next."""
        return float(self._file.attrs["step"])

    @property
    def start(self) -> float:
        """Seconds into the video that row 0 stands for."""
        return float(self._file.attrs["start"])

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._known

    def __len__(self) -> int:
        return len(self._known)

    def _at(self, video_id: str) -> Any:
        if video_id not in self._known:
            raise UserError(f"{self.path} has no video {video_id}; the ledger of its stage says why")
        return self._file[video_id]

    def close(self) -> None:
        """Close the file; reading after that is an error."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FeatureFile(_MergedFile):
    """Features of many videos, one array (rows, …) each."""

    _member = h5py.Dataset
    _content = "one array of features"

    def rows(self, video_id: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Rows `start` to `stop` (exclusive) of a video, all by default; bounds work as in a Python slice.

        Returns:
            (stop - start, …) in the stored dtype.

        Raises:
            UserError: no such video in this file.
        """
        dataset = self._at(video_id)
        first, last, _ = slice(start, stop).indices(len(dataset))
        return np.asarray(dataset[first : max(first, last)])


class ObjectFile(_MergedFile):
    """Detected objects of many videos."""

    _member = h5py.Group
    _content = "a group of object features"

    def read(self, video_id: str) -> dict[str, np.ndarray]:
        """A video's objects by the names of PARTS; row i of each array is frame i.

        Raises:
            UserError: no such video in this file, or a part of it is missing.
        """
        group: Mapping[str, h5py.Dataset] = self._at(video_id)
        missing = [part for part in PARTS if part not in group]
        if missing:
            raise UserError(f"{self.path}: video {video_id} has no {', '.join(missing)}; merge the stage again")
        return {part: np.asarray(group[part][()]) for part in PARTS}


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the stage that makes it, or correct the path")
    try:
        # No lock: a merged file never changes after its rename, and network file systems often have no locks.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise UserError(f"{path} is not a readable HDF5 file ({error}); merge its stage again") from None
