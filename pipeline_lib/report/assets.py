"""JPEGs of a page → data: URIs in it, or, when they are many, files in a folder beside it: <page>_assets/<sha256>.jpg."""

import contextlib
import hashlib
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from pipeline_lib.core import files
from pipeline_lib.report import pictures

INLINE_BYTES = 12_000_000  # of pictures in the page itself; more go to a folder


class Place(StrEnum):
    """Where the pictures go."""

    AUTO = "auto"
    INLINE = "inline"
    FOLDER = "folder"


class Assets:
    """JPEG bytes → what an <img> points to; a folder keeps equal pictures once."""

    def __init__(self, out: Path, contents: Iterable[bytes], place: Place) -> None:
        """`contents` are the pictures of the page, each as often as it is shown: their size decides for Place.AUTO."""
        size = sum(map(len, contents))
        self.folder = out.with_name(f"{out.stem}_assets")
        self.inline = place is Place.INLINE or (place is Place.AUTO and size <= INLINE_BYTES)
        self._written: set[str] = set()

    def src(self, content: bytes) -> str:
        """The picture as a data: URI, or its file, which is written at once."""
        if self.inline:
            return pictures.data_uri(content)
        name = f"{hashlib.sha256(content).hexdigest()}.jpg"
        if name not in self._written and not (self.folder / name).exists():  # the name says the content
            with files.atomic(self.folder / name) as temporary:
                temporary.write_bytes(content)
        self._written.add(name)
        return f"{self.folder.name}/{name}"

    def tidy(self) -> None:
        """Remove pictures of an earlier page, and nothing else."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if re.fullmatch(r"[0-9a-f]{64}\.jpg", path.name) and path.name not in self._written:
                path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()  # only if it is empty
