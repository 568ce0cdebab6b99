"""Clips and a function → a product per clip in a flat folder, and a ledger: the loop that `clips` and `frames` share.

    OUT/<clip_uid>.mp4, OUT/<clip_uid>/            the products, named as other people's tools expect them
    OUT/ledger/0000.parquet                        what became of every clip of a shard
    OUT/ledger/items/<spec>/0000/<clip_uid>.json   receipts: what the stage loop takes for the artefacts

A receipt whose product is gone or damaged is torn up, so that the product is made again.
"""

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Any, Protocol

import typer

from pipeline_lib.config.video import Limits
from pipeline_lib.core import files, ids
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.items import Item, Write
from pipeline_lib.core.ledger import Row
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import run_stage
from pipeline_lib.video.worker import Worker

log = logging.getLogger(__name__)

#: Command-line arguments of what works on clips.
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="clips worked on at once")]
Shard = Annotated[int | None, typer.Option(help="only this one of --shards parts, from 0")]
Shards = Annotated[int, typer.Option(min=1, help="parts that the clips are split into, for several machines")]

Receipt = dict[str, Any]


class Product(Protocol):
    """What is made of a clip."""

    @property
    def out(self) -> Path:
        """The folder of all products."""

    @property
    def suffix(self) -> str:
        """Of a product's name; "" for a folder."""

    def version(self, clip_uid: str) -> str:
        """A short string that changes when what it is made from changes."""

    def whole(self, clip_uid: str, receipt: Receipt) -> bool:
        """Whether the product still is what its receipt says; asked on every run, so a look must do."""

    def make(self, worker: Worker, clip_uid: str, entry: dict[str, Any]) -> Receipt:
        """Make it, or find that it is there already; the receipt has `frames`, their number. Raises ItemError."""


def bring(
    product: Product,
    spec: Spec,
    clips: dict[str, dict[str, Any]],
    shard: int | None = None,
    shards: int = 1,
    jobs: int = 1,
    limits: Limits | None = None,
    max_failed_fraction: float = 0.5,
) -> None:
    """Bring every clip of a shard, or of all of them, to a product or a reason; what failed is named."""
    rows: dict[str, Row] = {}
    for number in numbers(shard, shards):
        mine = {uid: entry for uid, entry in clips.items() if ids.shard_of(uid, shards) == number}
        ledger = product.out / "ledger" / f"{ids.shard_name(number)}.parquet"
        wanted = ledger.with_suffix(".json")
        files.write_json(wanted, mine)
        _tear_up(ledger.parent / "items" / spec.id / ledger.stem, product)
        rows |= run_stage(
            spec,
            wanted,
            ledger,
            produce=partial(_produce, product, jobs, limits or Limits()),
            suffix=".json",
            version=product.version,
            max_failed_fraction=max_failed_fraction,
        )
    for uid, row in rows.items():
        if not row.ok:
            log.warning("%s: %s: %s", uid, row.reason, row.detail)
    log.info("%s: %s", spec.stage.removeprefix("vq2d_"), summary(rows))


def numbers(shard: int | None, shards: int) -> Sequence[int]:
    """The shards to work on: the one that was asked for, or all."""
    if shard is None:
        return range(shards)
    if not 0 <= shard < shards:
        raise UserError(f"--shard {shard} of --shards {shards}: shards are counted from 0")
    return [shard]


def _tear_up(receipts: Path, product: Product) -> None:
    """Delete the receipts of products that aren't what they say."""
    for path in receipts.glob("*.json"):
        try:
            good = product.whole(path.stem, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError):
            good = False
        if not good:
            path.unlink(missing_ok=True)


def _produce(
    product: Product, jobs: int, limits: Limits, items: list[Item]
) -> Generator[tuple[Item, Write], None, None]:
    """Several clips at once, each thread with a decoding process of its own."""
    for item in items:
        _clean(product, item.video_id)
    with contextlib.ExitStack() as closing:
        idle: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(min(jobs, max(1, len(items)))):
            idle.put(closing.enter_context(Worker(limits)))
        pool = closing.enter_context(ThreadPoolExecutor(jobs))
        closing.callback(pool.shutdown, cancel_futures=True)

        def make(item: Item) -> Receipt:
            worker = idle.get()
            try:
                return product.make(worker, item.video_id, item.entry)
            finally:
                idle.put(worker)

        futures = {pool.submit(make, item): item for item in items}
        for future in as_completed(futures):
            yield futures[future], partial(_receipt, future)


def _receipt(future: "Future[Receipt]", to: Path) -> int:
    receipt = future.result()
    to.write_text(json.dumps(receipt, sort_keys=True) + "\n", encoding="utf-8")
    return int(receipt["frames"])


def _clean(product: Product, clip_uid: str) -> None:
    """Remove what a killed run of this shard left half done of a clip; the shard's lock is held."""
    for path in files.partials_of(product.out / f"{clip_uid}{product.suffix}"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def require(folder: Path, names: Iterable[str], is_there: Callable[[str], object], fix: str) -> None:
    """Refuse a folder that can't be the one that is meant; a folder with some of what is wanted will do.

    Args:
        folder: that is read.
        names: what is wanted in it; if nothing is, the folder only has to exist.
        is_there: whether it holds what belongs to a name.
        fix: what to do, for the message.

    Raises:
        UserError: no such folder, or nothing of what is wanted is in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; {fix}")
    first = None
    for name in names:
        if is_there(name):
            return
        first = first or name
    if first is not None:
        raise UserError(f"{folder} holds nothing of what is wanted, neither {first} nor any other; {fix}")


def is_filling(folder: Path, shard: int | None) -> bool:
    """Whether clips of other shards may still be on their way into a folder: then one shard's run may find none."""
    return shard is not None and (folder / "ledger").is_dir()


def stamp(path: Path) -> str:
    """What tells a file from its earlier contents at a glance; "" for a missing one."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return ""
    return f"{state.st_size}-{state.st_mtime_ns}"


def summary(rows: dict[str, Row]) -> str:
    """Counts of outcomes, in words."""
    counts: dict[str, int] = {}
    for row in rows.values():
        counts[str(row.reason or row.status)] = counts.get(str(row.reason or row.status), 0) + 1
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
