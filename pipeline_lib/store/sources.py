"""Stage folder, folder of .npy or .npz files, or merged file → what a merge is to put into one HDF5, and of what kind it is."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_lib.core import ids as video_ids
from pipeline_lib.core import ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import Row
from pipeline_lib.store import arrays
from pipeline_lib.store.layouts import require_names
from pipeline_lib.store.pieces import Entry, Piece, Squeeze


@dataclass
class Sources:
    """All arrays of a merge."""

    entries: list[Entry]  # sorted by the UTF-8 bytes of the ids
    spec: str  # JSON of what the features are, "{}" if nobody said
    counts: Counter[str] = field(default_factory=Counter)  # for the summary: what happened to how many
    of_stage: bool = False  # whether ledgers tell of them
    of_one_row: int = 0  # plain .npy of a single row
    digest: str | None = None  # of ids and artefacts, if their sha256 are known without reading them

    @property
    def summary(self) -> str:
        """How many videos and other files there were, by what became of them."""
        told = ", ".join(f"{n} {what}" for what, n in self.counts.most_common()) or "no videos"
        if self.of_one_row:
            told += f"; {self.of_one_row} video{'s' * (self.of_one_row > 1)} of one row stays 2-D (1, …), "
            told += "unlike npy2hdf5's: --squeeze all"
        return told

    def noting(self, batches: Iterable[list[Piece]]) -> Iterator[list[Piece]]:
        """The batches, with a look at what the summary is to tell of them."""
        self.of_one_row = 0
        for batch in batches:
            if self.entries and self.entries[0].squeeze is Squeeze.ROWS:
                self.of_one_row += sum(piece.first and piece.shape[0] == 1 for piece in batch)
            yield batch

    @property
    def of_objects(self) -> bool:
        """Whether these are object features, a group of arrays per video."""
        return bool(self.entries) and self.of_stage and self.entries[0].path.endswith(".npz")


def of_stage(folder: Path, shards: int | None) -> Sources:
    """Artefacts of all videos that are ok in a stage's ledgers.

    Args:
        folder: of the stage, with its ledgers and items/.
        shards: number of its ledgers; None finds out.

    Raises:
        UserError: the ledgers are of different specs, or an artefact is missing or has another size than its ledger says.
    """
    shards = shards or _count_shards(folder)
    root = ledger.root(folder / "ledger")
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}  # spec → a video of it
    kept: list[tuple[str, str, str | None, int]] = []  # not whole rows: 10⁵ of them take 100 MB
    for index in range(shards):
        for row in ledger.read(folder / f"{video_ids.shard_name(index)}.parquet").values():
            counts[str(row.reason or row.status)] += 1
            example[row.spec] = min(row.video_id, example.get(row.spec, row.video_id))
            if row.ok:
                kept.append((row.video_id, str(_artefact(root, row)), row.sha256, row.bytes))
    kept.sort()
    spec = _spec_text(folder, example)
    digest = None
    if all(sha256 for _, _, sha256, _ in kept):
        lines = "".join(f"{video_id}\t{sha256}\t{size}\n" for video_id, _, sha256, size in kept)
        digest = hashlib.sha256(lines.encode()).hexdigest()
    require_names((video_id for video_id, *_ in kept), folder)
    return Sources([Entry(video_id, path) for video_id, path, *_ in kept], spec, counts, of_stage=True, digest=digest)


def of_folder(folder: Path, key: str, squeeze: Squeeze) -> Sources:
    """All .npy and .npz of a folder, by their file names without the suffix; other files are only counted.

    Args:
        folder: of the files; folders in it are left alone.
        key: name of the array in an .npz.
        squeeze: of .npy, see `pieces.squeezed`; what is in an .npz keeps its shape, as in MESM's npy2hdf5.

    Raises:
        UserError: two files of one id, or a name that can't be a dataset's.
    """
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 (10⁶ Path objects take seconds)
            if entry.name.startswith(".") or suffix not in (".npy", ".npz") or not entry.is_file():
                counts[f"{suffix or 'other'} ignored"] += 1
            elif stem in found:
                raise UserError(f"{folder} has both {stem}.npy and {stem}.npz; remove one of them")
            else:
                found[stem] = suffix
                counts[suffix] += 1
    require_names(found, folder)
    if not found:
        ignored = ", ".join(f"{n} {what}" for what, n in counts.items()) or "nothing"
        raise UserError(f"{folder} has no .npy or .npz file ({ignored}); give the folder of the features")
    made = []
    for stem in sorted(found):
        npz = found[stem] == ".npz"
        path = os.path.join(folder, stem + found[stem])  # noqa: PTH118 (as above)
        made.append(Entry(stem, path, key if npz else None, Squeeze.NONE if npz else squeeze))
    return Sources(made, "{}", counts)


def is_stage(folder: Path) -> bool:
    """Whether a folder is that of a stage rather than of plain files."""
    return (folder / f"{video_ids.shard_name(0)}.parquet").is_file() and (folder / "items").is_dir()


def _count_shards(folder: Path) -> int:
    """Number of ledgers, if every video stands in the one that it would have with that number."""
    count = 0
    while (folder / f"{video_ids.shard_name(count)}.parquet").is_file():
        count += 1
    for index in range(count):
        for video_id in ledger.read(folder / f"{video_ids.shard_name(index)}.parquet"):
            if video_ids.shard_of(video_id, count) != index:
                raise UserError(
                    f"{folder} has {count} ledgers, but {video_id} stands in {video_ids.shard_name(index)}.parquet: "
                    "some are of an older run; give the number of ledgers with --shards"
                )
    if not count:
        raise UserError(f"{folder} has no ledger; run its stage first")
    return count


def _artefact(root: Path, row: Row) -> Path:
    """Where a video's artefact is, after a look at its size."""
    path = root / str(row.artefact)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"{path} is missing though its ledger has it; run its stage again") from None
    if size != row.bytes:
        raise UserError(f"{path} has {size} bytes, its ledger says {row.bytes}; {arrays.RERUN}")
    if path.suffix not in (".npy", ".npz"):
        raise UserError(f"{path} is neither .npy nor .npz; merge the stage that makes features")
    return path


def _spec_text(folder: Path, example: dict[str, str]) -> str:
    """The JSON of the one spec that all rows are of; "{}" when there are no videos at all."""
    if len(example) > 1:
        (one, its), (other, others) = sorted(example.items())[:2]
        raise UserError(
            f"{folder} mixes spec {one} (video {its}) with spec {other} (video {others}); "
            "run the stage again for all shards, so that one spec remains"
        )
    if not example:
        return "{}"
    path = folder / "items" / next(iter(example)) / "spec.json"
    if not path.is_file():
        raise UserError(f"{path} is missing, so what the features are is unknown; run the stage again")
    return path.read_text(encoding="utf-8").strip()
