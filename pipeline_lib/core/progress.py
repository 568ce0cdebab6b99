"""Items done → a bar on a terminal, one line per interval in a log file, with rate and time left."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
log = logging.getLogger(__name__)


def track(
    items: Iterable[T], what: str, total: int | None = None, unit: str = "videos", interval: float = 30.0
) -> Iterator[T]:
    """Yield the items of `items`, showing progress on standard error.

    Args:
        items: what is worked through; `total` is its length unless given.
        what: name of the work, e.g. "s3d 0003".
        unit: what one item is.
        interval: seconds between two lines when standard error is not a terminal.
    """
    total = total if total is not None else (len(items) if isinstance(items, Sized) else None)
    if sys.stderr.isatty():
        yield from _bar(items, what, total, unit)
    else:
        yield from _lines(items, what, total, unit, interval)


def _bar(items: Iterable[T], what: str, total: int | None, unit: str) -> Iterator[T]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, TimeRemainingColumn(), transient=True) as progress:
        task = progress.add_task(what, total=total, rate="")
        start = time.monotonic()
        for done, item in enumerate(items, 1):
            yield item
            progress.update(task, advance=1, rate=f"{done / max(time.monotonic() - start, 1e-9):.2f} {unit}/s")


def _lines(items: Iterable[T], what: str, total: int | None, unit: str, interval: float) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= interval:
            last = now
            rate = done / (now - start)
            left = f", {(total - done) / rate:.0f} s left" if total else ""
            log.info("%s: %d of %s %s, %.2f %s/s%s", what, done, total or "?", unit, rate, unit, left)
