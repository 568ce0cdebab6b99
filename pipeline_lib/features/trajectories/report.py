"""Similarities of trajectories and prompts → heat map, table and JSON."""

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.core import files
from pipeline_lib.report import pictures

_MANY = 30  # columns or rows from which on numbers are left out of the cells


@dataclass(frozen=True)
class Trajectory:
    """A video that was embedded. name: its file's, up to the first dot; group: its list's name; frames: it has."""

    name: str
    path: str
    group: str
    frames: int


@dataclass(frozen=True)
class Failed:
    """A line of a list that gave no embedding, and why."""

    path: str
    group: str
    reason: str
    detail: str


def heat_map(values: np.ndarray, rows: Sequence[Trajectory], prompts: Sequence[str], title: str) -> bytes:
    """PNG: a row per trajectory, lists parted by a line, a column per prompt; equal input gives equal bytes."""
    width = min(max(3.5 + 1.3 * len(prompts), 6.0), 25.0)
    height = min(max(2.2 + 0.4 * len(rows), 3.5), 40.0)
    with pictures.drawing(width, height) as figure:
        axes = figure.subplots()
        drawn = axes.imshow(values, cmap="YlGnBu", aspect="auto")
        figure.colorbar(drawn, ax=axes, shrink=0.8)
        axes.set_title(title)
        labels = ["\n".join(textwrap.wrap(prompt, 28)[:4]) for prompt in prompts]
        axes.set_xticks(range(len(prompts)), labels, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        for i in range(1, len(rows)):
            if rows[i].group != rows[i - 1].group:
                axes.axhline(i - 0.5, color="white", linewidth=3)
        if max(values.shape) <= _MANY:
            middle = (values.max() + values.min()) / 2
            for (i, j), value in np.ndenumerate(values):
                colour = "white" if value > middle else "black"
                axes.text(j, i, f"{value:.3f}", ha="center", va="center", color=colour, fontsize=8)
        return pictures.png(figure, dpi=160)


def table(values: np.ndarray, rows: Sequence[Trajectory], prompts: Sequence[str]) -> str:
    """CSV: trajectory, path, list, then a column per prompt."""
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(["trajectory", "path", "list", *prompts])
    for row, line in zip(rows, values.tolist(), strict=True):
        writer.writerow([row.name, row.path, row.group, *(round(value, 6) for value in line)])
    return stream.getvalue()


def content(
    values: np.ndarray, rows: Sequence[Trajectory], prompts: Sequence[str], failed: Sequence[Failed]
) -> dict[str, Any]:
    """Everything as JSON: each trajectory with its similarities, each list with the means of its own."""
    groups = list(dict.fromkeys(row.group for row in rows))
    means = {group: values[[row.group == group for row in rows]].mean(axis=0) for group in groups}
    return {
        "prompts": list(prompts),
        "trajectories": [
            {**_named(row), "similarities": _rounded(line)} for row, line in zip(rows, values, strict=True)
        ],
        "lists": [{"list": group, "mean_similarities": _rounded(mean)} for group, mean in means.items()],
        "failed": [_named(one) for one in failed],
    }


def _named(one: Trajectory | Failed) -> dict[str, Any]:
    return {"list" if key == "group" else key: value for key, value in asdict(one).items()}


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]


def write(folder: Path, name: str, picture: bytes, csv_text: str, whole: dict[str, Any]) -> None:
    """NAME.png, NAME.csv and NAME.json."""
    with files.atomic(folder / f"{name}.png") as temporary:
        temporary.write_bytes(picture)
    files.write_text(folder / f"{name}.csv", csv_text)
    files.write_json(folder / f"{name}.json", whole, sort_keys=False)
