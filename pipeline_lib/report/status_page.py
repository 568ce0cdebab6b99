"""How far every stage is → a page that shows it, and reloads itself while a run goes on."""

from collections.abc import Sequence
from typing import Any

from pipeline_lib.core.survey import StageState
from pipeline_lib.core.words import duration, size
from pipeline_lib.report import page

PARTS = ("ok", "begun", "failed", "skipped")


def content(
    found: list[StageState],
    videos: int | None,
    refresh: float | None = None,
    queries: Sequence[StageState] = (),
) -> str:
    """The page's HTML.

    Args:
        videos: how many there are in all shards, None before they are known.
        refresh: seconds after which a browser loads it again; None: never.
        queries: stages of visual queries, which have a table of their own.
    """
    reasons = [
        (stage.name, reason, count) for stage in (*found, *queries) for reason, count in stage.reasons.most_common()
    ]
    return page.render(
        "status.html.j2",
        title="Status",
        lead=f"{videos if videos is not None else 'An unknown number of'} videos",
        styles=("status.css",),
        rows=[_row(stage, videos) for stage in found],
        queries=[_row(stage, None) for stage in queries],
        reasons=reasons,
        refresh=round(refresh) if refresh else None,
    )


def _row(stage: StageState, videos: int | None) -> dict[str, Any]:
    total = videos or stage.done or 1
    counts = {**stage.counts, "begun": stage.begun}
    return {
        "name": stage.name,
        "spec": " ".join(spec.id for spec in stage.specs.values() if spec.live),
        "parts": [(part, f"{100 * counts.get(part, 0) / total:.2f}%") for part in PARTS],
        "share": f"{stage.done} done" if videos is None else f"{100 * stage.done / total:.0f} % done",
        "done": f"{stage.done}/{videos if videos is not None else '?'}",
        **{status: stage.counts[status] for status in ("ok", "failed", "skipped")},
        "shards": f"{stage.finished}/{stage.shards if stage.shards is not None else '?'}",
        "size": size(stage.bytes),
        "rate": "" if stage.rate is None else f"{stage.rate:.2f}",
        "left": duration(stage.left(videos)),
    }
