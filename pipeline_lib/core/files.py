"""Data → files that are either whole under their final name or not there at all."""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_lib.core.errors import UserError

PARTIAL = ".partial"  # suffix of a file being written; the name starts with a dot too


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it to `path`, on error remove it.

    The temporary name keeps the suffixes of `path` in front of `.partial`, because some writers choose their format by it.
    """
    path = Path(path)
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(4)}-{path.name}{PARTIAL}"
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        fsync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any, *, indent: int | None = 1, sort_keys: bool = True) -> None:
    """Write strict JSON (no NaN) atomically, keys sorted unless told otherwise, so that equal values give equal bytes."""
    write_text(
        path,
        json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n",
    )


def read_json(path: Path) -> Any:
    """Read JSON that this pipeline or a person wrote; a missing or broken file is a UserError that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes it, or correct the path") from None
    except (ValueError, RecursionError) as error:  # the latter of brackets a thousand deep
        raise UserError(f"{path} is not valid JSON ({error}); delete or repair it") from None
