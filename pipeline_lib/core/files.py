"""Data → files that are either whole under their final name or not there at all."""

import contextlib
import functools
import hashlib
import json
import os
import re
import secrets
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline_lib.core.errors import UserError

PARTIAL = ".partial"  # suffix of a file being written; the name starts with a dot too
_PARTIAL_NAME = re.compile(
    rf"\.(?P<host>[0-9a-f]{{8}})(?P<process>[0-9a-f]{{8}})[0-9a-f]{{4}}-.*{re.escape(PARTIAL)}", re.S
)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it to `path`, on error remove it.

    What killed processes left in the folder is removed at its first use by this process.

    Raises:
        UserError: `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file to write")
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent)
    temporary = partial_name(path)
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        fsync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_for_all(path: Path) -> Iterator[Path]:
    """`atomic` for writers that let nobody but the owner read their files (safetensors): others may as they may any file."""
    with atomic(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)


def partial_name(path: Path) -> Path:
    """A new name beside `path` to write under: «.», this host, process and a random number, «-», the name, «.partial».

    The suffixes of `path` stay in front of `.partial`, because some writers choose their format by them.
    """
    return path.with_name(f".{_host()}{os.getpid():08x}{secrets.token_hex(2)}-{path.name}{PARTIAL}")


def partials_of(path: Path) -> list[Path]:
    """What writers of `path`, alive or dead, have under temporary names."""
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(f"-{path.name}{PARTIAL}")]
    return [path.with_name(name) for name in names if re.fullmatch(r"\.[0-9a-f]+", name.split("-", 1)[0])]


@functools.cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


@functools.lru_cache(4096)
def _remove_abandoned(folder: Path) -> None:
    """Delete files that processes of this host were writing in `folder` when they died."""
    for entry in os.scandir(folder):
        found = _PARTIAL_NAME.match(entry.name)
        if found and found["host"] == _host() and not _alive(int(found["process"], 16)) and entry.is_file():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry.path)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def fsync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_partials(folder: Path) -> None:
    """Delete what a killed writer left in `folder`; only for a caller that holds the folder's lock."""
    for entry in os.scandir(folder):
        if entry.name.startswith(".") and entry.name.endswith(PARTIAL):
            os.unlink(entry.path)


def is_whole(path: Path, size: int) -> bool:
    """Whether a file of this size is at `path`, or a link stands for one that due diligence took away (clean/quarantine.py)."""
    if path.is_symlink() and not path.exists():
        return True
    return path.is_file() and path.stat().st_size == size


def sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; half a surrogate pair, as JSON from the network can hold, becomes \\udXXX as in JSON."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(path: Path, value: Any, *, indent: int | None = 1, sort_keys: bool = True) -> None:
    """Write strict JSON (no NaN) atomically, keys sorted unless told otherwise, so that equal values give equal bytes."""
    write_text(
        path,
        json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n",
    )


def write_entries(path: Path, entries: Iterable[tuple[str, Any]]) -> None:
    """Write keys and values as one JSON object, a line each, atomically; one value is in memory at a time."""
    with (
        atomic(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
    ):
        before = "{\n"
        for key, value in entries:
            text = json.dumps({key: value}, sort_keys=True, ensure_ascii=False, allow_nan=False)
            stream.write(before + text[1:-1])
            before = ",\n"
        stream.write("{}\n" if before == "{\n" else "\n}\n")


def read_json(path: Path) -> Any:
    """Read JSON that this pipeline or a person wrote; a missing or broken file is a UserError that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it, or correct the path") from None
    except (ValueError, RecursionError) as error:  # the latter of brackets a thousand deep
        raise UserError(f"{path} is not valid JSON ({error}); correct the path or the file") from None


def read_entries(path: Path) -> dict[str, dict[str, Any]]:
    """Read a JSON object {key: {…}}; anything else is a UserError that names the file."""
    value = read_json(path)
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise UserError(f"{path} must be an object {{video_id: {{…}}}}; correct or remove it")
    return value
