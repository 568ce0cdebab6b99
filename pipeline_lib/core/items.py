"""The artefacts of one stage, spec and shard: what is done already, and one more written whole, with its row journalled.

    items/<spec>/<shard>/<video_id>.npy   the artefacts, each whole or absent
    items/<spec>/<shard>/journal.jsonl    one line per finished video; survives a killed job

A video is done when the journal says so for the same source and its artefact has the recorded size.
"""

import contextlib
import errno
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline_lib.core import files
from pipeline_lib.core.errors import RETRIED, ItemError, Later, Reason, StopStage, UserError, one_line
from pipeline_lib.core.ledger import FAILED, OK, Row
from pipeline_lib.core.spec import Spec

log = logging.getLogger(__name__)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
REOPENED = "reopened"  # in place of a source's sha256: none has it, so the video is tried again


@dataclass(frozen=True)
class Item:
    """One video to work on.

    Attributes:
        entry: what the shard's list says of it (url, title, duration …).
        source: artefact of the stage before, or None for a stage that asks the outside world.
        source_sha256: what the artefact must be made from; another value makes an old artefact stale.
        also: artefacts of the further stages that are read, in the order they were given.
    """

    video_id: str
    entry: dict[str, Any]
    source: Path | None
    source_sha256: str
    also: tuple[Path, ...] = ()


Write = Callable[[Path], int]  # temporary path to write → number of rows; raises ItemError for a bad video


class Items:
    """The items folder of one stage, spec and shard: what is done in it and how one more gets done."""

    def __init__(self, spec: Spec, out: Path, suffix: str) -> None:
        self.folder = out.parent / "items" / spec.id / out.stem
        self.prefix = f"{out.parent.name}/items/{spec.id}/{out.stem}"
        self.spec, self.suffix = spec, suffix
        self.journal = self.folder / "journal.jsonl"
        self.done: dict[str, Row] = {}
        self.since = time.monotonic()  # the last result, or the start
        self._lines = -1  # open journal while the folder is held

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the folder's lock, with leftovers of a killed run removed and the journal read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                files.remove_partials(self.folder)
                spec_file = self.folder.parent / "spec.json"
                if not spec_file.exists():
                    files.write_text(spec_file, self.spec.json() + "\n")
                self.done = read_journal(self.journal)
                self._lines = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                try:
                    yield
                finally:
                    os.close(self._lines)
        except Timeout:
            raise UserError(f"another process works on {self.folder}; wait for it or end it") from None

    def finished(self, item: Item) -> Row | None:
        """The row of a video that is done with, or None when it has to be tried now."""
        old = self.done.get(item.video_id)
        artefact = self._artefact(item)
        if old and old.source_sha256 == item.source_sha256:
            if old.ok and files.is_whole(artefact, old.bytes):
                return old
            if old.status == FAILED and old.reason not in RETRIED and not artefact.exists():
                return old
        return None

    def bring(self, item: Item, write: Write) -> Row:
        """Write the artefact of a video, or learn why there is none; either way note it."""
        old = self.done.get(item.video_id)
        if old and old.ok and old.source_sha256 != item.source_sha256:
            # A kill between the new artefact and its line: the old line must not vouch for it if the source comes back.
            self.note(old._replace(source_sha256=REOPENED))
        row = self._try(item, write)
        now = time.monotonic()
        row = row._replace(
            source_sha256=item.source_sha256,
            seconds=round(now - self.since, 3),
            attempts=1 + (old.attempts if old else 0),
        )
        self.since = now
        self.note(row)
        return row

    def _artefact(self, item: Item) -> Path:
        return self.folder / f"{item.video_id}{self.suffix}"

    def _try(self, item: Item, write: Write) -> Row:
        artefact = self._artefact(item)
        try:
            with files.atomic(artefact) as temporary:
                rows = write(temporary)
                size, digest = temporary.stat().st_size, files.sha256(temporary)
            name = f"{self.prefix}/{artefact.name}"
            return Row(item.video_id, OK, artefact=name, rows=rows, bytes=size, sha256=digest)
        except ItemError as error:
            artefact.unlink(missing_ok=True)  # an older artefact must not outlive the source it was made from
            return Row(item.video_id, FAILED, error.reason, error.detail)
        except (UserError, StopStage, Later):
            raise
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise StopStage(
                    f"{self.spec.stage}: no space left in {self.folder}; free some and run again, nothing done is lost"
                ) from error
            return self._internal(item, error)
        except Exception as error:
            return self._internal(item, error)

    def _internal(self, item: Item, error: Exception) -> Row:
        log.exception("%s: unexpected error on %s", self.spec.stage, item.video_id)
        return Row(item.video_id, FAILED, Reason.INTERNAL, one_line(f"{type(error).__name__}: {error}"))

    def note(self, row: Row) -> None:
        """Append a finished video to the journal; the artefact was renamed before, so a kill between costs one redo."""
        line = json.dumps(row._asdict(), sort_keys=True) + "\n"
        try:
            if os.write(self._lines, line.encode()) != len(line.encode()):
                raise OSError(errno.ENOSPC, "short write", str(self.journal))
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise StopStage(
                    f"{self.spec.stage}: no space left in {self.folder}; free some and run again"
                ) from error
            raise


def read_journal(path: Path) -> dict[str, Row]:
    """The last line of every video; a line torn by a kill is left out, and what follows it still counts."""
    rows: dict[str, Row] = {}
    if not path.exists():
        return rows
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with open(path, "ab") as stream:
            stream.write(b"\n")
    for line in content.splitlines():
        try:
            row = Row(**json.loads(line))
        except (ValueError, TypeError):
            continue
        rows[row.video_id] = row
    return rows


def reopen(folder: Path, rows: Iterable[Row]) -> None:
    """Note that videos are to be tried again although they were done with; their number of attempts stays.

    Args:
        folder: of the artefacts of a stage, spec and shard.

    Raises:
        UserError: a process works in the folder.
    """
    try:
        with FileLock(folder / ".lock", timeout=0):
            read_journal(folder / "journal.jsonl")  # ends a torn line
            lines = (json.dumps(row._replace(source_sha256=REOPENED)._asdict(), sort_keys=True) + "\n" for row in rows)
            with open(folder / "journal.jsonl", "a", encoding="utf-8") as stream:
                stream.write("".join(lines))
                stream.flush()
                os.fsync(stream.fileno())
    except Timeout:
        raise UserError(f"a process works on {folder}; wait for it or end it, then run this again") from None
