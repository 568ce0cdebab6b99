"""Work folder → artefacts that no ledger names any more, listed, and deleted when asked.

    python -m pipeline_lib.core.gc work               # what would go, and how much it is
    python -m pipeline_lib.core.gc work --delete

Dead is a spec that no ledger of its stage is of, and that nothing was written to for `--older-than` days: left from code,
options or weights that have changed since. Going back to them would cost computing it again.
"""

import shutil
import time
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table

from pipeline_lib.core import cli, files
from pipeline_lib.core.survey import SpecState, StageState, require, stages
from pipeline_lib.core.words import size

DAY = 86400.0


def dead(found: list[StageState], older_than: float, now: float) -> list[tuple[StageState, SpecState]]:
    """Specs that no ledger names and that nothing was written to for `older_than` days.

    A stage without any ledger is in work, or was stopped in its first shard: nothing of it is dead.
    """
    return [
        (stage, spec)
        for stage in found
        if stage.finished
        for spec in stage.specs.values()
        if not spec.live and now - spec.written > older_than * DAY
    ]


def table(found: list[tuple[StageState, SpecState]], now: float) -> Table:
    """What is dead, with what it was made with."""
    shown = Table(title="artefacts that no ledger names")
    for heading in ("stage", "spec", "videos", "size", "days old", "options"):
        shown.add_column(heading, justify="right" if heading in ("videos", "size", "days old") else "left")
    for stage, spec in found:
        age = f"{(now - spec.written) / DAY:.1f}" if spec.written else "?"
        shown.add_row(
            stage.name, spec.id, str(spec.videos), size(spec.bytes), age, str(spec.content.get("options", ""))
        )
    return shown


def delete(folder: Path) -> bool:
    """Delete the artefacts of a spec, but for shards that a process works on. Whether all are gone."""
    for shard in sorted(path for path in folder.iterdir() if path.is_dir()):
        try:
            with FileLock(shard / ".lock", timeout=0):
                (shard / "journal.jsonl").unlink(missing_ok=True)  # first: nothing half deleted may count as done
                files.fsync_folder(shard)
                shutil.rmtree(shard)
        except Timeout:
            return False
    shutil.rmtree(folder)
    return True


def main(
    work: Annotated[Path, typer.Argument(help="work folder")] = Path("work"),
    older_than: Annotated[float, typer.Option(min=0, help="days since something was written")] = 7.0,
    really: Annotated[bool, typer.Option("--delete", help="delete; without it nothing changes")] = False,
) -> None:
    """List or delete the artefacts of specs that are no longer in use."""
    require(work)
    now, console = time.time(), Console()
    states = stages(work)  # not of visual queries: receipts of several specs stand for the same clips
    found = dead(states, older_than, now)
    younger = [one for one in dead(states, 0, now) if one not in found]
    if younger:
        console.print(
            f"{len(younger)} younger {'spec' if len(younger) == 1 else 'specs'} that no ledger names "
            f"({size(sum(spec.bytes for _, spec in younger))}) left: written to in the last {older_than:g} days; "
            "--older-than 0 takes them too",
            markup=False,
            soft_wrap=True,
        )
    if not found:
        console.print("nothing to delete")
        return
    console.print(table(found, now))
    total = size(sum(spec.bytes for _, spec in found))
    if not really:
        console.print(f"{total} could go: run again with --delete", markup=False)
        return
    for stage, spec in found:
        if not delete(work / stage.name / "items" / spec.id):
            console.print(f"{stage.name} {spec.id}: a process works on it, the rest stays", markup=False)
    console.print(f"{total} deleted", markup=False)


if __name__ == "__main__":
    cli.run(main)
