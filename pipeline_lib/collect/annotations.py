"""The source's gold labels, or a file of them → annotations.json, checked entry by entry.

{video_id: {split, duration, article_sentences, temporal_proposals, events: [{start, end, type}],
event_coreference: [[event index, sentence index]]}}; seconds throughout.
"""

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from pipeline_lib.collect.sources import open_source
from pipeline_lib.collect.sources.local import LocalSource
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import UserError, explain

log = logging.getLogger(__name__)


class Event(BaseModel):
    """An interval of a video in which something happens."""

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
                raise ValueError(f"event_coreference [{event}, {sentence}] points past the events or sentences")
        return self


def check(values: dict[str, Any], origin: str) -> dict[str, Any]:
    """The same labels in canonical form; a wrong one is a UserError with its video, key and value."""
    try:
        checked = TypeAdapter(dict[str, Annotation]).validate_python(values)
    except ValidationError as error:
        raise UserError(f"{origin}: {explain(error)}") from None
    return {video_id: annotation.model_dump(mode="json") for video_id, annotation in sorted(checked.items())}


def main(
    options: Annotated[str, typer.Option(help="section `source` of the configuration, as JSON")],
    out: Annotated[Path, typer.Option(help="annotations.json")],
    seed: arguments.Seed = 0,
) -> None:
    """Write the gold labels that training leaves out and evaluation reads."""
    wanted = cli.parse_options(SourceOptions, options)
    source = open_source(wanted, seed, out.parent)
    if wanted.annotations:
        labels = check(files.read_json(Path(wanted.annotations)), wanted.annotations)
    else:
        labels = check(source.annotations(), f"annotations of source {wanted.kind}")
    if isinstance(source, LocalSource):
        labels = source.by_id(labels)
    log.info("%d annotated videos", len(labels))
    files.write_json(out, labels)


if __name__ == "__main__":
    cli.run(main)
