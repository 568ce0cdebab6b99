"""A pickle of plain containers, numbers, strings and numpy arrays → its content, with nothing in it executed.

A pickle names functions to call. Here every name it may use stands for a small function below that can only build
a number, a container or an array from bytes; numpy's own reconstruction isn't called, since dtypes can be forged.
Pickles of Python 2 and numpy 1 use the same names under older modules.
"""

import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.core.errors import UserError, one_line

_NUMBERS = frozenset("biufc")  # kinds of numpy dtypes that hold values, not references


class _Dtype:
    """Stands for numpy.dtype: a type of numbers, its byte order set by the pickle's state."""

    def __init__(self, name: str, align: bool = False, copy: bool = False) -> None:
        self.value = np.dtype(str(name))
        if self.value.kind not in _NUMBERS or self.value.shape:
            raise ValueError(f"it holds an array of {self.value}, not of numbers")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.value = self.value.newbyteorder(state[1])


class _Array:
    """Stands for numpy.ndarray: an array made of its shape, dtype and bytes."""

    value: np.ndarray

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes | str]) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _frombuffer(content, dtype, shape, "F" if fortran else "C").value


def _reconstruct(kind: object, shape: tuple[int, ...], code: bytes | str) -> _Array:
    return _Array()


def _frombuffer(content: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    if isinstance(content, str):  # bytes of a Python 2 pickle
        content = content.encode("latin1")
    if not isinstance(dtype, _Dtype):
        raise ValueError("it holds an array without a dtype")
    array = _Array()
    array.value = np.frombuffer(content, dtype.value).reshape(shape, order="F" if order == "F" else "C")
    return array


def _scalar(dtype: _Dtype, content: bytes | str) -> int | float | complex:
    number: int | float | complex = _frombuffer(content, dtype, (), "C").value.item()
    return number


def _encode(text: str, encoding: str) -> bytes:
    return text.encode("latin1")  # how Python 3 writes bytes in old protocols; any other codec isn't asked


def _empty() -> bytes:
    return b""  # old protocols call bytes() for it, with nothing


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "Counter"): Counter,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty,
    ("builtins", "bytes"): _empty,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1, numpy 2
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _scalar
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _frombuffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        build = _ALLOWED.get((module, name))
        if build is None:
            raise ValueError(f"it refers to {module}.{name}, which is not data; nothing was executed")
        return lambda *arguments: build(*arguments)  # a new one each time: a pickle may set attributes on it


def load(path: Path) -> Any:
    """The content of a pickle, arrays as read-only numpy arrays.

    Raises:
        UserError: the file is missing, no pickle, or holds anything but data.
    """
    try:
        with open(path, "rb") as stream:
            return _plain(_Unpickler(stream, encoding="latin1").load())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; correct the path") from None
    except Exception as error:  # a broken pickle can raise anything
        raise UserError(f"{path} can't be read as a pickle of plain data: {one_line(error)}") from None


def _plain(value: Any, seen: dict[int, tuple[Any, Any]] | None = None) -> Any:
    """`value` with the arrays in it unwrapped, containers of the same types; shared ones once, or 150 bytes could ask for 10⁹.

    Args:
        seen: id of a container → itself, so that the id stays its own, and what it became.
    """
    seen = {} if seen is None else seen
    if isinstance(value, _Array):
        return value.value
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) in seen:
        return seen[id(value)][1]
    made = value
    if isinstance(value, tuple):
        made = tuple(_plain(inner, seen) for inner in value)
    seen[id(value)] = value, made
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            value[key] = _plain(inner, seen)
    return made
