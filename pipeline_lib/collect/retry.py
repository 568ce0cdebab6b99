"""Ledgers → exactly those videos open again that failed for certain reasons; the next run of snakemake tries them.

    python -m pipeline_lib.collect.retry --reason rate_limited,network --stage videos work

Of every ledger that has such videos, the journal beside the artefacts gets a line for each, their entries in the shard's list are
marked, and the ledger is removed. So snakemake sees a changed input, whatever target it is asked for, and runs the shard's
jobs, which skip everything else that is done. Clips and visual queries are on no such list: their ledgers are to be asked for by
name.
"""

import logging
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.collect.split import REOPENED
from pipeline_lib.core import cli, files, ids, items, ledger
from pipeline_lib.core.errors import Reason, UserError
from pipeline_lib.core.ledger import FAILED, Row
from pipeline_lib.core.survey import how_to_make, ledgers, of_queries, require, stage_of

log = logging.getLogger(__name__)


def reopen(
    work: Path, reasons: set[str], stages: set[str] | None = None, dry: bool = False
) -> tuple[Counter[tuple[str, str]], list[Path]]:
    """Open the videos again that failed for one of `reasons`.

    Args:
        stages: names of the stages that are looked at, as survey.stage_of has them; None: all.
        dry: only count.

    Returns:
        How many, by stage and reason; and the ledgers that they stood in.

    Raises:
        UserError: a process works on one of the shards; those before are open.
    """
    found: Counter[tuple[str, str]] = Counter()
    opened = []
    for path in ledgers(work):
        stage = stage_of(path, work)
        if stages is not None and stage not in stages:
            continue
        rows = [row for row in ledger.read(path).values() if row.status == FAILED and row.reason in reasons]
        if not rows:
            continue
        if not dry:
            _reopen(path, rows, work)
        opened.append(path)
        found.update((stage, str(row.reason)) for row in rows)
        log.info(
            "%s %s: %s", stage, path.stem, ", ".join(row.video_id for row in rows[:5]) + (" …" if rows[5:] else "")
        )
    return found, opened


def _reopen(path: Path, rows: list[Row], work: Path) -> None:
    for spec in {row.spec for row in rows}:
        folder = path.parent / "items" / spec / path.stem
        if folder.is_dir():
            items.reopen(folder, [row for row in rows if row.spec == spec])
    if not of_queries(path, work):
        for row in rows:
            if ids.is_valid(row.video_id):  # a page that said why not must not say so again
                (work / "youtube" / "pages" / f"{row.video_id}.json").unlink(missing_ok=True)
        mark(work / "shards" / f"{path.stem}.json", [row.video_id for row in rows])
    path.unlink()


def mark(listing: Path, video_ids: list[str]) -> None:
    """Count in a shard's list how often its videos were opened again."""
    if not listing.exists():
        return
    entries = files.read_json(listing)
    for video_id in video_ids:
        if video_id in entries:
            entries[video_id][REOPENED] = entries[video_id].get(REOPENED, 0) + 1
    files.write_json(listing, entries)


def _names(given: str, known: set[str], what: str) -> set[str]:
    """A comma-separated list; unknown names are a UserError that lists the known ones."""
    names = {name.strip() for name in given.split(",") if name.strip()}
    if unknown := sorted(names - known):
        raise UserError(f"no such {what}: {', '.join(unknown)}; there are {', '.join(sorted(known)) or 'none'}")
    return names


def main(
    work: Annotated[Path, typer.Argument(help="work folder")] = Path("work"),
    reason: Annotated[str, typer.Option(help="reasons, with commas between them: rate_limited,network")] = "",
    stage: Annotated[str, typer.Option(help="stages, with commas between them; all if not given")] = "",
    dry: Annotated[bool, typer.Option("--dry", help="only say what would be opened")] = False,
) -> None:
    """Open videos again that failed for certain reasons; then run snakemake."""
    require(work)
    reasons = _names(reason, {str(one) for one in Reason}, "reason")
    if not reasons:
        raise UserError("--reason is missing; for example --reason rate_limited,network")
    stages = _names(stage, {stage_of(path, work) for path in ledgers(work)}, "stage") or None
    found, opened = reopen(work, reasons, stages, dry)
    for (name, why), count in sorted(found.items()):
        log.info("%s: %d %s", name, count, why)
    if not found:
        log.info("no video failed for that")
    else:
        log.info("%s", "nothing was changed (--dry)" if dry else "run snakemake again to try them")
    if not dry and (advice := how_to_make(opened, work)):
        log.info("%s", advice)


if __name__ == "__main__":
    cli.run(main)
