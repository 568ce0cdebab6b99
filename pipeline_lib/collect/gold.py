"""An entry of annotations.json ↔ its checked form: what happens in a video, and which sentences of its article tell of it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Event(BaseModel):
    """An interval of a video in which something happens."""

    model_config = ConfigDict(allow_inf_nan=False)

    start: float = Field(ge=0)
    end: float
    type: str = ""

    @model_validator(mode="after")
    def _forward(self) -> "Event":
        if self.end <= self.start:
            raise ValueError(f"event ends at {self.end} s, before its start {self.start} s")
        return self


class Annotation(BaseModel):
    """Gold of one video."""

    model_config = ConfigDict(allow_inf_nan=False)

    split: Literal["train", "val", "test"]
    duration: float = Field(gt=0)
    article_sentences: list[str]
    temporal_proposals: list[float] = []
    events: list[Event] = []
    event_coreference: list[tuple[int, int]] = []

    @model_validator(mode="after")
    def _indices(self) -> "Annotation":
        for event, sentence in self.event_coreference:
            if not (0 <= event < len(self.events) and 0 <= sentence < len(self.article_sentences)):
                raise ValueError(
                    f"event_coreference [{event}, {sentence}] is beyond its {len(self.events)} events or "
                    f"{len(self.article_sentences)} sentences"
                )
        return self
