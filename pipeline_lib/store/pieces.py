"""List of array files → their bytes in large buffers, read and checked by a thread that is ahead of who writes them."""

import os
import queue
import threading
from collections.abc import Generator, Iterable
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.store import arrays
from pipeline_lib.store.arrays import MEND

BUFFER = 2 << 20  # bytes; larger ones fall out of the processor's cache before they are written
BUFFERS = 4  # one being written, two waiting, one being filled


class Squeeze(StrEnum):
    """What happens to axes of length 1."""

    NONE = "none"  # nothing
    ROWS = "rows"  # dropped, but rows and columns remain: a video of one row stays (1, dim)
    ALL = "all"  # dropped, as MESM's npy2hdf5 does: a video of one row becomes (dim,)


class Entry(NamedTuple):
    """A video's array."""

    video_id: str
    path: str
    key: str | None = None  # of the array in an .npz
    squeeze: Squeeze = Squeeze.NONE


class Piece(NamedTuple):
    """Bytes of one array; a large one comes in several pieces, one after the other."""

    video_id: str
    dtype: np.dtype
    shape: tuple[int, ...]  # of the whole array
    first: bool
    content: memoryview


def squeezed(shape: tuple[int, ...], how: Squeeze) -> tuple[int, ...]:
    """The shape of an array after its axes of length 1 were dealt with; the numbers stay in the same order."""
    rest = tuple(n for n in shape if n != 1)
    if how is Squeeze.NONE or (how is Squeeze.ROWS and len(shape) <= 2):
        return shape
    if how is Squeeze.ROWS and len(rest) < 2:
        return (1, shape[-1]) if shape[-1] != 1 or not rest else (*rest, 1)
    return rest


class _Reader:
    """What the thread does.

    All arrays have to be alike, so the first one is remembered.
    """

    def __init__(self, entries: Iterable[Entry], free: "queue.Queue[memoryview | None]", filled: "queue.Queue") -> None:
        self._entries, self._free, self._filled = entries, free, filled
        self._like: tuple[str, np.dtype, tuple[int, ...], bool] | None = None
        self._pieces: list[Piece] = []
        self._at = 0

    def run(self) -> None:
        try:
            self._next_buffer()
            for entry in self._entries:
                with arrays.readable(entry.path):
                    if not self._whole(entry):
                        self._in_parts(entry)
            self._hand_over()
            self._filled.put(None)
        except _Stopped:
            pass
        except BaseException as error:
            self._filled.put(error)

    def _whole(self, entry: Entry) -> bool:
        """Read a plain .npy that fits into one buffer; False if it is something else."""
        if not entry.path.endswith(".npy"):
            return False
        for space in (self._buffer[self._at :], None):
            if space is None:  # not enough left in this buffer: try a whole one
                self._hand_over()
                self._next_buffer()
                space = self._buffer
            handle = os.open(entry.path, os.O_RDONLY)
            try:
                count = os.readv(handle, [space]) if space else 0
            finally:
                os.close(handle)
            if count < len(space):
                break
        else:
            return False
        found = arrays.header(space[:count])
        if found.fortran:
            return False
        shape = self._stored_shape(entry, found.dtype, found.shape)
        if count - found.length < found.nbytes:
            raise EOFError(f"{found.nbytes + found.length - count} bytes are missing at its end")
        self._add(entry, found.dtype, shape, True, space[found.length : found.length + found.nbytes])
        self._like_others(entry, found.dtype, found.shape)
        self._at += -(-count // 64) * 64  # numbers stay aligned
        return True

    def _in_parts(self, entry: Entry) -> None:
        with arrays.opened(entry.path, entry.key) as stream:
            shape = self._stored_shape(entry, stream.dtype, stream.shape)
            left, first = stream.nbytes, True
            while left:
                space = self._buffer[self._at : self._at + left]
                space = space[: len(space) - len(space) % stream.dtype.itemsize]
                if not space:
                    self._hand_over()
                    self._next_buffer()
                    continue
                stream.readinto(space)
                self._add(entry, stream.dtype, shape, first, space)
                left, first = left - len(space), False
                self._at += -(-len(space) // 64) * 64
            self._like_others(entry, stream.dtype, stream.shape)

    def _stored_shape(self, entry: Entry, dtype: np.dtype, shape: tuple[int, ...]) -> tuple[int, ...]:
        wrong = arrays.fault(dtype, shape, least=1 if entry.squeeze is Squeeze.ALL else 2)
        if wrong:
            flat = entry.squeeze is Squeeze.ROWS and len(shape) == 1 and not arrays.fault(dtype, shape, least=1)
            raise UserError(f"{entry.path} {wrong}; {MEND}{'; --squeeze all takes it as it is' if flat else ''}")
        return squeezed(shape, entry.squeeze)

    def _add(self, entry: Entry, dtype: np.dtype, shape: tuple[int, ...], first: bool, content: memoryview) -> None:
        if not arrays.finite(content, dtype):
            raise UserError(f"{entry.path} holds NaN or infinite numbers; {MEND}")
        self._pieces.append(Piece(entry.video_id, dtype, shape, first, content))

    def _like_others(self, entry: Entry, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        """Compare with the first array, by rows: with `all` a video of one row loses that axis, but is like the others."""
        how = entry.squeeze if entry.squeeze is Squeeze.NONE else Squeeze.ROWS
        whole = shape if len(shape) > 1 else (1, *shape)
        row = squeezed(whole, how)[1:]
        dropped = row != whole[1:]
        if self._like is None:
            self._like = entry.path, dtype, row, dropped
        path, other_dtype, other_row, other_dropped = self._like
        if (dtype, row) != (other_dtype, other_row):
            hint = "; --squeeze none keeps axes of length 1, which were dropped here"
            raise UserError(
                f"{entry.path} holds {dtype} rows of {row} but {path} holds {other_dtype} rows of {other_row}; "
                "correct the one that is wrong or take it out; if a stage made it, delete it and run its stage again"
                f"{hint if dropped or other_dropped else ''}"
            )

    def _hand_over(self) -> None:
        self._filled.put((self._buffer, self._pieces))
        self._pieces = []

    def _next_buffer(self) -> None:
        buffer = self._free.get()
        if buffer is None:
            raise _Stopped
        self._buffer, self._at = buffer, 0


class _Stopped(Exception):
    """Nobody wants what comes."""


def read(entries: Iterable[Entry]) -> Generator[list[Piece]]:
    """Pieces of all arrays in the order of `entries`; those of a list are valid until the next list is asked for.

    Raises:
        UserError: an array is damaged, pickled, empty, not finite or unlike the others.
    """
    free: queue.Queue[memoryview | None] = queue.Queue()
    filled: queue.Queue = queue.Queue()
    for _ in range(BUFFERS):
        free.put(memoryview(bytearray(BUFFER)))
    thread = threading.Thread(target=_Reader(entries, free, filled).run, name="read ahead", daemon=True)
    thread.start()
    try:
        while (item := filled.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            buffer, pieces = item
            yield pieces
            free.put(buffer)
    finally:
        free.put(None)
        thread.join()
