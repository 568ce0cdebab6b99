"""coref_eval.json → a short table of the scores on the terminal, and where the files are."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline_lib.core import cli, files

COLUMNS = ("precision", "recall", "f1", "average_precision")


def table(results: dict[str, Any], split: str) -> Table:
    """Scores of all systems on one split, without and with proposals."""
    shown = Table(title=f"Multimodal event coreference, {split} (95 % intervals over videos)")
    for heading in ("clips", "system", *COLUMNS):
        shown.add_column(heading.replace("_", " "), justify="left" if heading in ("clips", "system") else "right")
    for protocol, by_split in results.items():
        for system, report in by_split[split]["systems"].items():
            cells = [
                f"{report[c]['value']:.3f} [{report[c]['ci95'][0]:.2f}, {report[c]['ci95'][1]:.2f}]" for c in COLUMNS
            ]
            shown.add_row(protocol.replace("_", " "), system.replace("_", " "), *cells)
        shown.add_section()
    return shown


def main(path: Annotated[Path, typer.Argument(help="coref_eval.json")] = Path("results/coref_eval.json")) -> None:
    """Print the test scores of a finished run."""
    content = files.read_json(path)
    console = Console(width=None if Console().is_terminal else 130)
    console.print(table(content["results"], "test"))
    for note in content["notes"]:
        console.print(f"note: {note}", markup=False)
    console.print(f"all scores, thresholds and provenance: {path}", markup=False)
    for other in sorted(path.parent.glob("*_tokenized_count.txt")):
        console.print(f"token counts: {other}", markup=False)


if __name__ == "__main__":
    cli.run(main)
