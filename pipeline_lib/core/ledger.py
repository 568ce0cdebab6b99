"""Outcome of a stage for every video of a shard ↔ `<stage>/<shard>.parquet`, one row per id."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_lib.core.errors import UserError
from pipeline_lib.core.files import atomic
from pipeline_lib.core.ids import shard_name

OK, FAILED, SKIPPED = "ok", "failed", "skipped"

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("status", pa.string()),  # ok | failed | skipped
        ("reason", pa.string()),  # errors.Reason unless ok
        ("detail", pa.string()),  # one line
        ("artefact", pa.string()),  # relative to the work folder
        ("rows", pa.int64()),  # leading dimension of the artefact
        ("bytes", pa.int64()),
        ("sha256", pa.string()),  # of the artefact
        ("source_sha256", pa.string()),  # of what it was made from (or the source's version string)
        ("seconds", pa.float64()),
        ("attempts", pa.int32()),
        ("spec", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Row:
    """One video's outcome; the fields are the columns of SCHEMA."""

    video_id: str
    status: str
    reason: str | None = None
    detail: str | None = None
    artefact: str | None = None
    rows: int = 0
    bytes: int = 0
    sha256: str | None = None
    source_sha256: str = ""
    seconds: float = 0.0
    attempts: int = 0
    spec: str = ""

    @property
    def ok(self) -> bool:
        return self.status == OK


_NAMES = tuple(field.name for field in fields(Row))


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a ledger atomically, rows in the order given."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA)
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read(path: Path) -> dict[str, Row]:
    """Read a ledger as {video_id: row}, in file order."""
    try:
        table = pq.read_table(path, columns=list(_NAMES))
    except FileNotFoundError:
        raise UserError(f"ledger {path} does not exist; run its stage first") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise UserError(f"{path} is not a ledger ({error}); delete it and run its stage again") from None
    return {values["video_id"]: Row(**values) for values in table.to_pylist()}


def read_shards(folder: Path, shards: int) -> dict[str, Row]:
    """All ledgers of a stage, sorted by video id; ledgers of an older, larger number of shards are left alone."""
    rows: dict[str, Row] = {}
    for index in range(shards):
        rows.update(read(Path(folder) / f"{shard_name(index)}.parquet"))
    return dict(sorted(rows.items()))


def root(path: Path) -> Path:
    """The folder that artefact paths of a ledger are relative to (the work folder)."""
    return Path(path).absolute().parent.parent
