"""What the command lines of all training modules share: their options, what their inputs are, and what they write at the end."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline_lib.core import files
from pipeline_lib.training import logs
from pipeline_lib.training.loop import Fitted

Out = Annotated[Path, typer.Option(help="checkpoint to write, .safetensors")]
Log = Annotated[
    Path, typer.Option("--training-log", help="CSV of losses and val scores per epoch")
]  # torchrun takes --log for its own
Plot = Annotated[Path | None, typer.Option(help="picture of the curves, .svg or .png")]
State = Annotated[
    Path | None, typer.Option(help="folder to resume from after a kill, and of TensorBoard; default: beside --out")
]


def folder_of(state: Path | None, out: Path) -> Path:
    """Where the state is that a killed run resumes from."""
    return state or out.parent / "training"


def key_of(small: Iterable[Path | None], large: Iterable[Path]) -> dict[str, Any]:
    """What stands in the inputs, as a part of `loop.fit`'s key: sha256 of small files, size and time of change of large ones."""
    found: dict[str, Any] = {str(path): files.sha256(path) for path in small if path is not None}
    for path in large:
        status = path.stat()
        found[str(path)] = [status.st_size, status.st_mtime_ns]
    return {"inputs": found}


def write(fitted: Fitted, log: Path, plot: Path | None, curves: Mapping[str, str], title: str) -> None:
    """Write the log and, where asked for, the picture.

    Args:
        curves: names in the log's rows → labels of the curves of validation.
    """
    logs.write_csv(log, fitted.rows)
    if plot is not None:
        logs.plot(plot, fitted.rows, fitted.epoch, curves, title)
