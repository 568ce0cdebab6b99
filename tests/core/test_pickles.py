"""Pickles, friendly and hostile → their content, or an error with nothing executed."""

import os
import pickle
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest

from pipeline_lib.core import pickles
from pipeline_lib.core.errors import UserError


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_back(tmp_path: Path, protocol: int) -> None:
    content = {
        "w2id": {"<PAD>": 0, "café": 1},
        "id2vec": [np.zeros(4, np.float32), np.arange(4, dtype=">f4")],
        "counter": Counter({"café": 3}),
        "more": (
            OrderedDict(a=1),
            np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            np.float64(0.5),
            b"\xff\x00",
            None,
            b"",
        ),
    }
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    read = pickles.load(path)
    assert read["w2id"] == content["w2id"] and read["counter"] == content["counter"]
    np.testing.assert_array_equal(read["id2vec"], content["id2vec"])
    assert isinstance(read["counter"], Counter)
    assert read["more"][0] == OrderedDict(a=1) and read["more"][2:] == (0.5, b"\xff\x00", None, b"")
    np.testing.assert_array_equal(read["more"][1], content["more"][1])


def python2_array(values: np.ndarray) -> bytes:
    """An array as cPickle of Python 2.7 with numpy 1 writes it, protocol 2: byte strings are SHORT_BINSTRING (U)."""

    def text(content: bytes) -> bytes:
        return b"U" + bytes([len(content)]) + content

    dtype = (
        b"cnumpy\ndtype\n"
        + text(b"f4")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"<")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    return empty + b"(K\x01K" + bytes([len(values)]) + b"\x85" + dtype + b"\x89" + text(values.tobytes()) + b"tb"


def test_python_2_arrays_come_back(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 3e7], np.float32)
    path = tmp_path / "old.pkl"
    path.write_bytes(b"\x80\x02}U\x06id2vec](" + python2_array(values) + b"es.")
    np.testing.assert_array_equal(pickles.load(path)["id2vec"], [values])


class Hostile:
    """Unpickles as a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, __import__, np.load, np.save])
def test_calls_are_refused_and_not_made(tmp_path: Path, protocol: int, function: object) -> None:
    sentinel = tmp_path / "executed"
    arguments = {os.system: (f"touch {sentinel}",), np.save: (str(sentinel), 0)}.get(
        function, (f"open({str(sentinel)!r}, 'w')",)
    )
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps({"w2id": Hostile(function, *arguments)}, protocol))
    with pytest.raises(UserError, match=r"bad\.pkl .*nothing was executed"):
        pickles.load(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80\x04N",
        b"(S'touch x'\nios\nsystem\n.",  # INST
        b"ccollections\nCounter.__init__.__globals__\n.",  # a dotted way to elsewhere
        b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00OK\x00K\x01\x87R.",  # an array of references
        b"\x80\x02ccollections\nCounter\nN}X\x06\x00\x00\x00updateK\x00s\x86b]\x81.",  # change a class, then fail
    ],
)
def test_damaged_and_devious_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.pkl"):
        pickles.load(path)
    assert callable(Counter.update)


def test_what_is_shared_is_looked_at_once(tmp_path: Path) -> None:
    """Lists of twice the same list, 200 deep: copied one by one they would take for ever."""
    content: list = [np.ones(2), ({}, np.ones(2))]
    for _ in range(200):
        content = [content, content]
    content.append(content)
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content))
    read = pickles.load(path)
    assert read[0] is read[1] and read[2] is read
    while len(read) != 2 or not isinstance(read[0], np.ndarray):
        read = read[0]
    assert isinstance(read[0], np.ndarray) and isinstance(read[1][1], np.ndarray)


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps(np.array([{}, []], object)))
    with pytest.raises(UserError, match="not of numbers"):
        pickles.load(path)
