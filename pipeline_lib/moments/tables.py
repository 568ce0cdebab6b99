"""Metrics of predicted moments → markdown: systems side by side, by length of the moment, highlights, paired differences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]

_SHOWN = ("R1@0.3", "R1@0.5", "R1@0.7", "mIoU", "mAP@0.5", "mAP@0.75", "mAP")  # those that were measured
_BY_LENGTH = ("R1@0.5", "R1@0.7", "mIoU", "mAP")
_HIGHLIGHTS = ("mAP", "HIT@1")


def markdown(content: Report) -> str:
    """What `moments.evaluate` writes as JSON → its page."""
    systems, differences = content["systems"], content.get("differences", {})
    first = next(iter(systems.values()))
    intervals = "; 95 % intervals over videos" if content["options"]["bootstrap"] else ""
    paired = "; differences are paired" if differences else ""
    lines = [
        "# Moment retrieval",
        "",
        f"{first['queries']} queries about {first['videos']} videos ({content['dataset']}), in percent{intervals}{paired}.",
        "",
    ]
    full = first["ranges"]["full"]
    lines += _table("system", [name for name in _SHOWN if name in full], _rows(content, "ranges", "full"))
    lengths = [name for name in first["ranges"] if name != "full"]
    if lengths:
        lines += ["", "By length of the moment:", ""]
        rows = []
        for name in lengths:
            low, high = content["options"]["ranges"][name]
            about = f"{low:g}–{high:g} s, {first['ranges'][name]['queries']} queries"
            rows += [(f"{system}, {about}", values, sign) for system, values, sign in _rows(content, "ranges", name)]
        lines += _table("system", [name for name in _BY_LENGTH if name in full], rows)
    if any(report["highlights"] for report in systems.values()):
        lines += ["", "Highlights, clips rated at least so:", ""]
        levels = next(report["highlights"] for report in systems.values() if report["highlights"])
        rows = [
            (f"{who}, {level}", values, sign)
            for level in levels
            for who, values, sign in _rows(content, "highlights", level)
        ]
        lines += _table("system", _HIGHLIGHTS, rows)
    lines += _peculiar(systems)
    return "\n".join(lines) + "\n"


def _rows(content: Report, part: str, name: str) -> Iterator[tuple[str, Report, str]]:
    """(label, metrics, sign of positive numbers) of every system, then of every difference."""
    for system, report in content["systems"].items():
        if name in report[part]:
            yield system, report[part][name], ""
    for system, report in content.get("differences", {}).items():
        if name in report[part]:
            yield f"{system} − {content['baseline']}", report[part][name], "+"


def _table(head: str, metrics: Sequence[str], rows: Iterator | list) -> list[str]:
    lines = [f"| {head} | {' | '.join(metrics)} |", f"|---|{'---|' * len(metrics)}"]
    for label, values, sign in rows:
        cells = " | ".join(_cell(values[metric], sign) for metric in metrics)
        lines.append(f"| {_text(label)} | {cells} |")
    return lines


def _cell(metric: Report, sign: str) -> str:
    """61.24 [59.70, 62.81]"""
    shown = [f"{value:{sign}.2f}" for value in (metric["value"], *metric.get("ci95", ()))]
    return shown[0] + (f" [{shown[1]}, {shown[2]}]" if len(shown) > 1 else "")


def _peculiar(systems: Report) -> list[str]:
    """How many queries need a remark, if any do."""
    found = []
    for system, report in systems.items():
        for key, what in (
            ("missing", "without a prediction (they count as misses)"),
            ("empty", "predicted without windows (they count as misses)"),
            ("unsorted", "with windows that aren't best first (R1 takes the first)"),
            ("beyond_video", "with windows that go beyond the video"),
        ):
            if qids := report[key]:
                found.append(f"- {_text(system)}: {len(qids)} {'query' if len(qids) == 1 else 'queries'} {what}")
    return ["", *found] if found else []


def _text(name: str) -> str:
    """A file's name as it may stand in a table."""
    return "".join(c if c.isprintable() else " " for c in name).replace("|", "\\|").replace("<", "&lt;")
