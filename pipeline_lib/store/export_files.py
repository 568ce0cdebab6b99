"""Files of an export → a folder that is whole under its final name, or not there at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """`files.atomic`, for one process at a time; clears away what killed ones left, which can be large."""
    with _exclusive(path), files.atomic(path) as temporary:
        yield temporary


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`; on success it is renamed to `path`, on error removed.

    Raises:
        UserError: `path` has content. Files of another export must not end up among these, and it is not ours to delete.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} exists and is not an empty folder; give another one")
    with _exclusive(path):
        temporary = files.partial_name(path)
        temporary.mkdir()
        try:
            yield temporary
            os.sync()  # once for all, instead of once for each of perhaps millions of files
            os.replace(temporary, path)  # also replaces an empty folder
            files.fsync_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.parent / f".{path.name}.lock", timeout=0):
            for leftover in files.partials_of(path):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
            yield
    except Timeout:
        raise UserError(f"another process writes {path}; wait for it or end it") from None
