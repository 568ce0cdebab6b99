"""Ledgers of several stages → one JSON file of the videos that are ok in all of them.

articles                                → vid2article.json
articles + captions                     → vid2article_master_not_filtered.json
articles + captions + due_diligence     → vid2article_master_filtered.json, without those that duplicates.json drops
"""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.clean import funnel
from pipeline_lib.core import arguments, cli, files, ledger

log = logging.getLogger(__name__)

GATES = ("due_diligence",)  # stages that decide whether a video stays, but add nothing to its entry


def merge(stages: list[Path], shards: int, dropped: Collection[str] = ()) -> dict[str, Any]:
    """{video_id: entry}, sorted by id; an entry unites what the stages (folders of ledgers) wrote of the video.

    Args:
        dropped: ids that are left out although they are ok everywhere.
    """
    read = [ledger.read_shards(folder, shards) for folder in stages]
    entries: dict[str, Any] = {}
    for video_id in read[0]:
        rows = [table[video_id] for table in read if video_id in table and table[video_id].ok]
        if len(rows) == len(stages) and video_id not in dropped:
            paths = [folder.absolute().parent / str(row.artefact) for folder, row in zip(stages, rows, strict=True)]
            parts = [
                files.read_json(path) for folder, path in zip(stages, paths, strict=True) if folder.name not in GATES
            ]
            entries[video_id] = {key: value for part in parts for key, value in part.items()}
    log.info(
        "%d of %d videos are ok in %s%s",
        len(entries),
        len(read[0]),
        ", ".join(folder.name for folder in stages),
        f" and none of the {len(dropped)} duplicates" if dropped else "",
    )
    return entries


def main(
    stages: Annotated[list[Path], typer.Argument(help="folders of ledgers, e.g. work/articles work/captions")],
    out: Annotated[Path, typer.Option(help="file to write")],
    shards: arguments.Shards,
    duplicates: Annotated[Path | None, typer.Option(help="duplicates.json; those that go are left out")] = None,
) -> None:
    """Merge what the shards of some stages hold into one JSON file."""
    files.write_json(out, merge(stages, shards, funnel.dropped(duplicates)))


if __name__ == "__main__":
    cli.run(main)
