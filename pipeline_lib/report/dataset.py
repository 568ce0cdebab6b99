"""Work folder of a collection → dataset_report.html and .json: what was lost where and why, and what the rest is like.

python -m pipeline_lib.report.dataset work --shards 4 --out results/dataset_report.html
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from pipeline_lib.clean import facts, funnel
from pipeline_lib.config.video import Video
from pipeline_lib.core import arguments, cli, files, provenance
from pipeline_lib.report import page
from pipeline_lib.report.dataset_numbers import numbers
from pipeline_lib.report.dataset_sheets import Sheets
from pipeline_lib.report.pictures import drawing, svg

log = logging.getLogger(__name__)

#: (key of the numbers, name of the axis, caption)
HISTOGRAMS = (
    ("seconds", "seconds", "Durations"),
    ("words_per_minute", "words per minute", "How much is said"),
    ("words", "words", "Words in the captions of a video"),
    ("fps", "frames per second", "Frame rates, counted"),
)
COUNTS = (
    ("languages", "Languages of the captions, as detected"),
    ("caption_kinds", "Kinds of captions"),
    ("resolutions", "Sizes of the picture"),
    ("codecs", "Codecs"),
)
SHOWN = 12  # bars of a chart; the rest are summed up


def report(work: Path, shards: int, *, video: Video, pictures: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The numbers, and what only the page shows: contact sheets and pairs."""
    fallen = funnel.read(work, shards)
    known = facts.read_shards(work / "due_diligence", shards)
    pairs = funnel.pairs(work / "duplicates.json")
    sheets = Sheets(work, shards, video, fallen, known)
    shown = {
        "cards": sheets.sample(pictures, seed),
        "pairs": sheets.pairs(pairs, pictures, seed),
        "all_pairs": len(pairs),
    }
    return numbers(fallen, known, pairs), shown


def html(found: Mapping[str, Any], shown: Mapping[str, Any], made_by: Mapping[str, Any]) -> str:
    """The page."""
    lost = found["searched"] - found["kept"]
    return page.render(
        "dataset.html.j2",
        styles=["dataset.css"],
        title="Dataset report",
        lead=f"{found['searched']} videos were found, {found['kept']} are usable, {lost} are not:"
        " each of these is counted once below, where it fell and why.",
        provenance=made_by,
        found=found,
        histograms=[
            (caption, histogram(found[key], key, label)) for key, label, caption in HISTOGRAMS if found[key]["count"]
        ],
        counts=[(caption, bars(found[key], key)) for key, caption in COUNTS if found[key]],
        **shown,
    )


def histogram(summary: Mapping[str, Any], name: str, label: str) -> Markup:
    """Bars of equal width, labelled with the edges between them."""
    edges, counts = summary["histogram"]["edges"], summary["histogram"]["counts"]
    with drawing(4.0, 2.1) as figure:
        axes = figure.subplots()
        axes.bar([place + 0.5 for place in range(len(counts))], counts, width=0.92)
        axes.set_xticks(range(len(edges)), [f"{edge:g}" for edge in edges], rotation=45 if len(edges) > 10 else 0)
        axes.set_xlabel(label)
        axes.set_ylabel("videos")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        return svg(figure, name)


def bars(counts: Mapping[str, int], name: str) -> Markup:
    """The most frequent values, the others in one bar."""
    rows = list(counts.items())
    if len(rows) > SHOWN:
        rows = [*rows[: SHOWN - 1], (f"{len(rows) - SHOWN + 1} others", sum(count for _, count in rows[SHOWN - 1 :]))]
    with drawing(4.0, 0.7 + 0.26 * len(rows)) as figure:
        axes = figure.subplots()
        drawn = axes.barh(range(len(rows)), [count for _, count in rows], height=0.7)
        axes.bar_label(drawn, padding=3)
        axes.set_yticks(range(len(rows)), [value[:24] for value, _ in rows])
        axes.invert_yaxis()
        axes.set_xlabel("videos")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return svg(figure, name)


def main(
    work: Annotated[Path, typer.Argument(help="work folder")],
    shards: arguments.Shards,
    out: Annotated[Path, typer.Option(help="dataset_report.html; the numbers go beside it, as .json")],
    pictures: Annotated[int, typer.Option(min=0, help="videos on a contact sheet, and pairs shown")] = 24,
    seed: arguments.Seed = 0,
    config: Annotated[
        str, typer.Option(help="sections of the configuration that decided this, as JSON, for the record")
    ] = "{}",
) -> None:
    """Write the report of what was collected."""
    whole = cli.parse_object(config, "--config")
    decoding = cli.parse_options(Video, json.dumps(whole.get("video", {})), "video of --config")
    found, shown = report(work, shards, video=decoding, pictures=pictures, seed=seed)
    made_by = provenance.record(whole, specs={}, weights={}, device="cpu")
    files.write_json(out.with_suffix(".json"), {**found, "provenance": made_by}, sort_keys=False)
    files.write_text(out, html(found, shown, made_by))
    log.info("%d of %d videos are usable", found["kept"], found["searched"])


if __name__ == "__main__":
    cli.run(main)
