"""Outcome of a stage for every video of a shard ↔ `<stage>/<shard>.parquet`, one row per id."""

import contextlib
import gc
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

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


class Row(NamedTuple):
    """One video's outcome; the fields are the columns of SCHEMA. A tuple, because 10⁶ of them are read at once."""

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


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Many small objects are about to be made, and none dies: looking for garbage among them would take longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a ledger atomically, rows in the order given; half a surrogate pair in an id, which no text holds, as \\udXXX."""
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    try:
        arrays = list(map(pa.array, columns, SCHEMA.types))
    except UnicodeEncodeError:
        columns[0] = tuple(video_id.encode("utf-8", "backslashreplace").decode() for video_id in columns[0])
        arrays = list(map(pa.array, columns, SCHEMA.types))
    with atomic(path) as temporary:
        pq.write_table(pa.table(arrays, schema=SCHEMA), temporary, compression="zstd")


def read(path: Path) -> dict[str, Row]:
    """Read a ledger as {video_id: row}, in file order."""
    rows = _rows(columns(path, Row._fields))
    return {row.video_id: row for row in rows}


def _rows(table: pa.Table | pa.RecordBatch) -> list[Row]:
    """Rows, columns that aren't there at their defaults; made by the tuple's own constructor, in half the time of Row's."""
    there = set(table.schema.names)
    with _uncollected():
        values = [
            table.column(name).to_pylist() if name in there else [Row._field_defaults[name]] * len(table)
            for name in Row._fields
        ]
        return list(map(partial(tuple.__new__, Row), zip(*values, strict=True)))


def columns(path: Path, names: Sequence[str]) -> pa.Table:
    """Some columns of a ledger, for who needs no rows.

    Raises:
        UserError: there is no such ledger, or it is none.
    """
    try:
        table: pa.Table = pq.ParquetFile(path, pre_buffer=False).read(list(names), use_threads=False)
        return table.select(list(names))  # raises for a column that isn't there, and sees to the order
    except FileNotFoundError:
        raise UserError(f"ledger {path} does not exist; run its stage first") from None
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise UserError(f"{path} is not a ledger ({error}); delete it and run its stage again") from None


def read_shards(folder: Path, shards: int, names: Sequence[str] = Row._fields) -> dict[str, Row]:
    """All ledgers of a stage, sorted by video id; ledgers of an older, larger number of shards are left alone.

    Args:
        names: columns to read, among them video_id and status; 10⁶ whole rows take 1.1 GB.

    Raises:
        UserError: as `columns`.
    """
    import pyarrow.compute as pc
    import pyarrow.dataset as ds  # a quarter of a second, which single ledgers needn't spend

    paths = [Path(folder) / f"{shard_name(index)}.parquet" for index in range(shards)]
    filled = [name for name in names if Row._field_defaults.get(name, "") is not None]
    rows: list[Row] = []
    video_ids: list[pa.Array] = []
    try:
        scan = ds.dataset([str(path) for path in paths], SCHEMA, format="parquet").scanner(list(names))
        with _uncollected():
            for batch in scan.to_batches():  # the next files are read meanwhile, by threads that need no Python
                if any(batch.column(name).null_count for name in filled):
                    raise pa.ArrowInvalid("a column is missing")
                rows += _rows(batch)
                video_ids.append(batch.column("video_id"))
            order = pc.sort_indices(pa.chunked_array(video_ids, pa.string()).combine_chunks())
            return {row.video_id: row for row in map(rows.__getitem__, order.to_pylist())}
    except (FileNotFoundError, pa.ArrowInvalid, pa.ArrowTypeError, OSError):
        for path in paths:
            columns(path, names)  # says which it is
        raise


def root(path: Path) -> Path:
    """The folder that artefact paths of a ledger are relative to (the work folder)."""
    return Path(path).absolute().parent.parent
