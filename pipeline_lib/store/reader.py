"""HDF5 of a merged stage → arrays of one video, or of some of its rows, without reading the rest.

    features: root attributes spec, step, start; one dataset (rows, …) per video id at the root, or the flat layout
    objects:  the same attributes; a group per video id with the datasets of PARTS

Row i of a video stands for the time `start + step · i` in seconds. Layouts: layouts.py.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import h5py
import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.store.merged_file import MergedFile

#: Datasets of a video's group: (n_frames, K, 2048), (n_frames, K, 4) x1 y1 x2 y2 in pixels, (n_frames, K) twice.
PARTS = ("features", "boxes", "scores", "labels")


class _Place(NamedTuple):
    """Where the rows of a video stand in the file."""

    dtype: np.dtype
    shape: tuple[int, ...]  # (rows, …)
    address: int | None  # None if they are not in one piece; a merge never writes them so
    width: int  # bytes of a row


class FeatureFile(MergedFile):
    """Features of many videos, one array (rows, …) each; in either layout.

    Rows are read straight from the file: asking the HDF5 library takes ten times as long as copying a video's features.
    It only says where they are, once for each video. Fit for workers of a DataLoader, forked or spawned.
    """

    _member = h5py.Dataset
    _content = "one array of features"

    def _forget(self) -> None:
        super()._forget()
        file = self._file
        self._handle: int = file.id.get_vfd_handle()
        self._places: dict[str, _Place] = {}
        self._flat = self.attributes.get("layout") == "flat"
        if not self._flat:
            return
        missing = {"ids", "features", "offsets"} - set(file)
        if missing and len(file) > 1:  # without any video there are only offsets
            raise UserError(f"{self.path} has no {', '.join(sorted(missing))}; merge it again")
        if missing:
            self.ids = []
            return
        self.ids = [name.decode() for name in file["ids"][()].tolist()]
        offsets = file["offsets"][()].tolist()
        whole = _place(file["features"], file)
        if len(offsets) != len(self.ids) + 1 or whole.address is None or offsets[-1] != whole.shape[0]:
            raise UserError(f"{self.path}: ids, offsets and features do not fit together; merge it again")
        for name, first, last in zip(self.ids, offsets[:-1], offsets[1:], strict=True):
            shape = (last - first, *whole.shape[1:])
            self._places[name] = _Place(whole.dtype, shape, whole.address + first * whole.width, whole.width)

    def _place(self, video_id: str) -> _Place:
        if self._opened is None or self._opened[0] != os.getpid():
            self._file  # noqa: B018 (opens it, in a new process)
        place = self._places.get(video_id)
        if place is None:
            place = self._places[video_id] = _place(self._at(video_id), self._file)
        return place

    def kind(self, video_id: str) -> tuple[np.dtype, tuple[int, ...]]:
        """Dtype and shape (rows, …) of a video's features.

        Raises:
            UserError: no such video in this file.
        """
        return self._place(video_id)[:2]

    def rows(self, video_id: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Rows `start` to `stop` (exclusive) of a video, all by default; bounds work as in a Python slice.

        Returns:
            (stop - start, …) in the stored dtype, an array of its own.

        Raises:
            UserError: no such video in this file, or the file is shorter than it says.
        """
        place = self._place(video_id)
        first, last = 0, place.shape[0]
        if start is not None or stop is not None:
            first, last, _ = slice(start, stop).indices(last)
            last = max(first, last)
        if place.address is None:
            return np.asarray(self._at(video_id)[first:last])
        rows = np.empty((last - first, *place.shape[1:]), place.dtype)
        size, at = (last - first) * place.width, place.address + first * place.width
        done = os.preadv(self._handle, [rows.data], at) if size else 0
        while done < size:  # more than 2 GiB
            count = os.preadv(self._handle, [rows.reshape(-1).view(np.uint8).data[done:]], at + done)
            if not count:
                raise UserError(f"{self.path} ends inside video {video_id}; merge it again")
            done += count
        return rows


class ObjectFile(MergedFile):
    """Detected objects of many videos."""

    _member = h5py.Group
    _content = "a group of object features"

    def read(self, video_id: str, parts: Sequence[str] = PARTS) -> dict[str, np.ndarray]:
        """A video's objects by the names of PARTS, or of some of them; row i of each array is frame i.

        Raises:
            UserError: no such video in this file, or a part of it is missing.
        """
        group: Mapping[str, h5py.Dataset] = self._at(video_id)
        missing = [part for part in parts if part not in group]
        if missing:
            raise UserError(f"{self.path}: video {video_id} has no {', '.join(missing)}; merge the stage again")
        return {part: np.asarray(group[part][()]) for part in parts}


def _place(dataset: h5py.Dataset, file: h5py.File) -> _Place:
    shape = dataset.shape if dataset.ndim > 1 else (1, *dataset.shape)  # (dim,), as npy2hdf5 leaves a video of one row
    own = dataset.file.filename == file.filename  # not behind a link to another one
    plain = own and dataset.chunks is None and dataset.id.get_create_plist().get_external_count() == 0
    width = dataset.dtype.itemsize * int(np.prod(shape[1:]))
    return _Place(dataset.dtype, shape, dataset.id.get_offset() if plain else None, width)
