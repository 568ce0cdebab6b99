"""Work folder → shards whose artefacts are gone or damaged, with their ledgers removed so that the next run mends them."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.core import cli, files, ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track

log = logging.getLogger(__name__)


def damaged(path: Path, deep: bool) -> list[Path]:
    """Artefacts of a ledger that are missing or not what it recorded: by size, or with `deep` by sha256."""
    bad = []
    for row in ledger.read(path).values():
        if row.artefact:
            artefact = ledger.root(path) / row.artefact
            whole = files.is_whole(artefact, row.bytes)
            if not whole or (deep and artefact.exists() and files.sha256(artefact) != row.sha256):
                bad.append(artefact)
    return bad


def main(
    work: Annotated[Path, typer.Argument(help="work folder")] = Path("work"),
    deep: Annotated[bool, typer.Option("--deep", help="read every artefact and compare its sha256")] = False,
    dry: Annotated[bool, typer.Option("--dry", help="only say what would be removed")] = False,
) -> None:
    """Compare every ledger with the artefacts on disk; damaged ones are deleted, with the ledgers that name them."""
    if not work.is_dir():
        raise UserError(f"no work folder {work}; give its path")
    found = 0
    for path in track(sorted(work.glob("*/*.parquet")), "check", unit="ledgers"):
        bad = damaged(path, deep)
        found += len(bad)
        for artefact in bad:
            log.info("damaged: %s", artefact)
        if bad and not dry:
            for artefact in bad:
                artefact.unlink(missing_ok=True)
            path.unlink()
    log.info("%d damaged artefacts%s", found, "; run snakemake again to make them" if found else "")


if __name__ == "__main__":
    cli.run(main)
