"""Large JSON files, plain or gzipped → their parts one at a time, and back.

Detections of a split weigh hundreds of megabytes: nothing here holds more than one element of the array that is read.
"""

import contextlib
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError

_CHUNK = 1 << 20  # characters read at first; grows to the largest element met
_SPACE = " \t\r\n"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The text of a file, unpacked if it is gzipped, whatever its name says; what is wrong with it is a UserError."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            binary = gzip.GzipFile(fileobj=raw) if packed else raw
            with io.TextIOWrapper(binary, encoding="utf-8-sig") as text:
                yield text
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the step that makes it, or correct the path") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; give the JSON file") from None
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}); get or make it again") from None


@contextlib.contextmanager
def written(path: Path) -> Iterator[TextIO]:
    """A stream whose text is `path` when the block ends without an error: gzipped (the same bytes every time) if so named."""
    with files.atomic(path) as temporary, open(temporary, "wb") as raw:
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else None
        with io.TextIOWrapper(packed or raw, encoding="utf-8", newline="\n") as text:
            yield text
            text.flush()
            if packed:
                packed.close()


def read(path: Path) -> Any:
    """The value of a whole file; all numbers are finite."""
    with opened(path) as stream:
        try:
            return json.load(stream, parse_constant=_finite, parse_float=_finite)
        except json.JSONDecodeError as error:
            raise _wrong(path, error.msg, f"line {error.lineno}") from None
        except UnicodeDecodeError:  # a ValueError, too, which `opened` knows more of
            raise
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets a thousand deep
            raise _wrong(path, str(error)) from None


def write(path: Path, value: Any) -> None:
    """One line as `json.dump` writes it, strict: NaN is an error."""
    with written(path) as stream:
        stream.write(json.dumps(value, allow_nan=False))


def elements(path: Path, key: str, fix: str = "is it the right file?") -> Iterator[Any]:
    """The elements of the array `key` of a file that is an object; of other values only what precedes it is looked at.

    Args:
        fix: what to do if this is another kind of file, for the message.

    Raises:
        UserError: a list, no such key, or not JSON.
    """
    with opened(path) as stream:
        scanner = _Scanner(stream, path)
        if scanner.peek() == "[":
            raise UserError(f"{path} is a list, not an object with {key!r}; {fix}")
        scanner.expect("{")
        while True:
            name = scanner.value() if scanner.peek() == '"' else None
            if name is None:
                raise UserError(f"{path} has no key {key!r}; {fix}")
            scanner.expect(":")
            if name == key and scanner.peek() != "[":
                raise UserError(f"{path}: {key} is not an array")
            if scanner.peek() == "[":
                for element in scanner.array():
                    if name == key:
                        yield element
                if name == key:
                    return
            else:
                scanner.value()
            if scanner.peek() == ",":
                scanner.expect(",")


class _Scanner:
    """Values of a JSON text, one after another, from a stream."""

    def __init__(self, stream: TextIO, path: Path) -> None:
        self.stream, self.path = stream, path
        self.text, self.at, self.passed = "", 0, 0
        self.chunk, self.ended = _CHUNK, False
        self.decode = json.JSONDecoder(parse_constant=_finite).raw_decode

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self._more()

    def expect(self, character: str) -> None:
        """Step over `character`."""
        if self.peek() != character:
            raise _wrong(self.path, f"no {character!r}", f"character {self.passed + self.at}")
        self.at += 1

    def value(self) -> Any:
        """The next value. It is parsed again with more text behind it until it is whole."""
        self.peek()
        while True:
            try:
                value, end = self.decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if self.ended:
                    raise _wrong(self.path, error.msg, f"character {self.passed + error.pos}") from None
            except (ValueError, RecursionError) as error:
                raise _wrong(self.path, str(error), f"character {self.passed + self.at}") from None
            else:
                if end < len(self.text) or self.ended:  # a number could go on
                    self.at = end
                    return value
            self._more()

    def array(self) -> Iterator[Any]:
        """The elements of the array that starts here."""
        self.expect("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            yield self.value()
            if self.peek() == "]":
                self.at += 1
                return
            self.expect(",")

    def _more(self) -> None:
        rest = self.text[self.at :]
        self.chunk = max(self.chunk, len(rest))
        read = self.stream.read(self.chunk)
        self.passed += self.at
        self.text, self.at, self.ended = rest + read, 0, not read


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _wrong(path: Path, what: str, where: str = "") -> UserError:
    return UserError(f"{path} is not valid JSON ({what}{' at ' if where else ''}{where}); get or make it again")
