"""Rows of a training (one per epoch) → a CSV file, TensorBoard events and a plot of the curves."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from torch.utils.tensorboard import SummaryWriter

from pipeline_lib.core import files

matplotlib.use("agg")

from matplotlib import pyplot

_EARLIER = re.compile(r"_\d+$")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line per epoch; what an epoch doesn't have stays empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    files.write_text(path, text.getvalue())


class Events:
    """TensorBoard events of a training; a resumed run hides what the killed one wrote after its last state.

    Args:
        folder: where the event files are; None writes nothing.
        epoch: first epoch that is to come.
    """

    def __init__(self, folder: Path | None, epoch: int) -> None:
        self._writer = None if folder is None else SummaryWriter(str(folder), purge_step=epoch)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of an epoch."""
        if self._writer is not None:
            for name, value in row.items():
                if name != "epoch" and value is not None:
                    self._writer.add_scalar(name, value, row["epoch"])
            self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def plot(path: Path, rows: Sequence[Mapping[str, Any]], best: int, metrics: Mapping[str, str], title: str) -> None:
    """Curves of the losses and, below, of validation, with the chosen epoch marked; the suffix says SVG or PNG.

    Losses of a network's earlier layers, whose names end in a number, are left out.

    Args:
        metrics: names in the rows → labels of the curves below.
    """
    columns = dict.fromkeys(key for row in rows for key in row)
    losses = [name for name in columns if name.startswith("loss") and not _EARLIER.search(name)]
    with matplotlib.rc_context({"svg.hashsalt": "pipeline_lib", "svg.fonttype": "none", "font.size": 9}):
        figure, (above, below) = pyplot.subplots(2, sharex=True, figsize=(6.4, 5.2), layout="constrained")
        for axes, names in ((above, {name: name.replace("_", " ") for name in losses}), (below, metrics)):
            for name, label in names.items():
                points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
                if points:
                    axes.plot(*zip(*points, strict=True), marker=".", label=label)
            axes.axvline(best, color="0.6", linestyle="--", linewidth=1)
            axes.grid(alpha=0.3)
            if axes.lines[:-1]:
                axes.legend(frameon=False, ncols=1 + (len(axes.lines) > 5))
        below.xaxis.get_major_locator().set_params(integer=True)
        above.set(title=title, ylabel="training loss")
        below.set(xlabel=f"epoch (dashed: {best}, the chosen one)", ylabel="on val", ylim=(0, None))
        with files.atomic(path) as temporary:
            metadata = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(temporary, format=path.suffix[1:], metadata=metadata, dpi=150)
        pyplot.close(figure)
