"""Detections per frame, and the clips → a picture per query: score, smoothed score, peaks, gold span, and what the peaks show."""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from pipeline_lib.config.video import Limits
from pipeline_lib.config.vq2d_peaks import Peaks
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import ItemError, UserError
from pipeline_lib.report import pictures
from pipeline_lib.video.worker import Worker
from pipeline_lib.vq2d import clip_loop, detections, peaks
from pipeline_lib.vq2d.cutouts import Cutouts, Place
from pipeline_lib.vq2d.detections import QueryDetections
from pipeline_lib.vq2d.peaks import Found

log = logging.getLogger(__name__)

SHOWN = 8  # peaks whose pictures are shown: those of the highest scores
FPS = 5  # of clips
_GREEN, _RED, _BLUE, _GREY = "#2e9e6b", "#c7486f", "#3b7dd8", "#9aa0a6"


def draw(
    query: QueryDetections, found: Found, crop: np.ndarray | None, shown: Sequence[tuple[int, np.ndarray | None]]
) -> bytes:
    """The picture of a query as PNG; equal input gives equal bytes.

    Args:
        crop: (h, w, 3) uint8, the visual crop; None leaves it out.
        shown: (position in the search window, picture or None) of kept frames.
    """
    with_pictures = crop is not None or any(picture is not None for _, picture in shown)
    with pictures.drawing(9.0, 4.2 if with_pictures else 2.6) as figure:
        grid = figure.add_gridspec(2 if with_pictures else 1, SHOWN + 1, height_ratios=(3, 2)[: 1 + with_pictures])
        _curve(figure.add_subplot(grid[0, :]), query, found)
        if with_pictures:
            _row(figure, grid, query, found, crop, shown)
        return pictures.png(figure)


def _curve(axes: Axes, query: QueryDetections, found: Found) -> None:
    frames = query.frame_numbers
    gold = _gold(query)
    if gold is not None:
        axes.axvspan(gold[0] - 0.5, gold[1] + 0.5, color=_GREEN, alpha=0.25, linewidth=0, label="gold track")
    axes.plot(frames, found.signal, color=_GREY, linewidth=0.7, label="score")
    axes.plot(frames, found.smoothed, color=_BLUE, linewidth=1.2, label="smoothed")
    if found.is_fall_back:
        axes.plot([], [], " ", label="no peak")
    else:
        axes.plot(frames[found.peaks], found.smoothed[found.peaks], "o", color=_RED, markersize=4, label="peaks")
    axes.set(xlim=(-1, max(query.query_frame, 1)), ylim=(0, 1.05), ylabel="score")
    axes.set_xlabel(
        f"frame ({FPS} a second); the query is at {query.query_frame}, its crop from {query.visual_crop_fno}"
    )
    axes.set_title(f"{query.uid}   clip {query.clip_uid}", loc="left", fontsize=9)
    figure = axes.get_figure()
    assert figure is not None
    figure.legend(loc="outside upper right", ncols=4, fontsize=8)


def _row(
    figure: Figure,
    grid: GridSpec,
    query: QueryDetections,
    found: Found,
    crop: np.ndarray | None,
    shown: Sequence[tuple[int, np.ndarray | None]],
) -> None:
    gold = _gold(query)
    entries: list[tuple[str, str, np.ndarray | None]] = [("crop", _BLUE, crop)]
    for position, picture in shown:
        fno = int(query.frame_numbers[position])
        is_hit = gold is not None and gold[0] <= fno <= gold[1]
        entries.append((f"{fno}: {found.signal[position]:.2f}", _GREEN if is_hit else _RED, picture))
    for column, (title, colour, picture) in enumerate(entries):
        axes = figure.add_subplot(grid[1, column])
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=8, color=colour)
        if picture is None:
            axes.axis("off")
            continue
        axes.imshow(picture)
        for side in axes.spines.values():
            side.set(visible=True, color=colour, linewidth=1.5)


