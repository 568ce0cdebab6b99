"""A shard's list of videos and one function → an artefact per video and the shard's ledger: the loop of every stage.

<work>/<stage>/<shard>.parquet                       the ledger, what Snakemake sees
<work>/<stage>/items/<spec>/<shard>/<video_id>.npy   the artefacts, each whole or absent
<work>/<stage>/items/<spec>/<shard>/journal.jsonl    one line per finished video; survives a killed job
"""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline_lib.core import files, ids, ledger
from pipeline_lib.core.errors import TRANSIENT, ItemError, Later, Reason, StopStage, one_line
from pipeline_lib.core.items import Item, Items, Write
from pipeline_lib.core.ledger import FAILED, SKIPPED, Row
from pipeline_lib.core.progress import track
from pipeline_lib.core.spec import Spec

log = logging.getLogger(__name__)


Make = Callable[[Item, Path], int]  # the same, for an item

#: The items that are still to be done → each of them once, in any order, with what writes its artefact; once more after Later.
Produce = Callable[[list[Item]], Generator[tuple[Item, Write], None, None]]


def one_by_one(make: Make) -> Produce:
    """The producer of a stage that works on one video at a time."""

    def produce(items: list[Item]) -> Generator[tuple[Item, Write], None, None]:
        for item in items:
            yield item, partial(make, item)

    return produce


def run_stage(
    spec: Spec,
    shard_list: Path,
    out: Path,
    make: Make | None = None,
    *,
    suffix: str,
    produce: Produce | None = None,
    source: Path | None = None,
    also: Sequence[Path] = (),
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
        produce: in place of `make`, for a stage that works on several videos at once.
        source: ledger of the stage whose artefacts are read.
        also: ledgers of further stages whose artefacts are read, in which a video must be ok; a change there makes stale, too.
        gates: further ledgers in which a video must be ok.
        version: for stages without `source`, a short string that changes when what is behind an id changes.
        max_failed_fraction: stop when more than this share of the shard failed for one transient reason.

    Raises:
        StopStage: disk full, or too many failures that are no video's fault; done videos stay done.
    """
    loop = Items(spec, out, suffix)
    if make is not None:
        assert produce is None, "a stage works in one of the two ways"
        produce = one_by_one(make)
    assert produce is not None
    entries: dict[str, dict[str, Any]] = files.read_json(shard_list)
    sources = ledger.read(source) if source else None
    further = [ledger.read(path) for path in also]
    gated = [ledger.read(gate) for gate in gates]
    root = ledger.root(out)
    rows: dict[str, Row] = {}
    todo: list[Item] = []
    with loop.exclusive():
        for video_id in sorted(entries):
            row = _blocked(video_id, sources, [*further, *gated], id_pattern)
            if row is None:
                before = sources[video_id] if sources else None
                path = root / str(before.artefact) if before and before.artefact else None
                key = before.sha256 or before.source_sha256 if before else _version(version, video_id)
                read = [rows_there[video_id] for rows_there in further]
                key = "+".join([key, *(str(one.sha256) for one in read)])
                item = Item(video_id, entries[video_id], path, key, tuple(root / str(one.artefact) for one in read))
                row = loop.finished(item)
                if row is None:
                    todo.append(item)
                    continue
            rows[video_id] = row._replace(spec=spec.id)
        waiting = {item.video_id: item for item in todo}
        loop.since = time.monotonic()
        with contextlib.closing(produce(todo)) as results:
            for item, write in track(results, f"{spec.stage} {out.stem}", total=len(todo)):
                if waiting.pop(item.video_id, None) is not item:
                    raise RuntimeError(
                        f"{spec.stage} gave a result for {item.video_id}, which was not or no longer to be done"
                    )
                try:
                    row = loop.bring(item, write)._replace(spec=spec.id)
                except Later:
                    waiting[item.video_id] = item
                    continue
                rows[item.video_id] = row
                _stop_if_hopeless(row, rows.values(), len(entries), max_failed_fraction, spec.stage)
        forgotten = [item.video_id for item in todo if item.video_id not in rows]
        if forgotten:
            raise RuntimeError(f"{spec.stage} gave no result for {len(forgotten)} videos, the first {forgotten[0]}")
        ledger.write(out, (rows[video_id] for video_id in sorted(rows)))
    counts = Counter(str(row.reason or row.status) for row in rows.values())
    log.info(
        "%s %s: %s",
        spec.stage,
        out.stem,
        ", ".join(f"{n} {what}" for what, n in counts.most_common()) or "empty shard",
    )
    return {video_id: rows[video_id] for video_id in sorted(rows)}


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


def _stop_if_hopeless(last: Row, rows: Collection[Row], total: int, limit: float, stage: str) -> None:
    if last.status != FAILED or last.reason not in TRANSIENT:
        return
    failed = sum(row.status == FAILED and row.reason == last.reason for row in rows)
    if failed > limit * total:
        raise StopStage(
            f"{stage}: {failed} of {total} videos failed with {last.reason} (last: {last.detail}); "
            "nothing done is lost: remove the cause and run the same command again"
        )
