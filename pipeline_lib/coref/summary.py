"""coref_eval.json → a short table of the scores on the terminal, and where the files are."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline_lib.core import cli
from pipeline_lib.coref.names import MILO, SYSTEMS
from pipeline_lib.coref.tables import HEADINGS, ahead, cell, in_order, named, protocols, read

MARKS = {"better": "▲", "worse": "▼", "not told apart": "≈"}
COLUMNS = ("precision", "recall", "f1", "average_precision")


def table(results: dict[str, Any], split: str) -> Table:
    """Scores of all systems on one split, without and with proposals, and which of them MILO is told apart from."""
    shown = Table(title=f"Multimodal event coreference, {split} (95 % intervals over videos)")
    for heading in ("clips", "system", *(HEADINGS[name] for name in COLUMNS), "MILO ahead, F1"):
        shown.add_column(heading, justify="left" if heading in ("clips", "system") else "right")
    for protocol, by_split in protocols(results):
        result = by_split[split]
        for system in in_order(result["systems"]):
            difference = result["milo_minus"].get(system, {}).get("f1")
            cells = [cell(result["systems"][system][name]) for name in COLUMNS]
            cells.append(f"{cell(difference, signed=True)} {MARKS[ahead(difference)]}" if difference else "")
            style = "bold" if system == MILO else None
            shown.add_row(named(protocol), SYSTEMS[system], *cells, style=style)
        shown.add_section()
    return shown


def main(path: Annotated[Path, typer.Argument(help="coref_eval.json")] = Path("results/coref_eval.json")) -> None:
    """Print the test scores of a finished run."""
    content = read(path)
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table(content["results"], "test"))
    console.print(
        "▲ MILO is better, ▼ worse, ≈ they can't be told apart: the interval of the difference holds 0", markup=False
    )
    for note in content["notes"]:
        console.print(f"note: {note}", markup=False)
    console.print(f"all scores, thresholds and provenance: {path}", markup=False)
    for page in (path.with_suffix(".html"), path.with_name("coref_report.html")):
        if page.exists():
            console.print(f"to look at: {page}", markup=False)
    for other in sorted(path.parent.glob("*_tokenized_count.txt")):
        console.print(f"token counts: {other}", markup=False)


if __name__ == "__main__":
    cli.run(main)
