"""Queries → vid_urls.json: {video_id: {url, title, duration, channel, queries, version}}."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.collect.sources import open_source
from pipeline_lib.collect.sources.base import Source
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import TRANSIENT, ItemError, StopStage, UserError
from pipeline_lib.core.progress import track

log = logging.getLogger(__name__)


def search(source: Source, queries: list[str], limit: int) -> dict[str, dict[str, Any]]:
    """All hits of all queries; an id found by several is kept once, with all its queries in the order asked.

    `version` changes when the content behind an id changes, so that its shard runs again.

    Raises:
        UserError: nothing was found.
        StopStage: a query failed for a passing reason; half a search would be taken for a whole one.
    """
    found: dict[str, dict[str, Any]] = {}
    for query in track(queries, "search", unit="queries"):
        try:
            hits = source.search(query, limit)
        except ItemError as error:
            if error.reason in TRANSIENT:
                raise StopStage(f"search for {query!r}: {error}; run the same command again") from None
            log.warning("search for %r: %s", query, error)
            continue
        log.info("%r: %d videos", query, len(hits))
        for video_id, hit in hits.items():
            if video_id in found:
                found[video_id]["queries"].append(query)
            else:
                found[video_id] = {**hit, "queries": [query], "version": source.version(video_id)}
    if not found:
        raise UserError(f"no video was found for {queries}; change source.queries")
    return found


def queries(options: SourceOptions) -> list[str]:
    """The queries of the configuration, repeated ones once; of a file its lines without empty ones and `#` comments.

    Raises:
        UserError: the file can't be read, or holds no query.
    """
    if options.query_file is None:
        return list(dict.fromkeys(options.queries))
    try:
        lines = Path(options.query_file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"source.query_file {options.query_file} can't be read as UTF-8 text ({error})") from None
    asked = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not asked:
        raise UserError(f"source.query_file {options.query_file} holds no query; write one per line")
    return list(dict.fromkeys(asked))


def main(
    options: Annotated[str, typer.Option(help="section `source` of the configuration, as JSON")],
    out: Annotated[Path, typer.Option(help="vid_urls.json")],
    seed: arguments.Seed = 0,
) -> None:
    """Search every query and write the list of videos."""
    wanted = cli.parse_options(SourceOptions, options)
    files.write_json(out, search(open_source(wanted, seed, out.absolute().parent), queries(wanted), wanted.limit))


if __name__ == "__main__":
    cli.run(main)
