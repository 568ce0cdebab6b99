"""VM2E2's vid_annotation.json → typed events per video: intervals, types, key frames with boxes (§1.7)."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError

FRAME = (640, 360)  # width and height in pixels that boxes refer to


@dataclass(frozen=True)
class Argument:
    """A participant of an event, marked in a key frame.

    Attributes:
        box: x1 y1 x2 y2 in pixels of a 640 × 360 frame; of a polygon, the smallest box around it.
        role, entity: ids of its role in the event and of its kind, None where not annotated.
        event: id of the event of the article that it corefers with, None where there is none.
    """

    box: tuple[float, float, float, float]
    role: int | None
    entity: int | None
    event: int | None


@dataclass(frozen=True)
class KeyFrame:
    """A moment of an event with its participants; `time` in seconds."""

    time: float
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Event:
    """An event of a video from `start` to `end` seconds; `type` is one of 20 ids."""

    start: float
    end: float
    type: int
    key_frames: tuple[KeyFrame, ...]

    @property
    def article_events(self) -> list[int]:
        """Ids of the events of the article that its participants are linked to, sorted."""
        linked = {argument.event for frame in self.key_frames for argument in frame.arguments}
        return sorted(event for event in linked if event is not None)

    @property
    def corefers(self) -> bool:
        """Whether one of its participants is linked to an event of the article."""
        return bool(self.article_events)


def read(path: Path) -> dict[str, list[Event]]:
    """Events of every video, keyed by the video's title without `.mp4` (the file has titles, not YouTube ids).

    Raises:
        UserError: an entry is not of the expected form; names the video and the entry.
    """
    content = files.read_json(path)
    form = "should be an object {title.mp4: [event, …]}; give VM2E2's vid_annotation.json"
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} {form}")
    for title, entries in content.items():
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path} {form} ({title!r} has no list of events)")
    return {
        title.removesuffix(".mp4").encode("utf-8", "replace").decode(): [
            _event(path, title, entry) for entry in entries
        ]
        for title, entries in content.items()
    }


def _event(path: Path, title: str, entry: dict[str, Any]) -> Event:
    try:
        start, end = map(float, entry["Temporal_Boundary"])
        frames = tuple(
            KeyFrame(float(frame["Timestamp"]), tuple(_argument(argument) for argument in frame["Arguments"]))
            for frame in entry["Key_Frames"]
        )
        return Event(start, end, int(entry["Event_Type"]), frames)
    except (KeyError, TypeError, ValueError) as error:
        match error:
            case KeyError(args=[key]):
                why = f"{key} is missing"
            case TypeError():
                why = "a list, an object or a number stands where another of them should"
            case _:
                why = str(error)
        raise UserError(f"{path}: an event of {title!r} is not of the expected form ({why}): {entry}") from None


def _argument(entry: dict[str, Any]) -> Argument:
    numbers = [float(number) for number in entry["Bounding_Box"]]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("Bounding_Box holds NaN or Inf")
    ids = [entry.get(key) for key in ("ROLE_TYPE", "Entity_Type", "Event_Coreference")]
    if not all(one is None or isinstance(one, int) for one in ids):
        raise ValueError(f"{ids} should be whole numbers or null")
    return Argument(box(numbers), *ids)


def box(numbers: list[float]) -> tuple[float, float, float, float]:
    """x1 y1 x2 y2 of either x y width height, or a polygon x y x y … of at least three points."""
    if len(numbers) == 4:
        x, y, width, height = numbers
        return x, y, x + width, y + height
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} numbers are neither a box nor a polygon")
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs), max(ys)
