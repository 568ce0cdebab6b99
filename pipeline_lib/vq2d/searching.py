"""A clip and its queries → what a detector finds for each, with the clip's frames looked at once for all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from pipeline_lib.config.vq2d import Detection
from pipeline_lib.core.errors import ItemError, Reason, StopStage
from pipeline_lib.features.batching import is_memory
from pipeline_lib.vq2d import crop
from pipeline_lib.vq2d.annotations import Query, doubts
from pipeline_lib.vq2d.clip_reader import Reader
from pipeline_lib.vq2d.detectors import Detector, Found

BACKGROUND = 16  # frames, evenly spread over the clip, that tell what is common in it

Size = tuple[int, int]  # original width and height


@dataclass
class Search:
    """One query: its search window, and what was found in it so far.

    Attributes:
        boxes: per frame (n, 4) int32 in original pixels.
        scores: per frame (n,) float32.
        similarity: per frame that of the first box, or None.
    """

    name: str
    query: Query
    window: list[int]
    direction: Any = None  # what the detector knows of it
    boxes: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    similarity: list[float | None] = field(default_factory=list)

    @property
    def size(self) -> Size:
        """Of the frames that the annotation is about."""
        return self.query.visual_crop.original_width, self.query.visual_crop.original_height

    @property
    def next(self) -> int | None:
        """The frame to search now; None when done."""
        done = len(self.boxes)
        return self.window[done] if done < len(self.window) else None

    def add(self, found: Found, scale: float) -> None:
        """Take down what was found in the next frame."""
        self.boxes.append(crop.to_original(found.boxes, scale))
        self.scores.append(found.scores)
        self.similarity.append(found.similarity)


def search_clip(
    queries: Sequence[tuple[str, Query]],
    reader: Reader,
    detector: Callable[[], Detector],
    options: Detection,
    batch: int,
) -> Iterator[tuple[str, Search | ItemError]]:
    """(name, result or why there is none) of every query of one clip, each once, as they are done.

    Args:
        detector: gives it; called only if there is something to search.
        batch: pictures per forward pass; an incomplete one is filled up, so that no result depends on the other queries.
    """
    clip_uid = str(queries[0][1].clip_uid)
    try:
        count = reader.count(clip_uid)
    except ItemError as error:
        yield from ((name, error) for name, _ in queries)
        return
    searches = []
    for name, query in queries:
        doubt = next(iter(doubts(query, count)), None)
        if doubt is not None:
            short = f"the clip has {count} frames" in doubt
            yield name, ItemError(Reason.TOO_SHORT if short else Reason.BAD_ANNOTATION, doubt)
            continue
        window = crop.search_window(query.query_frame, options.recency_factor, options.subsampling_factor)
        searches.append(Search(name, query, window))
    searches.sort(key=lambda one: one.size)
    for size, group in groupby(searches, key=lambda one: one.size):
        yield from _search(clip_uid, count, size, list(group), reader, detector(), options, batch)


def _search(
    clip_uid: str,
    count: int,
    size: Size,
    searches: list[Search],
    reader: Reader,
    detector: Detector,
    options: Detection,
    batch: int,
) -> Iterator[tuple[str, Search | ItemError]]:
    """The queries of a clip that give its frames the same original size."""
    waiting = {one.name: one for one in searches}
    try:
        background = _prepare(clip_uid, count, size, waiting, reader, detector, options)
        numbers = sorted(set().union(*(one.window for one in waiting.values())))
        for some in _batches(reader.frames(clip_uid, numbers), batch):
            pictures, scales = zip(
                *(crop.scaled(frame, size, options.downscale_height) for _, frame in some), strict=True
            )
            filled = np.stack([*pictures, *[pictures[-1]] * (batch - len(pictures))])
            regions = detector.regions(filled, background)[: len(pictures)]
            for (number, _), scale, one in zip(some, scales, regions, strict=True):
                for search in waiting.values():
                    if search.next == number:
                        search.add(detector.find(one, search.direction), scale)
            for name in [name for name, search in waiting.items() if search.next is None]:
                yield name, waiting.pop(name)
        if waiting:
            raise ItemError(Reason.UNDECODABLE, f"decoding of clip {clip_uid} ended early; make the clip again")
    except ItemError as error:
        yield from ((name, error) for name in waiting)
    except (RuntimeError, MemoryError) as error:
        if not is_memory(error):
            raise
        raise StopStage(
            f"vq2d.detection.batch = {batch} pictures don't fit into the device's memory; lower it and run again,"
            " nothing done is lost"
        ) from None


def _prepare(
    clip_uid: str,
    count: int,
    size: Size,
    waiting: dict[str, Search],
    reader: Reader,
    detector: Detector,
    options: Detection,
) -> Any:
    """Look at frames spread over the clip and at the crops; returns the background."""
    spread = np.linspace(0, count - 1, min(BACKGROUND, count)).astype(int).tolist()
    crops = {one.query.visual_crop.frame_number for one in waiting.values()}
    shown = dict(reader.frames(clip_uid, sorted({*spread, *crops})))
    missing = sorted({*spread, *crops} - shown.keys())
    if missing:
        raise ItemError(
            Reason.UNDECODABLE, f"frame {missing[0]} of clip {clip_uid} can't be decoded; make the clip again"
        )
    height = options.downscale_height
    background = detector.background(np.stack([crop.scaled(shown[number], size, height)[0] for number in spread]))
    for search in waiting.values():
        box = search.query.visual_crop
        reference = crop.reference(shown[box.frame_number], box, height, options.reference_pad, options.reference_size)
        search.direction = detector.query(reference, background)
    return background


def _batches(frames: Iterator[tuple[int, np.ndarray]], size: int) -> Iterator[list[tuple[int, np.ndarray]]]:
    some: list[tuple[int, np.ndarray]] = []
    for frame in frames:
        some.append(frame)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some
