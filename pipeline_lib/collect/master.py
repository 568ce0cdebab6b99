"""Ledgers of several stages → one JSON file of the videos that are ok in all of them.

articles                                → vid2article.json
articles + captions                     → vid2article_master_not_filtered.json
articles + captions + due_diligence     → vid2article_master_filtered.json, without those that duplicates.json drops
"""

import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.clean import funnel
from pipeline_lib.core import arguments, cli, files, ledger
from pipeline_lib.core.ids import shard_name

log = logging.getLogger(__name__)

GATES = ("due_diligence",)  # stages that decide whether a video stays, but add nothing to its entry


def merge(stages: list[Path], shards: int, dropped: Collection[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """(video_id, entry), sorted by id; an entry unites what the stages (folders of ledgers) wrote of the video.

    One entry is in memory at a time, and of the others the paths of their parts.

    Args:
        dropped: ids that are left out although they are ok everywhere.
    """
    chosen: dict[str, list[Path]] = {}
    listed = 0
    for shard in map(shard_name, range(shards)):
        tables = [_artefacts(folder / f"{shard}.parquet") for folder in stages]
        listed += len(tables[0])
        for video_id in tables[0]:
            found = [table.get(video_id) for table in tables]
            if None not in found and video_id not in dropped:
                chosen[video_id] = [
                    folder.absolute().parent / str(path)
                    for folder, path in zip(stages, found, strict=True)
                    if folder.name not in GATES
                ]
    log.info(
        "%d of %d videos are ok in %s%s",
        len(chosen),
        listed,
        ", ".join(folder.name for folder in stages),
        f" and none of the {len(dropped)} duplicates" if dropped else "",
    )
    for video_id in sorted(chosen):
        yield video_id, {key: value for path in chosen.pop(video_id) for key, value in files.read_json(path).items()}


def _artefacts(path: Path) -> dict[str, str | None]:
    """{video_id: artefact} of the ids of a ledger, None for those that are not ok."""
    names, states, artefacts = ledger.columns(path, ("video_id", "status", "artefact")).to_pydict().values()
    found = zip(names, states, artefacts, strict=True)
    return {name: artefact or "" if state == ledger.OK else None for name, state, artefact in found}


def main(
    stages: Annotated[list[Path], typer.Argument(help="folders of ledgers, e.g. work/articles work/captions")],
    out: Annotated[Path, typer.Option(help="file to write")],
    shards: arguments.Shards,
    duplicates: Annotated[Path | None, typer.Option(help="duplicates.json; those that go are left out")] = None,
) -> None:
    """Merge what the shards of some stages hold into one JSON file."""
    files.write_entries(out, merge(stages, shards, funnel.dropped(duplicates)))


if __name__ == "__main__":
    cli.run(main)
