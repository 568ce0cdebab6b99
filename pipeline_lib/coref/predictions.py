"""predictions.json → checked scores of every clip with every sentence, and what is right and wrong in them.

    {"task", "notes", "system", "protocols": {"without_proposals" | "with_proposals": {"threshold", "similarity", "videos": [
        {"video_id", "split", "title", "duration", "sentences": [text], "events": [{"start", "end", "type"}],
         "clips": [{"start", "end", "objects": [{"time", "box": [x1, y1, x2, y2], "label", "score"}]}],
         "missed": number, "gold": [[0 | 1]], "scores": {"combined" | "global" | "regional": [[number]]},
         "object_scores": [[[number]]]}]}}}

`similarity` is the kind of score that the threshold is compared with; combined, if it is left out. `missed` counts gold pairs
that are in no matrix, because no clip stands for their event; it may be left out.
Times are seconds, boxes pixels of the video; matrices are clips × sentences, object scores clips × sentences × objects.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, one_line

#: Outcomes of a pair (clip, sentence), by whether it is gold and whether it is predicted.
CORRECT, FALSE_POSITIVE, FALSE_NEGATIVE, NEGATIVE = "correct", "false_positives", "false_negatives", "negative"
ERRORS = (FALSE_POSITIVE, FALSE_NEGATIVE)

Similarity = Literal["combined", "global", "regional"]
Seconds = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class _Interval(_Part):
    start: Seconds
    end: Seconds

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"ends at {self.end} s, before it starts at {self.start} s")
        return self


class Object(_Part):
    """A detected object that stands for a clip; `box` is x1 y1 x2 y2 in pixels of the video."""

    time: Seconds
    box: tuple[float, float, float, float]
    label: int | str
    score: float

    @property
    def name(self) -> str:
        """Its class as a person reads it."""
        return self.label if isinstance(self.label, str) else f"class {self.label}"


class Clip(_Interval):
    """A scored interval with the objects that were used."""

    objects: list[Object]


class Event(_Interval):
    """A gold event."""

    type: str | int | None

    @property
    def name(self) -> str:
        return "event" if self.type is None else str(self.type)


class Scores(_Part):
    """Similarities by kind, each clips × sentences."""

    combined: list[list[float]]
    by_clip: list[list[float]] = Field(alias="global")
    regional: list[list[float]]


class Video(_Part):
    """One video under one protocol."""

    video_id: str
    split: Literal["train", "val", "test"]
    title: str
    duration: float = Field(gt=0)
    sentences: list[str] = Field(min_length=1)
    events: list[Event]
    clips: list[Clip] = Field(min_length=1)
    missed: int = Field(0, ge=0)
    gold: list[list[Literal[0, 1]]]
    scores: Scores
    object_scores: list[list[list[float]]]

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        wanted = [len(self.sentences)] * len(self.clips)
        matrices = {"gold": self.gold, **self.scores.model_dump(by_alias=True)}
        for name, rows in matrices.items():
            if [len(row) for row in rows] != wanted:
                raise ValueError(f"{name} is not {len(self.clips)} clips × {len(self.sentences)} sentences")
        for clip, rows in zip(self.clips, self.object_scores, strict=False):
            if [len(row) for row in rows] != [len(clip.objects)] * len(self.sentences):
                raise ValueError("object_scores is not clips × sentences × objects of the clip")
        if len(self.object_scores) != len(self.clips):
            raise ValueError(f"object_scores has {len(self.object_scores)} rows for {len(self.clips)} clips")
        return self

    def by(self, similarity: Similarity) -> np.ndarray:
        """(clips, sentences), the scores of this kind."""
        scores = self.scores
        return np.array(
            {"combined": scores.combined, "global": scores.by_clip, "regional": scores.regional}[similarity]
        )

    def outcomes(self, threshold: float, similarity: Similarity) -> list[list[str]]:
        """Outcome per clip and sentence; a pair is predicted if its score of this kind exceeds the threshold, strictly."""
        names = {(1, 1): CORRECT, (0, 1): FALSE_POSITIVE, (1, 0): FALSE_NEGATIVE, (0, 0): NEGATIVE}
        return [
            [names[gold, int(score > threshold)] for gold, score in zip(*rows, strict=True)]
            for rows in zip(self.gold, self.by(similarity), strict=True)
        ]

    def counts(self, threshold: float, similarity: Similarity) -> "Counts":
        """Pairs by outcome; gold pairs that no clip stands for are false negatives."""
        flat = [one for row in self.outcomes(threshold, similarity) for one in row]
        return Counts(flat.count(CORRECT), flat.count(FALSE_POSITIVE), flat.count(FALSE_NEGATIVE) + self.missed)

    def types(self, clip: int) -> list[str]:
        """Types of the gold events that share more than half of the shorter of the two with a clip, by time."""
        interval = self.clips[clip]
        found = [
            event.name
            for event in sorted(self.events, key=lambda event: event.start)
            if (shared := min(interval.end, event.end) - max(interval.start, event.start)) > 0
            and shared > 0.5 * min(interval.end - interval.start, event.end - event.start)
        ]
        return list(dict.fromkeys(found))


class Protocol(_Part):
    """All videos under one protocol, with the threshold that was chosen for it and the similarity it is compared with."""

    threshold: float
    similarity: Similarity = "combined"
    videos: list[Video]


class Predictions(_Part):
    """What the page shows."""

    task: str = "multimodal event coreference"
    notes: list[str] = []
    system: str = "milo"
    provenance: dict[str, Any] = {}
    protocols: dict[str, Protocol] = Field(min_length=1)


class Counts(NamedTuple):
    """Pairs of a video, or of several, by outcome."""

    correct: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*(mine + its for mine, its in zip(self, other, strict=True)))

    @property
    def errors(self) -> int:
        return self.false_positives + self.false_negatives

    @property
    def precision(self) -> float | None:
        return _ratio(self.correct, self.correct + self.false_positives)

    @property
    def recall(self) -> float | None:
        return _ratio(self.correct, self.correct + self.false_negatives)

    @property
    def f1(self) -> float | None:
        """None where nothing is gold and nothing predicted."""
        return _ratio(2 * self.correct, 2 * self.correct + self.errors)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def read(path: Path) -> Predictions:
    """Predictions of a file.

    Raises:
        UserError: the file is missing, no JSON, or not of this form; names the first place that is wrong.
    """
    content = files.read_json(path)
    try:
        return Predictions.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        video = _video(content, first["loc"])
        about = f" (video {video!r})" if video is not None else ""
        raise UserError(
            one_line(
                f"{path}: {place}{about}: {first['msg'].removeprefix('Value error, ')}; run the evaluation again", 600
            )
        ) from None


def _video(content: object, place: tuple[int | str, ...]) -> object:
    """The id of the video that a wrong place lies in, if there is one."""
    try:
        return content["protocols"][place[1]]["videos"][place[3]]["video_id"]  # type: ignore[index]
    except (KeyError, IndexError, TypeError):
        return None
