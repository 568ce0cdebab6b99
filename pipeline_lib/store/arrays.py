""".npy file or .npz member → its header, then its numbers in C order, checked and without loading the whole array."""

import contextlib
import errno
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline_lib.core.errors import UserError, one_line

RERUN = "delete it and run its stage again"  # of what only a stage makes
MEND = f"correct it or take it out; if a stage made it, {RERUN}"
_MAGIC = b"\x93NUMPY\x01\x00"  # version 1.0, which np.save writes for plain numbers
_CHECKED = 1 << 16  # numbers that are looked at in one go: what is noted of them stays in the processor's cache
_HALF_EXPONENT = 0x7C00  # bits of a half-precision number that are all set in a NaN or infinity
_NOT_ITS_FAULT = {errno.ENOSPC, errno.EMFILE, errno.ENOMEM}  # of a file that couldn't be read


class Header(NamedTuple):
    """What stands in front of the numbers of an .npy."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    length: int  # of the header in bytes

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return self.dtype.itemsize * math.prod(self.shape)


class Stream(NamedTuple):
    """An array that is being read."""

    dtype: np.dtype
    shape: tuple[int, ...]
    readinto: Callable[[memoryview], None]  # fills a view, a whole number of numbers, with what comes next

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return self.dtype.itemsize * math.prod(self.shape)


_headers: dict[bytes, Header] = {}  # thousands of files share a few headers, and parsing one takes 30 µs


def header(content: memoryview) -> Header:
    """The header of an .npy whose first bytes these are.

    Raises:
        ValueError: it isn't one, or it holds objects, which could only be unpickled.
    """
    if content[:8] != _MAGIC:
        return _parse(bytes(content[:12288]))
    raw = bytes(content[: 10 + int.from_bytes(content[8:10], "little")])
    found = _headers.get(raw)
    if found is None:
        if len(_headers) > 10_000:
            _headers.clear()
        found = _headers[raw] = _parse(raw)
    return found


def _parse(raw: bytes) -> Header:
    stream = io.BytesIO(raw)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version {version} of the format, which only arrays of records use")
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which would have to be unpickled")
    return Header(dtype, shape, fortran and len(shape) > 1, stream.tell())


@contextlib.contextmanager
def opened(path: Path | str, key: str | None = None) -> Iterator[Stream]:
    """An .npy, or the array `key` of an .npz, for reading from its beginning to its end.

    Raises:
        UserError: the file is damaged, pickled or of another kind; also while it is being read.
    """
    with readable(path), contextlib.ExitStack() as stack:
        if str(path).endswith(".npz"):
            archive = stack.enter_context(zipfile.ZipFile(path))
            if f"{key}.npy" not in archive.namelist():
                names = ", ".join(sorted(name.removesuffix(".npy") for name in archive.namelist())[:8])
                raise UserError(f"{path} has no array {key!r} but {names or 'nothing'}; give its name with --key")
            file = stack.enter_context(archive.open(f"{key}.npy"))
            start = _parse_stream(file)
        else:
            file = stack.enter_context(open(path, "rb", buffering=0))
            start = _parse_stream(file)
        if start.fortran:  # stored column by column: the whole array is mapped, or for .npz loaded
            file.seek(0)
            whole = (
                np.lib.format.read_array(file, allow_pickle=False)
                if str(path).endswith(".npz")
                else np.load(path, mmap_mode="r", allow_pickle=False)
            )
            yield Stream(start.dtype, start.shape, _rowwise(whole))
        else:
            file.seek(start.length)
            yield Stream(start.dtype, start.shape, _exactly(file))


def _parse_stream(file: Any) -> Header:
    first = file.read(12288) or b""
    return header(memoryview(first))


def _exactly(file: Any) -> Callable[[memoryview], None]:
    def readinto(view: memoryview) -> None:
        while view:
            count = file.readinto(view)
            if not count:
                raise EOFError(f"{len(view)} bytes are missing at its end")
            view = view[count:]

    return readinto


def _rowwise(array: np.ndarray) -> Callable[[memoryview], None]:
    position = 0

    def readinto(view: memoryview) -> None:
        nonlocal position
        count = len(view) // array.itemsize
        view[:] = array.flat[position : position + count].view(np.uint8).data
        position += count

    return readinto


@contextlib.contextmanager
def readable(path: Path | str) -> Iterator[None]:
    """Turn what numpy, zipfile and the system say of a bad file into a UserError that names it."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is missing though it was there a moment ago; run the merge again") from None
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in _NOT_ITS_FAULT:
            raise
        raise UserError(f"{path} is damaged, pickled or no numpy file ({one_line(error)}); {MEND}") from None


def fault(dtype: np.dtype, shape: tuple[int, ...], least: int = 2) -> str | None:
    """What keeps an array of this kind from being features, or None."""
    if dtype.kind not in "biuf":
        return f"holds {dtype}, not numbers"
    if len(shape) < least:
        return f"has shape {shape}, expected (rows, …)"
    if 0 in shape:
        return f"is empty (shape {shape})"
    return None


def finite(content: memoryview, dtype: np.dtype) -> bool:
    """Whether no number among these bytes is NaN or infinite."""
    if dtype.kind != "f":
        return True
    half = dtype.itemsize == 2 and dtype.isnative
    numbers = np.frombuffer(content, np.uint16 if half else dtype)
    for start in range(0, len(numbers), _CHECKED):
        some = numbers[start : start + _CHECKED]
        if half:  # numpy has no vector instructions for these; as integers they take a sixth of the time
            good = int((some & _HALF_EXPONENT).max()) < _HALF_EXPONENT
        else:
            good = bool(np.isfinite(some).all())
        if not good:
            return False
    return True
