"""A shard's list of videos and one function → an artefact per video and the shard's ledger: the loop of every stage.

    <work>/<stage>/<shard>.parquet                       the ledger, what Snakemake sees
    <work>/<stage>/items/<spec>/<shard>/<video_id>.npy   the artefacts, each whole or absent
    <work>/<stage>/items/<spec>/<shard>/journal.jsonl    one line per finished video; survives a killed job

A video is done when the journal says so for the same source and its artefact has the recorded size.
"""

import contextlib
import errno
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline_lib.core import files, ids, ledger
from pipeline_lib.core.errors import TRANSIENT, ItemError, Reason, StopStage, UserError, one_line
from pipeline_lib.core.ledger import FAILED, OK, SKIPPED, Row
from pipeline_lib.core.progress import track
from pipeline_lib.core.spec import Spec

log = logging.getLogger(__name__)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Item:
    """One video to work on.

    Attributes:
        entry: what the shard's list says of it (url, title, duration …).
        source: artefact of the stage before, or None for a stage that asks the outside world.
        source_sha256: what the artefact must be made from; another value makes an old artefact stale.
    """

    video_id: str
    entry: dict[str, Any]
    source: Path | None
    source_sha256: str


Make = Callable[[Item, Path], int]  # (item, temporary path to write) → number of rows


def run_stage(
    spec: Spec,
    shard_list: Path,
    out: Path,
    make: Make,
    *,
    suffix: str,
    source: Path | None = None,
    gates: Iterable[Path] = (),
    version: Callable[[str], str] | None = None,
    id_pattern: str = ".*",
    max_failed_fraction: float = 0.5,
) -> dict[str, Row]:
    """Bring every video of a shard to an artefact or a reason, then write the ledger `out`.

    Args:
        spec: what the artefacts are; artefacts of other specs are left alone.
        shard_list: JSON {video_id: entry}.
        out: the ledger, `<work>/<stage>/<shard>.parquet`.
        make: writes one artefact to the path it is given and returns its number of rows; raises ItemError for a bad video.
        suffix: of the artefacts, e.g. ".npy".
        source: ledger of the stage whose artefacts are read.
        gates: further ledgers in which a video must be ok.
        version: for stages without `source`, a short string that changes when what is behind an id changes.
        max_failed_fraction: stop when more than this share of the shard failed for one transient reason.

    Raises:
        StopStage: disk full, or too many failures that are no video's fault; done videos stay done.
    """
    loop = _Loop(spec, out, make, suffix)
    entries: dict[str, dict[str, Any]] = files.read_json(shard_list)
    sources = ledger.read(source) if source else None
    gated = [ledger.read(gate) for gate in gates]
    root = ledger.root(out)
    rows = []
    with loop.exclusive():
        for video_id in track(sorted(entries), f"{spec.stage} {out.stem}"):
            row = _blocked(video_id, sources, gated, id_pattern)
            if row is None:
                before = sources[video_id] if sources else None
                path = root / str(before.artefact) if before and before.artefact else None
                key = before.sha256 or before.source_sha256 if before else version(video_id) if version else ""
                row = loop.bring(Item(video_id, entries[video_id], path, key))
            rows.append(replace(row, spec=spec.id))
            _stop_if_hopeless(rows, len(entries), max_failed_fraction, spec.stage)
        ledger.write(out, rows)
    counts = Counter(str(row.reason or row.status) for row in rows)
    log.info(
        "%s %s: %s",
        spec.stage,
        out.stem,
        ", ".join(f"{n} {what}" for what, n in counts.most_common()) or "empty shard",
    )
    return {row.video_id: row for row in rows}


def _blocked(video_id: str, sources: dict[str, Row] | None, gates: list[dict[str, Row]], id_pattern: str) -> Row | None:
    """The row of a video that can't even be tried, or None."""
    if not ids.is_valid(video_id, id_pattern):
        return Row(video_id, FAILED, Reason.INVALID_ID, one_line(f"{video_id!r} is not a valid video id"))
    for rows in [*([sources] if sources is not None else []), *gates]:
        row = rows.get(video_id)
        if row is None or not row.ok:
            why = f"{row.reason}: {row.detail or ''}".strip(": ") if row else "not in the ledger of the stage before"
            return Row(video_id, SKIPPED, Reason.UPSTREAM, one_line(why.removeprefix(f"{Reason.UPSTREAM}: ")))
    return None


def _version(version: Callable[[str], str] | None, video_id: str) -> str:
    """The version of a video, or "" when its source has none or fails; the stage's own try then says why."""
    try:
        return version(video_id) if version else ""
    except ItemError:
        return ""


def _stop_if_hopeless(rows: list[Row], total: int, limit: float, stage: str) -> None:
    last = rows[-1]
    if last.status != FAILED or last.reason not in TRANSIENT:
        return
    failed = sum(row.status == FAILED and row.reason == last.reason for row in rows)
    if failed > limit * total:
        raise StopStage(
            f"{stage}: {failed} of {total} videos failed with {last.reason} (last: {last.detail}); "
            "nothing done is lost: remove the cause and run the same command again"
        )


class _Loop:
    """The items folder of one stage, spec and shard: what is done in it and how one more gets done."""

    def __init__(self, spec: Spec, out: Path, make: Make, suffix: str) -> None:
        self.folder = out.parent / "items" / spec.id / out.stem
        self.prefix = f"{out.parent.name}/items/{spec.id}/{out.stem}"
        self.spec, self.make, self.suffix = spec, make, suffix
        self.journal = self.folder / "journal.jsonl"
        self.done: dict[str, Row] = {}

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
                self.done = _read_journal(self.journal)
                yield
        except Timeout:
            raise UserError(f"another process works on {self.folder}; wait for it or end it") from None

    def bring(self, item: Item) -> Row:
        """The row of a finished video, or of trying it now."""
        old = self.done.get(item.video_id)
        artefact = self.folder / f"{item.video_id}{self.suffix}"
        if old and old.source_sha256 == item.source_sha256:
            if old.ok and artefact.is_file() and artefact.stat().st_size == old.bytes:
                return old
            if old.status == FAILED and old.reason not in TRANSIENT and not artefact.exists():
                return old
        start = time.monotonic()
        row = self._try(item, artefact)
        attempts = 1 + (old.attempts if old else 0)
        row = replace(
            row,
            source_sha256=item.source_sha256,
            seconds=round(time.monotonic() - start, 3),
            attempts=attempts,
        )
        self._note(row)
        return row

    def _try(self, item: Item, artefact: Path) -> Row:
        try:
            with files.atomic(artefact) as temporary:
                rows = self.make(item, temporary)
                size, digest = temporary.stat().st_size, files.sha256(temporary)
            name = f"{self.prefix}/{artefact.name}"
            return Row(item.video_id, OK, artefact=name, rows=rows, bytes=size, sha256=digest)
        except ItemError as error:
            artefact.unlink(missing_ok=True)  # an older artefact must not outlive the source it was made from
            return Row(item.video_id, FAILED, error.reason, error.detail)
        except (UserError, StopStage):
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

    def _note(self, row: Row) -> None:
        """Append a finished video to the journal; the artefact was renamed before, so a kill between costs one redo."""
        line = json.dumps(asdict(row), sort_keys=True) + "\n"
        try:
            handle = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                if os.write(handle, line.encode()) != len(line.encode()):
                    raise OSError(errno.ENOSPC, "short write", str(self.journal))
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise StopStage(
                    f"{self.spec.stage}: no space left in {self.folder}; free some and run again"
                ) from error
            raise


def _read_journal(path: Path) -> dict[str, Row]:
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
