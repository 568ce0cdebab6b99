"""Work folder → what exists, for which spec, how complete; what a run would do, and roughly how long.

python -m pipeline_lib.core.status work
python -m pipeline_lib.core.status work --watch 10 --html results/status.html    # beside a run
python -m pipeline_lib.core.status work --plan -- --configfile mine.yaml
"""

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline_lib.core import cli, files, plan
from pipeline_lib.core.survey import StageState, query_stages, require, shard_sizes, stages
from pipeline_lib.core.words import duration, size


def table(found: list[StageState], videos: int | None, title: str = "stages") -> Table:
    """A line per stage; `videos` is how many there are in all, None where that isn't known."""
    shown = Table(title=title)
    for heading in ("stage", "spec", "shards", "done", "ok", "failed", "skipped", "size", "s/video", "left", "reasons"):
        shown.add_column(heading, justify="left" if heading in ("stage", "spec", "reasons") else "right")
    for stage in found:
        specs = [spec.id for spec in stage.specs.values() if spec.live] or ["in work"]
        dead = sum(not spec.live for spec in stage.specs.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in stage.reasons.most_common(3))
        shown.add_row(
            stage.name,
            " ".join(specs) + (f" (+{dead} old)" if dead else ""),
            f"{stage.finished}/{stage.shards if stage.shards is not None else '?'}",
            f"{stage.done}/{videos if videos is not None else '?'}",
            *(str(stage.counts[status]) for status in ("ok", "failed", "skipped")),
            size(stage.bytes),
            "?" if stage.rate is None else f"{stage.rate:.2f}",
            duration(stage.left(videos)),
            reasons,
        )
    return shown


def planned(work: Path, arguments: list[str], cores: int) -> Group:
    """What a run would do now."""
    todo = plan.jobs(arguments)
    if not todo:
        return Group(Text("a run would do nothing"))
    seconds, unknown = plan.estimate(todo, plan.past_seconds(work), cores)
    shown = Table(title="a run would do")
    shown.add_column("rule")
    shown.add_column("jobs", justify="right")
    for rule, count in todo.items():
        shown.add_row(rule, str(count))
    about = f"about {duration(seconds)} on {cores} cores, by the times of past jobs"
    if unknown:
        about += f"; nothing is known of {', '.join(unknown)}"
    return Group(shown, Text(about))


def main(
    work: Annotated[Path, typer.Argument(help="work folder")] = Path("work"),
    arguments: Annotated[list[str] | None, typer.Argument(help="after --: options of snakemake, for --plan")] = None,
    with_plan: Annotated[bool, typer.Option("--plan", help="ask Snakemake what a run would do")] = False,
    cores: Annotated[int, typer.Option(min=1, help="for the estimate")] = os.cpu_count() or 1,
    watch: Annotated[float | None, typer.Option(min=1, help="show again every so many seconds")] = None,
    html: Annotated[Path | None, typer.Option(help="page to write, too; it reloads itself")] = None,
) -> None:
    """Show how far every stage is."""
    require(work)
    console = Console(width=None if Console().is_terminal else 160)

    def look() -> Group:
        found, queries, sizes = stages(work), query_stages(work), shard_sizes(work)
        videos = sum(sizes.values()) if sizes is not None else None
        if html is not None:
            from pipeline_lib.report import status_page  # the page needs jinja2, the table doesn't

            files.write_text(html, status_page.content(found, videos, watch, queries))
        return Group(
            table(found, videos), *([table(queries, None, "visual queries: clips, queries")] if queries else [])
        )

    if watch is None:
        console.print(look())
    else:
        with Live(look(), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(watch)
                live.update(look(), refresh=True)
    if with_plan:
        console.print(planned(work, arguments or [], cores))


if __name__ == "__main__":
    cli.run(main)
