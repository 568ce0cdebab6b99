"""Work folder → shards whose artefacts are gone or damaged, with their ledgers removed so that the next run mends them."""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.core import cli, files, ledger
from pipeline_lib.core.progress import track
from pipeline_lib.core.survey import how_to_make, ledgers, require

log = logging.getLogger(__name__)


def damaged(path: Path, deep: bool) -> list[Path]:
    """Artefacts of a ledger that are missing or not what it recorded: by size, or with `deep` by sha256.

    Receipts of visual queries' clips and frames count as damaged when what they stand for is.
    """
    bad = []
    for row in ledger.read(path).values():
        if row.artefact:
            artefact = ledger.root(path) / row.artefact
            whole = files.is_whole(artefact, row.bytes)
            if whole and deep and artefact.exists():
                whole = files.sha256(artefact) == row.sha256
            if whole and (product := _product(path, artefact)) is not None:
                whole = _bytes(product) == _receipt(artefact)
            if not whole:
                bad.append(artefact)
    return bad


def _product(path: Path, artefact: Path) -> Path | None:
    """The clip, or the folder of frames, that a receipt stands for (vq2d/clip_loop.py); None for any other artefact."""
    if path.parent.name != "ledger":
        return None
    folder = path.parent.parent
    return folder / (artefact.stem if folder.name == "frames" else f"{artefact.stem}.mp4")


def _bytes(product: Path) -> int | None:
    try:
        return sum(one.stat().st_size for one in (product.iterdir() if product.is_dir() else [product]))
    except FileNotFoundError:
        return None


def _receipt(artefact: Path) -> int:
    try:
        return int(json.loads(artefact.read_text(encoding="utf-8"))["bytes"])
    except (ValueError, KeyError, TypeError):
        return -1


def main(
    work: Annotated[Path, typer.Argument(help="work folder")] = Path("work"),
    deep: Annotated[bool, typer.Option("--deep", help="read every artefact and compare its sha256")] = False,
    dry: Annotated[bool, typer.Option("--dry", help="only say what would be removed")] = False,
) -> None:
    """Compare every ledger with the artefacts on disk; damaged ones are deleted, with the ledgers that name them.

    A damaged clip of visual queries stays: the job that makes it again sees whether it will do.
    """
    require(work)
    found = 0
    removed = []
    paths = ledgers(work)
    for path in track(paths, "check", unit="ledgers"):
        bad = damaged(path, deep)
        found += len(bad)
        for artefact in bad:
            log.info("damaged: %s", _product(path, artefact) or artefact)
        if bad and not dry:
            for artefact in bad:
                artefact.unlink(missing_ok=True)
            path.unlink()
            removed.append(path)
    todo = "run this again without --dry to remove their ledgers" if dry else "run snakemake again to make them"
    log.info("%d damaged artefacts, of %d ledgers%s", found, len(paths), f"; {todo}" if found else "")
    if advice := how_to_make(removed, work):
        log.info("%s", advice)


if __name__ == "__main__":
    cli.run(main)
