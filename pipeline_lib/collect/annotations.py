"""The source's gold labels, or a file of them → annotations.json, checked entry by entry.

{video_id: {split, duration, article_sentences, temporal_proposals, events: [{start, end, type}],
event_coreference: [[event index, sentence index]]}}; seconds throughout.
"""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from pipeline_lib.collect.gold import Annotation
from pipeline_lib.collect.sources import open_source
from pipeline_lib.collect.sources.local import LocalSource
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import UserError, explain

log = logging.getLogger(__name__)


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
