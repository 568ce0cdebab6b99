"""Entries of MILO's JSON files → checked models, and the pairs of events and sentences in them (§1.1–1.4).

    training              {video: {middle second: Segment}}
    without proposals     {clip: Clip}
    with proposals        {video: Video}

Keys that the published loaders don't read are ours: `bbox_path`, `event_type`, `events`, `event_coreference`. They carry
what the published shapes have no place for, and may be missing.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from pipeline_lib.collect.gold import Event
from pipeline_lib.core.errors import explain

COREFERENT, OTHER = "EVENT_COREFERENCE", "NONE"  # labels of sentences; the loaders only look for the first

Model = TypeVar("Model", bound=BaseModel)
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Names = list[list[str]]  # of object classes, K of each frame

#: The published loaders hand `event_coreference_text` on without looking into it, so its shape is known to its authors only.
PAIRS = (
    "event_coreference_text should be a list of [[start, end], sentence], the sentence as its index or its text "
    "(the published code does not show its form; see docs/milo_data.md)"
)


class Segment(BaseModel):
    """A segment of speech, and the objects in the frame in its middle."""

    start_sec: Seconds
    end_sec: Seconds
    text: str
    features_path: str
    obj_detec_confidence: list[float]

    @model_validator(mode="after")
    def _forward(self) -> "Segment":
        if self.end_sec < self.start_sec:
            raise ValueError(f"segment ends at {self.end_sec} s, before its start {self.start_sec} s")
        return self


class Clip(BaseModel):
    """An event cut out as a clip, and every sentence of the article with its label."""

    article_sentences: list[tuple[str, Any]] = Field(min_length=1)
    features_path: str
    bbox_path: str | None = None
    detection_class_names: Names | None = None
    event_type: str = ""

    def labels(self) -> list[int]:
        """Positions of the sentences that the event corefers with."""
        return [place for place, (_, label) in enumerate(self.article_sentences) if label == COREFERENT]


class Pairs(NamedTuple):
    """Events of a video, and pairs of an event's index with a sentence's."""

    events: list[Event]
    coreference: list[tuple[int, int]]


class Video(BaseModel):
    """A whole video with cut points between proposals, and its article."""

    temporal_proposals: list[Seconds]
    vid_duration: float = Field(gt=0, allow_inf_nan=False)
    article_sentences: list[str] = Field(min_length=1)
    features_path: str
    bbox_path: str | None = None
    detection_class_names: Names | None = None
    event_coreference_text: list[Any]
    events: list[Event] | None = None
    event_coreference: list[tuple[int, int]] | None = None

    def pairs(self) -> Pairs:
        """Events and coreference: as we wrote them, else from `event_coreference_text`.

        Raises:
            ValueError: that list is not of a known form, or names a sentence that the article hasn't got.
        """
        if self.events is not None and self.event_coreference is not None:
            return Pairs(self.events, self.event_coreference)
        places: dict[tuple[float, float], int] = {}
        coreference = []
        for entry in self.event_coreference_text:
            start, end, sentence = _pair(entry)
            event = places.setdefault((start, end), len(places))
            coreference.append((event, self._sentence(sentence)))
        return Pairs([Event.model_validate({"start": start, "end": end}) for start, end in places], coreference)

    def _sentence(self, sentence: int | str) -> int:
        if isinstance(sentence, int):
            if not 0 <= sentence < len(self.article_sentences):
                raise ValueError(f"sentence {sentence} of {len(self.article_sentences)} in event_coreference_text")
            return sentence
        stripped = [text.strip() for text in self.article_sentences]
        if sentence.strip() not in stripped:
            raise ValueError(f"event_coreference_text: no sentence of the article reads {sentence[:60]!r}")
        return stripped.index(sentence.strip())


def _pair(entry: Any) -> tuple[float, float, int | str]:
    match entry:
        case [[int() | float() as start, int() | float() as end], int() | str() as sentence]:
            return start, end, sentence
        case [int() | float() as start, int() | float() as end, int() | str() as sentence]:
            return start, end, sentence
    raise ValueError(PAIRS)


def segments(value: Any) -> dict[str, Segment]:
    """The segments of a training video, in the order of the file, by which neighbours are told.

    Raises:
        ValueError: says which key is wrong.
    """
    if not isinstance(value, dict) or not value:
        raise ValueError("should be {middle second: segment}, with at least one segment")
    return {key: _checked(Segment, entry, key) for key, entry in value.items()}


def evaluation(value: Any) -> Clip | Video:
    """An entry of either evaluation file, told apart by its keys.

    Raises:
        ValueError: says which key is wrong.
    """
    if not isinstance(value, Mapping):
        raise ValueError("should be an object with article_sentences, features_path …")
    return _checked(Video, value, "") if "temporal_proposals" in value else _checked(Clip, value, "")


def _checked(model: type[Model], value: Any, prefix: str) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ValueError(explain(error, prefix)) from None
