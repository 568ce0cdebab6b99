"""Names of GPUs → the one that fewest processes on this machine hold, held by this one until it ends.

Parallel jobs thus land on different GPUs without a scheduler. Locks are the kernel's, so they go with a killed process.
"""

import fcntl
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from pipeline_lib.core.errors import UserError

_held: list[BinaryIO] = []  # open files keep their locks


def folder() -> Path:
    """Where the lock files of this user lie."""
    path = Path(tempfile.gettempdir()) / f"pipeline_lib-gpus-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{path} can't be made ({error.strerror}); set TMPDIR to a folder that can be written"
        ) from None
    return path


def lease(names: Sequence[str], where: Path) -> int:
    """Index of the name with the fewest locks on it, with one more: every call takes one, until the process ends."""
    with open(where / ".lock", "ab") as turn:  # or two processes could count the same holders
        fcntl.flock(turn, fcntl.LOCK_EX)
        counted = [(*_holders(name, where), index) for index, name in enumerate(names)]
        _, slot, index = min(counted, key=lambda one: (one[0], one[2]))
        stream = _locked(where / f"{names[index]}.{slot}.lock")
    assert stream is not None
    _held.append(stream)
    return index


def _holders(name: str, where: Path) -> tuple[int, int]:
    """How many slots of a name are held, and the first that is not."""
    held, slot, free = 0, 0, -1
    while (path := where / f"{name}.{slot}.lock").exists():
        stream = _locked(path)
        if stream is None:
            held += 1
        else:
            stream.close()
            free = slot if free < 0 else free
        slot += 1
    return held, slot if free < 0 else free


def _locked(path: Path) -> BinaryIO | None:
    """The file, locked while it is open, or None if another holds it."""
    stream = open(path, "ab")  # noqa: SIM115 - stays open for the life of the process
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream
