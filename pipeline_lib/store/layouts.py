"""Checked arrays of videos → an HDF5 file in the layout `videos` (a dataset per id) or `flat` (all rows in one).

videos   attributes spec, step, start [, sources, code]; a dataset (rows, …) per video id at the root
flat     the same attributes and layout = "flat"; features (all rows, …), offsets (n + 1,) int64, ids (n,) UTF-8:
         rows offsets[i] to offsets[i + 1] are those of video ids[i]
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import h5py
import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track
from pipeline_lib.store.hdf5_bytes import Buffer, Hdf5Writer, Sink
from pipeline_lib.store.pieces import Piece

Attributes = dict[str, str | float]
_MOST_BUFFERS = 1000  # in one call of the system, which takes 1024


class Layout(StrEnum):
    VIDEOS = "videos"
    FLAT = "flat"


class FileSink:
    """A file being written; a context manager."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        for first in range(0, len(buffers), _MOST_BUFFERS):
            some = buffers[first : first + _MOST_BUFFERS]
            size = sum(map(len, some))
            done = os.pwritev(self._handle, some, offset)
            if done < size:  # a signal, 2 GiB at once, or a disk that is nearly full: the next call tells
                rest = memoryview(b"".join(some))[done:]
                while rest:
                    rest = rest[os.pwrite(self._handle, rest, offset + size - len(rest)) :]
            offset += size

    def __enter__(self) -> "FileSink":
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._handle)


class Different(Exception):
    """What would be written is not what the file holds."""


class ComparingSink:
    """A file that is compared with what would be written; the first difference raises `Different`."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by __exit__)
        self.size = os.fstat(self._file.fileno()).st_size

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        for buffer in buffers:
            if os.pread(self._file.fileno(), len(buffer), offset) != buffer:
                raise Different
            offset += len(buffer)

    def __enter__(self) -> "ComparingSink":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def write(sink: Sink, batches: Iterable[list[Piece]], attributes: Attributes, layout: Layout, total: int) -> int:
    """Write a whole file.

    Args:
        sink: where to.
        batches: as `pieces.read` yields them, videos sorted by the UTF-8 bytes of their ids.
        attributes: of the root.
        layout: of the file.
        total: number of videos, for the progress.

    Returns:
        Length of the file in bytes.

    Raises:
        UserError: whatever reading the pieces raises.
    """
    if layout is Layout.FLAT:
        return _flat(sink, batches, attributes, total)
    writer = Hdf5Writer(sink, attributes)
    for piece in _each(batches, writer, total):
        if piece.first:
            writer.begin(piece.video_id, piece.dtype, piece.shape)
        writer.data(piece.content)
    return writer.close()


def _flat(sink: Sink, batches: Iterable[list[Piece]], attributes: Attributes, total: int) -> int:
    writer = Hdf5Writer(sink, {**attributes, "layout": Layout.FLAT.value})
    ids: list[bytes] = []
    offsets = [0]
    rest: tuple[int, np.dtype, tuple[int, ...]] | None = None  # where the header belongs, kind and shape of a row
    for piece in _each(batches, writer, total):
        shape = piece.shape if len(piece.shape) > 1 else (1, *piece.shape)
        if rest is None:
            rest = writer.begin_later("features", piece.dtype, shape), piece.dtype, shape[1:]
        if piece.first:
            ids.append(piece.video_id.encode())
            offsets.append(offsets[-1] + shape[0])
        writer.data(piece.content)
    if rest is not None:
        writer.finish_header(rest[0], rest[1], (offsets[-1], *rest[2]))
        names = np.array(ids)
        _put(writer, "ids", names, h5py.string_dtype("utf-8", names.itemsize))
    _put(writer, "offsets", np.array(offsets, "<i8"))
    return writer.close()


def _put(writer: Hdf5Writer, name: str, array: np.ndarray, dtype: np.dtype | None = None) -> None:
    writer.begin(name, dtype or array.dtype, array.shape)
    writer.data(array.tobytes())
    writer.flush()


def _each(batches: Iterable[list[Piece]], writer: Hdf5Writer, total: int) -> Iterator[Piece]:
    """The pieces one by one; what was written of a batch is in the sink before its buffer is used again."""

    ticks = track(range(total), "merge", total=total)
    for batch in batches:
        for piece in batch:
            if piece.first:
                next(ticks, None)
            yield piece
        writer.flush()
    next(ticks, None)  # ends the progress bar


def require_names(ids: Iterable[str], where: object) -> None:
    """Refuse ids that HDF5 would take for paths, or that aren't text.

    Raises:
        UserError: names the first of them.
    """
    for video_id in ids:
        if video_id in ("", ".") or "/" in video_id or "\0" in video_id:
            raise UserError(f"{where}: {video_id!r} can't be the name of a dataset; rename it")
        try:
            video_id.encode()
        except UnicodeEncodeError:
            raise UserError(f"{where}: the file name {video_id!r} is not UTF-8; rename it") from None
