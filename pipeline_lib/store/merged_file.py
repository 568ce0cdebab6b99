"""HDF5 of a merged stage → what is known of it as a whole: attributes, video ids; opened by each process for itself."""

import json
import math
import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import h5py

from pipeline_lib.core.errors import UserError

ATTRIBUTES = ("spec", "step", "start")
_WINDOWS = ("s3d", "resnext101")  # stages whose rows are of a stretch of time


class MergedFile:
    """What both kinds of file share. Open while the object lives or, better, inside a `with`.

    Can be handed to other processes: each opens the file for itself when it first reads.

    Raises:
        UserError: the file is missing, not HDF5, or not written by `pipeline_lib.store.merge`.
    """

    _member: ClassVar[type]  # what stands at the root under a video's id
    _content: ClassVar[str]

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._closed = False
        self._opened: tuple[int, h5py.File] | None = None  # by which process
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    @property
    def _file(self) -> h5py.File:
        if self._closed:
            raise ValueError(f"{self.path} was closed")
        # A forked process must not share what the HDF5 library knows of an open file with its parent.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), _open(self.path)
            self._forget()
        return self._opened[1]

    def _forget(self) -> None:
        """Drop what is known of the file's content: in another process it may be another file of that name."""
        for name in ("ids", "_known", "attributes"):
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_closed": self._closed, "_opened": None}

    def _check(self) -> None:
        missing = [name for name in ATTRIBUTES if name not in self.attributes]
        if missing:
            raise UserError(
                f"{self.path} has no attribute {', '.join(missing)}: not a file of this pipeline; "
                "make it with python -m pipeline_lib.store.merge"
            )
        first = next(iter(self._file), None)
        if first is not None and self._file.get(first, getclass=True) is not self._member:
            raise UserError(f"{self.path} does not hold {self._content} per video id; give the file of the right stage")

    @cached_property
    def attributes(self) -> dict[str, str | float]:
        """What stands at the root: spec, step, start, and layout, sources or code where the file has them."""
        return _plain(self._file)

    @cached_property
    def ids(self) -> list[str]:
        """Video ids, sorted."""
        return sorted(self._file)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.ids)  # HDF5 itself would take "a/b" or "." for a path

    @property
    def spec(self) -> str:
        """JSON text of what the features are (core.spec)."""
        return str(self.attributes["spec"])

    @property
    def step(self) -> float:
        """Seconds from one row to the next.

        Raises:
            UserError: the file was merged without saying so.
        """
        step = float(self.attributes["step"])
        if math.isnan(step):
            raise UserError(f"{self.path} does not say the seconds from row to row; merge it again with --step")
        return step

    @property
    def start(self) -> float:
        """Seconds into the video that row 0 stands for."""
        return float(self.attributes["start"])

    @property
    def windows(self) -> bool:
        """Whether rows are of the stretch of time that begins where they stand, not of that moment."""
        try:
            return json.loads(self.spec)["stage"] in _WINDOWS
        except (ValueError, KeyError, TypeError):
            return False

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._known

    def __len__(self) -> int:
        return len(self._known)

    def _at(self, video_id: str) -> Any:
        if video_id not in self._known:
            raise UserError(f"{self.path} has no video {video_id}; the ledger of its stage says why")
        return self._file[video_id]

    def close(self) -> None:
        """Close the file; reading after that is an error."""
        if self._opened and self._opened[0] == os.getpid():
            self._opened[1].close()
        self._opened, self._closed = None, True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path) -> h5py.File:
    if path.is_dir():
        raise UserError(f"{path} is a folder; give a merged HDF5 file, which python -m pipeline_lib.store.merge makes")
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the stage that makes it, or correct the path")
    try:
        # No lock: a merged file never changes after its rename, and network file systems often have no locks.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise UserError(f"{path} is not a readable HDF5 file ({error}); merge its stage again") from None


def attributes_of(path: Path) -> dict[str, str | float] | None:
    """Attributes of the root of a file; None if there is no such file or it is not an HDF5 of this pipeline."""
    try:
        with _open(path) as file:
            return _plain(file) if all(name in file.attrs for name in ATTRIBUTES) else None
    except UserError:
        return None


def _plain(file: h5py.File) -> dict[str, str | float]:
    """Attributes as str and float; of others' attributes, which may be anything, their text."""
    found = {}
    for name, value in file.attrs.items():
        try:
            found[name] = value if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            found[name] = str(value)
    return found
