"""Work folder → what every stage has: specs with their artefacts, and how far each shard is."""

import functools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

from pipeline_lib.core import files, ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.items import REOPENED, read_journal
from pipeline_lib.core.ledger import OK

#: Where ledgers lie in a work folder. Visual queries have theirs deeper, by split; those of clips and frames, whose products
#: lie in a flat folder, are in `ledger` beside these.
LEDGERS = ("*/*.parquet", "vq2d/*/detections.queries/*.parquet", "vq2d/*/*/ledger/*.parquet")


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


def ledgers(work: Path) -> list[Path]:
    """Every ledger of a work folder."""
    return sorted(path for pattern in LEDGERS for path in work.glob(pattern))


def stage_of(path: Path, work: Path) -> str:
    """The name of the stage that a ledger is of: its folder, for visual queries as `vq2d/val/clips`."""
    return path.parent.relative_to(work).as_posix().removesuffix("/ledger")


def of_queries(path: Path, work: Path) -> bool:
    """Whether a ledger is of visual queries: only the target vq2d names it; before another, snakemake is to be asked for it."""
    return path.is_relative_to(work / "vq2d")


def how_to_make(removed: Iterable[Path], work: Path) -> str:
    """What to ask snakemake for that removed ledgers of visual queries are made again; "" if there are none among them."""
    queries = [str(path) for path in removed if of_queries(path, work)]
    if not queries:
        return ""
    return f"for visual queries ask snakemake for the target vq2d; before another one name these: {' '.join(queries)}"


def stages(work: Path) -> list[StageState]:
    """Every stage of the videos that has a ledger or artefacts, in the order in which their first ledgers were written."""
    sizes = shard_sizes(work)
    found = [_stage(folder, sizes) for folder in _folders(work)]
    return sorted(found, key=lambda stage: (_first(work / stage.name), stage.name))


def query_stages(work: Path) -> list[StageState]:
    """The stages of visual queries, named by their folders: of clips and queries, in shards of their own.

    How many there are in all isn't known here: a shard's list is written when its job begins.
    """
    folders = {path.parent for pattern in LEDGERS[1:] for path in work.glob(str(Path(pattern).parent / "items"))}
    found = [_stage(folder, None) for folder in folders]
    for stage, folder in zip(found, folders, strict=True):
        stage.name = stage_of(folder / "0000.parquet", work)
    return sorted(found, key=lambda stage: stage.name)


def _folders(work: Path) -> Iterator[Path]:
    for folder in sorted(work.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and (folder / "items").is_dir():
            yield folder


def _first(folder: Path) -> float:
    return min((path.stat().st_mtime for path in folder.glob("items/*/spec.json")), default=float("inf"))


@dataclass(frozen=True)
class _Summary:
    """What a ledger adds to its stage; `specs` has the artefacts and their bytes of each spec that it names."""

    counts: Counter[str]
    reasons: Counter[str]
    seconds: float
    timed: int
    specs: dict[str, tuple[int, int]]


@functools.lru_cache(maxsize=100_000)
def _summary(path: Path, written: int, size: int) -> _Summary:
    """Of a ledger as it was written then: one that stays the same is read once, however often a run is looked at."""
    table = ledger.columns(path, ("status", "reason", "bytes", "seconds", "attempts", "spec"))
    status, reason, sizes, seconds, attempts, specs = (column.to_pylist() for column in table.columns)
    artefacts: dict[str, tuple[int, int]] = dict.fromkeys(specs, (0, 0))
    for of in artefacts:
        ok = [one == OK and spec == of for one, spec in zip(status, specs, strict=True)]
        artefacts[of] = (sum(ok), sum(compress(sizes, ok)))
    reasons = Counter(one for one in reason if one and one != "upstream")
    return _Summary(Counter(status), reasons, sum(compress(seconds, attempts)), sum(map(bool, attempts)), artefacts)


def _stage(folder: Path, sizes: dict[str, int] | None) -> StageState:
    state = StageState(folder.name, shards=len(sizes) if sizes is not None else None)
    done: dict[str, _Summary] = {}
    for path in sorted(folder.glob("*.parquet")):
        if sizes is None or path.stem in sizes:
            now = path.stat()
            done[path.stem] = _summary(path, now.st_mtime_ns, now.st_size)
    state.finished = len(done)
    for one in done.values():
        state.counts.update(one.counts)
        state.reasons.update(one.reasons)
        state.seconds, state.timed = state.seconds + one.seconds, state.timed + one.timed
        state.bytes += sum(size for _, size in one.specs.values())
    for spec in sorted((folder / "items").iterdir()):
        if spec.is_dir():
            state.specs[spec.name] = _spec(spec, {shard: one.specs for shard, one in done.items()})
    state.begun = _begun(folder, sizes, done)
    return state


def _begun(folder: Path, sizes: Collection[str] | None, finished: Collection[str]) -> int:
    """Videos done in shards without a ledger, of the spec that each shard's newest journal is of.

    Done is what the stage's loop would not do again (items.finished): a journal's line outlives its artefact, so it counts
    only while the artefact is there.
    """
    newest: dict[str, Path] = {}
    for path in sorted((folder / "items").glob("*/*/journal.jsonl"), key=lambda path: path.stat().st_mtime):
        newest[path.parent.name] = path
    return sum(
        row.source_sha256 != REOPENED and (not row.ok or files.is_whole(folder.parent / str(row.artefact), row.bytes))
        for shard, path in newest.items()
        if shard not in finished and (sizes is None or shard in sizes)
        for row in read_journal(path).values()
    )


def _spec(folder: Path, ledgers: dict[str, dict[str, tuple[int, int]]]) -> SpecState:
    """The state of a spec, by the ledgers {shard: {spec: artefacts, bytes}} of it, and by its journals in other shards."""
    try:
        content = json.loads((folder / "spec.json").read_text())
    except (FileNotFoundError, ValueError):
        content = {}
    live = any(folder.name in specs for specs in ledgers.values())
    state = SpecState(folder.name, content, live)
    for journal in folder.glob("*/journal.jsonl"):
        told = ledgers.get(journal.parent.name, {}).get(folder.name)
        if told is None:
            rows = [row for row in read_journal(journal).values() if row.ok]
            told = len(rows), sum(row.bytes for row in rows)
        state.videos, state.bytes = state.videos + told[0], state.bytes + told[1]
        state.written = max(state.written, journal.stat().st_mtime)
    return state
