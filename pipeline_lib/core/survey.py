"""Work folder → what every stage has: specs with their artefacts, and how far each shard is."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_lib.core import files, ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.items import read_journal


@dataclass
class SpecState:
    """The artefacts of one spec of a stage.

    Attributes:
        live: whether a ledger of the stage is of this spec.
        written: when the newest of it was written, seconds since 1970.
    """

    id: str
    content: dict[str, object]
    live: bool = False
    videos: int = 0
    bytes: int = 0
    written: float = 0.0


@dataclass
class StageState:
    """A stage's progress over all shards.

    Attributes:
        finished: shards with a ledger. shards: all there are, None if not known yet.
        counts: videos per status (ok, failed, skipped) of the finished shards.
        reasons: of those that are not ok, but for `upstream`.
        begun: videos done in shards without a ledger, by their journals.
        seconds, timed: time that the finished videos took, and their number.
    """

    name: str
    finished: int = 0
    shards: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    bytes: int = 0
    seconds: float = 0.0
    timed: int = 0
    specs: dict[str, SpecState] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """Seconds per video, or None before there is one."""
        return self.seconds / self.timed if self.timed else None

    @property
    def done(self) -> int:
        """Videos that the stage is through with, whatever became of them."""
        return sum(self.counts.values()) + self.begun

    def left(self, videos: int | None) -> float | None:
        """Seconds that one process would need for what is left of `videos`, or None where that isn't known."""
        if videos is None or self.rate is None:
            return None
        return max(videos - self.done, 0) * self.rate


def require(work: Path) -> None:
    """Raise UserError where there is no work folder."""
    if not work.is_dir():
        raise UserError(f"no work folder {work}; give its path")


def shard_sizes(work: Path) -> dict[str, int] | None:
    """{shard: number of videos}, or None before the split."""
    path = work / "shards.json"
    return files.read_json(path) if path.exists() else None


def stages(work: Path) -> list[StageState]:
    """Every stage that has a ledger or artefacts, in the order in which their first ledgers were written."""
    sizes = shard_sizes(work)
    found = [_stage(folder, sizes) for folder in _folders(work)]
    return sorted(found, key=lambda stage: (_first(work / stage.name), stage.name))


def _folders(work: Path) -> Iterator[Path]:
    for folder in sorted(work.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and (folder / "items").is_dir():
            yield folder


def _first(folder: Path) -> float:
    return min((path.stat().st_mtime for path in folder.glob("items/*/spec.json")), default=float("inf"))


def _stage(folder: Path, sizes: dict[str, int] | None) -> StageState:
    state = StageState(folder.name, shards=len(sizes) if sizes is not None else None)
    ledgers = [path for path in sorted(folder.glob("*.parquet")) if sizes is None or path.stem in sizes]
    live = set()
    for path in ledgers:
        state.finished += 1
        for row in ledger.read(path).values():
            live.add(row.spec)
            state.counts[row.status] += 1
            state.bytes += row.bytes
            if row.reason and row.reason != "upstream":
                state.reasons[row.reason] += 1
            if row.attempts:
                state.seconds, state.timed = state.seconds + row.seconds, state.timed + 1
    for spec in sorted((folder / "items").iterdir()):
        if spec.is_dir():
            state.specs[spec.name] = _spec(spec, live)
    done = {path.stem for path in ledgers}
    state.begun = _begun(folder, {shard for shard in sizes or {} if shard not in done})
    return state


def _begun(folder: Path, shards: set[str]) -> int:
    """Videos done in shards without a ledger, of the spec that each shard's newest journal is of."""
    newest: dict[str, Path] = {}
    for path in sorted((folder / "items").glob("*/*/journal.jsonl"), key=lambda path: path.stat().st_mtime):
        newest[path.parent.name] = path
    return sum(len(read_journal(path)) for shard, path in newest.items() if shard in shards)


def _spec(folder: Path, live: set[str]) -> SpecState:
    try:
        content = json.loads((folder / "spec.json").read_text())
    except (FileNotFoundError, ValueError):
        content = {}
    state = SpecState(folder.name, content, folder.name in live)
    for journal in folder.glob("*/journal.jsonl"):
        rows = [row for row in read_journal(journal).values() if row.ok]
        state.videos += len(rows)
        state.bytes += sum(row.bytes for row in rows)
        state.written = max(state.written, journal.stat().st_mtime)
    return state
