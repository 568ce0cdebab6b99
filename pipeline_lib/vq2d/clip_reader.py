"""A clip, as an mp4 or a folder of JPEGs, → its frames by number."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.transcode import examine
from pipeline_lib.video.worker import Worker
from pipeline_lib.vq2d.clip_loop import stamp
from pipeline_lib.vq2d.frames import NAMING, image_path


class Reader(Protocol):
    """Clips of a folder. All methods raise ItemError for a clip that is missing or broken."""

    def version(self, clip_uid: str) -> str:
        """A short string that changes when the clip does; "" for a missing one."""

    def count(self, clip_uid: str) -> int:
        """Number of frames."""

    def frames(self, clip_uid: str, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """(number, (h, w, 3) uint8 RGB) for ascending numbers."""


class Videos:
    """CLIPS/<clip_uid>.mp4."""

    def __init__(self, folder: Path, worker: Worker) -> None:
        self.folder, self.worker = folder, worker

    def version(self, clip_uid: str) -> str:
        """Its size and time."""
        return stamp(self._path(clip_uid))

    def count(self, clip_uid: str) -> int:
        """Packets in the file."""
        path = self._path(clip_uid)
        if not path.is_file():
            raise ItemError(
                Reason.MISSING_FILE, f"clip {path.name} is not in {path.parent.name}; make it, or download it"
            )
        return int(self.worker.call(examine, path)["frames"])

    def frames(self, clip_uid: str, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decoded in the worker."""
        for frame in self.worker.numbered(self._path(clip_uid), numbers):
            yield frame.index, frame.pixels

    def _path(self, clip_uid: str) -> Path:
        return self.folder / f"{clip_uid}.mp4"


class Images:
    """FRAMES/<clip_uid>/color_0000000.jpg, …"""

    def __init__(self, folder: Path, naming: str) -> None:
        self.folder, self.naming = folder, naming

    def version(self, clip_uid: str) -> str:
        """The folder's time, which changes with its files."""
        return stamp(self.folder / clip_uid)

    def count(self, clip_uid: str) -> int:
        """Files that are numbered without a gap."""
        folder = self.folder / clip_uid
        if not folder.is_dir():
            raise ItemError(
                Reason.MISSING_FILE, f"folder {clip_uid} is not in {self.folder.name}; make the clip's frames"
            )
        names = {path.name for path in folder.iterdir()}
        pattern, first = NAMING[self.naming]
        count = 0
        while pattern.format(first + count) in names:
            count += 1
        return count

    def frames(self, clip_uid: str, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decoded here."""
        for number in numbers:
            path = image_path(self.folder, clip_uid, number, self.naming)
            try:
                with Image.open(path, formats=["JPEG"]) as image:
                    yield number, np.array(image.convert("RGB"))
            except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
                raise ItemError(Reason.UNDECODABLE, f"{path.name}: {error}") from None
