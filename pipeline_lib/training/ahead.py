"""Numbers of batches → the batches, made by a thread while the one before is learnt from."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
AHEAD = 2  # batches that wait


def ahead(make: Callable[[int], T], numbers: Iterable[int]) -> Iterator[T]:
    """`make` of each number, in order. One thread makes them, so that `make` needn't be safe for several."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[T]] = deque()
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