def _gold(query: QueryDetections) -> tuple[int, int] | None:
    numbers = [int(box["frame_number"]) for box in query.response_track or []]
    return (min(numbers), max(numbers)) if numbers else None


def plot(query: QueryDetections, options: Peaks, cutouts: Cutouts | None) -> tuple[bytes, str]:
    """The picture of a query, and why it shows no crops (or "")."""
    found = peaks.find(query, options)
    best = sorted(sorted(found.kept, key=lambda i: (-found.signal[i], i))[:SHOWN])
    vc = query.visual_crop
    places: list[Place] = [(query.visual_crop_fno, vc["x"], vc["y"], vc["x"] + vc["width"], vc["y"] + vc["height"])]
    for i in best:
        x1, y1, x2, y2 = query.boxes[i][int(query.scores[i].argmax())].tolist()
        places.append((int(query.frame_numbers[i]), x1, y1, x2, y2))
    cut: list[np.ndarray | None] = [None] * len(places)
    reason = ""
    if cutouts is not None:
        try:
            cut = cutouts.of(query.clip_uid, places, (vc["original_width"], vc["original_height"]))
        except ItemError as error:
            reason = str(error)
    return draw(query, found, cut[0], list(zip(best, cut[1:], strict=True))), reason


def chosen(source: Path, names: Sequence[str], limit: int | None) -> Iterator[QueryDetections]:
    """The queries of a detection file that are to be drawn, one in memory at a time.

    Args:
        names: only these; none for all.
        limit: only the first so many.

    Raises:
        UserError: no such file, or it lacks one of `names`.
    """
    left, given = set(names), 0
    for one in detections.read(source):
        if names and one.uid not in left:
            continue
        left.discard(one.uid)
        yield one
        given += 1
        if given == limit or (names and not left):
            break
    if left:
        raise UserError(f"{source} has no query {', '.join(sorted(left))}; names are those of its dataset_uids")


def file_name(uid: str) -> str:
    """A query's id as a file name: nothing in it leads to another folder."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", uid)[:150] + ".png"


def main(
    source: Annotated[Path, typer.Option("--detections", help="baseline_vq3d_detection_….json, packed or not")],
    out: Annotated[Path, typer.Option(help="folder for the pictures, <query>.png")],
    clips: Annotated[Path | None, typer.Option(help="folder of <clip_uid>.mp4: shows what the peaks show")] = None,
    images: Annotated[
        Path | None, typer.Option(help="folder of <clip_uid>/color_0000000.jpg, in place of clips")
    ] = None,
    naming: Annotated[Literal["egoloc", "official"], typer.Option(help="of the images")] = "egoloc",
    query: Annotated[list[str] | None, typer.Option(help="only this query; may be given several times")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many")] = None,
    options: arguments.Options = "{}",
) -> None:
    """Draw the score signal of every query of a detection file with its peaks."""
    wanted = cli.parse_options(Peaks, options)
    names = query or []
    drawn = without = 0
    with Worker(Limits()) as worker:
        cutouts = Cutouts(worker, clips, images, naming) if clips or images else None
        folder = clips or images
        if folder and cutouts:
            uids = (one.clip_uid for one in chosen(source, names, limit))  # read to the first whose clip is there
            fix = f"correct {'--clips' if clips else '--images'}, or leave it out to draw without pictures"
            clip_loop.require(folder, uids, cutouts.has, fix)
        for one in chosen(source, names, limit):
            content, reason = plot(one, wanted, cutouts)
            if reason:
                log.warning("%s: drawn without pictures: %s", one.uid, reason)
                without += 1
            with files.atomic(out / file_name(one.uid)) as temporary:
                temporary.write_bytes(content)
            drawn += 1
    print(f"{drawn} pictures in {out}" + (f", {without} without what the peaks show" if without else ""))


if __name__ == "__main__":
    cli.run(main)
