"""What is known of the videos of a shard that passed due diligence ↔ one table, `due_diligence/facts/<shard>.parquet`.

Near-duplicates and the report read these tables: a file per shard instead of one per video.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_lib.core.errors import UserError
from pipeline_lib.core.files import atomic
from pipeline_lib.core.ids import shard_name

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("url", pa.string()),
        ("sha256", pa.string()),  # of the video file
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),  # counted
        ("seconds", pa.float64()),
        ("codec", pa.string()),
        ("audio", pa.bool_()),
        ("caption_kind", pa.string()),  # manual | auto | asr | none
        ("segments", pa.int32()),
        ("words", pa.int32()),
        ("language", pa.string()),  # as detected; "" where it can't be
        ("confidence", pa.float64()),
        ("hashes", pa.list_(pa.string())),  # 16 hex digits per picture, null for one that shows nothing
    ]
)


@dataclass(frozen=True, slots=True)
class Facts:
    """One video; the fields are the columns of SCHEMA."""

    video_id: str
    url: str = ""
    sha256: str = ""
    bytes: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    seconds: float = 0.0
    codec: str = ""
    audio: bool = False
    caption_kind: str = "none"
    segments: int = 0
    words: int = 0
    language: str = ""
    confidence: float = 0.0
    hashes: tuple[str | None, ...] = ()


_NAMES = [field.name for field in fields(Facts)]


def path_of(ledger: Path) -> Path:
    """Where the facts of a shard are, given the ledger of its due diligence."""
    return ledger.parent / "facts" / ledger.name


def write(path: Path, videos: Iterable[Facts]) -> None:
    """Write a table atomically."""
    table = pa.Table.from_pylist([asdict(one) for one in videos], schema=SCHEMA)
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read(path: Path) -> list[Facts]:
    """Read a table, in file order."""
    try:
        table = pq.read_table(path, columns=_NAMES)
    except (FileNotFoundError, pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise UserError(f"{path} holds no facts ({error}); run due_diligence of its shard again") from None
    columns = [table.column(name).to_pylist() for name in _NAMES]
    columns[-1] = [tuple(hashes) for hashes in columns[-1]]
    return [Facts(*values) for values in zip(*columns, strict=True)]


def read_shards(folder: Path, shards: int) -> list[Facts]:
    """All tables below the folder of due diligence, sorted by video id."""
    found = [one for index in range(shards) for one in read(path_of(folder / f"{shard_name(index)}.parquet"))]
    return sorted(found, key=lambda one: one.video_id)
