"""Items and a function that yields parts of one → the parts of all, from several threads, as they come.

Decoders are processes of their own, so their threads wait most of the time. Only the order within an item is fixed.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Protocol, TypeVar

import numpy as np

from pipeline_lib.core.errors import ItemError, Reason, StopStage, UserError, one_line
from pipeline_lib.video.decode import Frame
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.sampling import Sampling

log = logging.getLogger(__name__)
Item = TypeVar("Item")

#: (item, a part of it), or (item, None) once behind its last part, or (item, why there is no more of it).
Part = tuple[Item, np.ndarray | ItemError | None]

_AHEAD = 2  # parts per thread that wait to be taken
_LOOK = 0.2  # seconds after which a waiting thread looks whether it is to end


class Decoder(Protocol):
    """What is used of video.worker.Worker."""

    def probe(self, path: Path) -> VideoInfo: ...

    def frames(self, path: Path, sampling: Sampling) -> Iterator[Frame]: ...


def side_by_side(
    items: list[Item],
    parts: Callable[[Item, Decoder], Iterator[np.ndarray]],
    threads: int,
    decoder: Callable[[], AbstractContextManager[Decoder]],
) -> Generator[Part[Item], None, None]:
    """Every item's parts, then None or its error; items of several threads interleave.

    Faults of this program are the error `internal` of one item; a UserError, StopStage or a decoder that doesn't start
    ends it all.
    """
    todo: Queue[Item] = Queue()
    for item in items:
        todo.put(item)
    ready: Queue[Part[Item] | BaseException | None] = Queue(_AHEAD * threads)
    stop = threading.Event()

    def put(message: Part[Item] | BaseException | None) -> None:
        while not stop.is_set():
            with contextlib.suppress(Full):
                ready.put(message, timeout=_LOOK)
                return

    def one(item: Item, running: Decoder) -> None:
        try:
            for part in parts(item, running):
                put((item, part))
                if stop.is_set():
                    return
            put((item, None))
        except ItemError as error:
            put((item, error))
        except (UserError, StopStage):
            raise
        except Exception as error:
            log.exception("unexpected error on %s", item)
            put((item, ItemError(Reason.INTERNAL, one_line(f"{type(error).__name__}: {error}"))))

    def work() -> None:
        try:
            with decoder() as running, contextlib.suppress(Empty):
                while not stop.is_set():
                    one(todo.get_nowait(), running)
            put(None)
        except BaseException as error:
            put(error)

    workers = range(min(threads, max(1, len(items))))
    running = [threading.Thread(target=work, name=f"side_by_side-{i}", daemon=True) for i in workers]
    for thread in running:
        thread.start()
    try:
        left = len(running)
        while left:
            message = ready.get()
            if isinstance(message, BaseException):
                raise message
            if message is None:
                left -= 1
            else:
                yield message
    finally:
        stop.set()
        for thread in running:
            thread.join()
