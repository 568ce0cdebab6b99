"""Units of many videos as they are decoded → network batches across videos → the rows of every video.

A unit is what gets a row: a frame, or a window of frames. Units of one shape share batches, whichever videos they are
from. On a GPU a batch is filled up by repeating its last unit, so that the network sees one shape and a row doesn't
depend on how many units were left.
"""

import logging
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from time import monotonic
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from pipeline_lib.core.errors import ItemError, Reason, one_line
from pipeline_lib.features.parallel import Part

Item = TypeVar("Item", bound=Hashable)
Forward = Callable[[np.ndarray], Sequence[Any]]  # (B, …) units → a row each
Kind = tuple[tuple[int, ...], str]  # shape and type of a unit

log = logging.getLogger(__name__)
_WAITING = 4  # batches' worth of units that may wait for others of their shape
#: The last two are what cuBLAS and cuDNN say when there is no room left for their handle or workspace.
_MESSAGES = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "status_alloc_failed",
    "unable to find an engine",
)


class Batches(Generic[Item]):
    """Collects units, runs the network on full batches, and keeps the rows of each video in the order of its units.

    Args:
        forward: the network.
        size: units per batch; halved, for good, whenever a batch doesn't fit into memory.
        fill: repeat the last unit of an incomplete batch.
    """

    def __init__(self, forward: Forward, size: int, fill: bool) -> None:
        self.forward, self.size, self.fill = forward, size, fill
        self.busy = 0.0  # seconds in the network
        self.units = 0
        self._waiting: dict[Kind, list[tuple[Item, int, np.ndarray]]] = {}
        self._rows: dict[Item, dict[int, Any]] = {}  # by number of the unit: of several shapes, they come out of turn
        self._left: dict[Item, int] = {}  # units that still wait
        self._ended: set[Item] = set()
        self._given_up: set[Item] = set()  # out of memory, while more of their units may come

    def across(self, parts: Iterable[Part[Item]]) -> Generator[tuple[Item, list[Any] | ItemError], None, None]:
        """(video, its rows or why there are none) of every video in `parts`, as they are finished."""
        for item, content in parts:
            if item in self._given_up:  # it has its result; what comes later must not become a second one
                continue
            if isinstance(content, np.ndarray):
                yield from self._add(item, content)
            elif content is None:
                self._ended.add(item)
                yield from self._finished([item])
            else:
                self._forget(item)
                yield item, content
        while self._waiting:
            yield from self._flush(next(iter(self._waiting)))

    def _add(self, item: Item, unit: np.ndarray) -> Generator[tuple[Item, list[Any] | ItemError], None, None]:
        kind = (unit.shape, unit.dtype.str)
        number = len(self._rows.setdefault(item, {})) + self._left.get(item, 0)
        self._left[item] = self._left.get(item, 0) + 1
        self._waiting.setdefault(kind, []).append((item, number, unit))
        if len(self._waiting[kind]) >= self.size:
            yield from self._flush(kind)
        elif sum(map(len, self._waiting.values())) >= _WAITING * self.size:
            yield from self._flush(next(iter(self._waiting)))  # the shape that waits longest

    def _flush(self, kind: Kind) -> Generator[tuple[Item, list[Any] | ItemError], None, None]:
        """Run all waiting units of a shape."""
        waiting = self._waiting.pop(kind)
        touched = dict.fromkeys(item for item, _, _ in waiting)
        while waiting:
            part = waiting[: self.size]
            try:
                rows = self._run([unit for _, _, unit in part])
            except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
                if not is_memory(error):
                    raise
                problem = one_line(error)
            else:
                waiting = waiting[len(part) :]
                for (item, number, _), row in zip(part, rows, strict=True):
                    self._rows[item][number] = row
                    self._left[item] -= 1
                continue
            if torch.cuda.is_available():  # out here, because the exception's traceback holds the network's tensors
                torch.cuda.empty_cache()
            if self.size > 1:
                self.size //= 2
                log.warning("out of memory: going on with batches of %d", self.size)
                continue
            item = part[0][0]
            waiting = [one for one in waiting if one[0] != item]
            touched.pop(item)
            self._forget(item)
            self._given_up.add(item)
            yield item, ItemError(Reason.OUT_OF_MEMORY, problem)
        yield from self._finished(list(touched))

    def _run(self, units: list[np.ndarray]) -> Sequence[Any]:
        began = monotonic()
        filling = [units[-1]] * (self.size - len(units)) if self.fill else []
        rows = self.forward(np.stack(units + filling))
        self.busy += monotonic() - began
        self.units += len(units)
        return rows[: len(units)]

    def _finished(self, items: list[Item]) -> Generator[tuple[Item, list[Any] | ItemError], None, None]:
        for item in items:
            if item in self._ended and not self._left.get(item):
                rows = self._rows.get(item, {})
                self._forget(item)
                yield item, [rows[number] for number in sorted(rows)]

    def _forget(self, item: Item) -> None:
        """Drop what is left of a video, waiting units too."""
        self._rows.pop(item, None)
        self._left.pop(item, None)
        self._ended.discard(item)
        for kind, waiting in list(self._waiting.items()):
            self._waiting[kind] = [one for one in waiting if one[0] != item]
            if not self._waiting[kind]:
                del self._waiting[kind]


def is_memory(error: Exception) -> bool:
    """Whether it says that memory ran out, in whosever words."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in text for words in _MESSAGES)
