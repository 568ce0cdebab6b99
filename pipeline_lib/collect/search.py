"""Queries → vid_urls.json: {video_id: {url, title, duration, channel, queries, version}}."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.collect.sources import open_source
from pipeline_lib.collect.sources.base import Source
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track

log = logging.getLogger(__name__)


def search(source: Source, queries: list[str], limit: int) -> dict[str, dict[str, Any]]:
    """All hits of all queries; an id found by several is kept once, with all its queries in the order asked.

    `version` changes when the content behind an id changes, so that its shard runs again.
    """
    found: dict[str, dict[str, Any]] = {}
    for query in track(queries, "search", unit="queries"):
        hits = source.search(query, limit)
        log.info("%r: %d videos", query, len(hits))
        for video_id, hit in hits.items():
            if video_id in found:
                found[video_id]["queries"].append(query)
            else:
                found[video_id] = {**hit, "queries": [query], "version": source.version(video_id)}
    if not found:
        raise UserError(f"no video was found for {queries}; change source.queries")
    return found


def main(
    options: Annotated[str, typer.Option(help="section `source` of the configuration, as JSON")],
    out: Annotated[Path, typer.Option(help="vid_urls.json")],
    seed: arguments.Seed = 0,
) -> None:
    """Search every query and write the list of videos."""
    wanted = cli.parse_options(SourceOptions, options)
    files.write_json(out, search(open_source(wanted, seed), wanted.queries, wanted.limit))


if __name__ == "__main__":
    cli.run(main)
