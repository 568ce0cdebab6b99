"""coref_eval.json → coref_eval.md and coref_eval.html: all systems with intervals, how much MILO is ahead, event types."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref.names import MILO, PROTOCOLS, SYSTEMS
from pipeline_lib.report import page

TITLE = "Multimodal event coreference"
HEADINGS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "average_precision": "average precision",
    "accuracy": "accuracy",
}


class Table(NamedTuple):
    """Text cells under headings."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


def cell(metric: dict[str, Any], signed: bool = False) -> str:
    """A value with its interval: 0.695 [0.56, 0.80]."""
    sign = "+" if signed else ""
    low, high = metric["ci95"]
    return f"{metric['value']:{sign}.3f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def ahead(metric: dict[str, Any]) -> str:
    """What the interval of a difference says: better, worse, or neither."""
    low, high = metric["ci95"]
    return "better" if low > 0 else "worse" if high < 0 else "not told apart"


def named(protocol: str) -> str:
    return protocol.replace("_", " ")


def in_order(systems: dict[str, Any]) -> list[str]:
    """Systems as tables show them: MILO first, then from much knowledge to none."""
    return [system for system in SYSTEMS if system in systems]


def protocols(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The protocols that were evaluated, in their order, with what was found by split."""
    return [(protocol, results[protocol]) for protocol in PROTOCOLS if protocol in results]


def scores(protocol: str, split: str, result: dict[str, Any]) -> Table:
    """All systems on one split."""
    systems = result["systems"]
    rows = [
        [SYSTEMS[system], *(cell(systems[system][name]) for name in HEADINGS), f"{systems[system]['threshold']:.4g}"]
        for system in in_order(systems)
    ]
    return Table(f"{split}, {named(protocol)}", ["system", *HEADINGS.values(), "threshold"], rows)


def differences(protocol: str, split: str, result: dict[str, Any]) -> Table:
    """How much MILO is ahead of each baseline, video by video."""
    found = result["milo_minus"]
    rows = [
        [SYSTEMS[system], *(cell(found[system][name], True) for name in HEADINGS), ahead(found[system]["f1"])]
        for system in in_order(found)
    ]
    columns = ["MILO minus", *HEADINGS.values(), "MILO, by F1"]
    return Table(f"{split}, {named(protocol)}: differences, paired by video", columns, rows)


def event_types(protocol: str, split: str, result: dict[str, Any]) -> Table:
    """MILO by type of event."""
    found = result["systems"][MILO]["by_event_type"]
    rows = [
        [kind, str(own["events"]), str(own["positive_pairs"]), *(cell(own[name]) for name in HEADINGS)]
        for kind, own in sorted(found.items(), key=lambda entry: (-entry[1]["events"], entry[0]))
    ]
    columns = ["event type", "events", "positive pairs", *HEADINGS.values()]
    return Table(f"{split}, {named(protocol)}: MILO by event type", columns, rows)


def measured(content: dict[str, Any]) -> Table:
    """How much was measured, and what was not."""
    columns = [
        "split",
        "videos",
        "left out",
        "clips",
        "sentences",
        "pairs",
        "positive",
        "without a clip",
        "one sentence",
    ]
    rows = []
    for protocol, by_split in protocols(content["results"]):
        for split, result in sorted(by_split.items()):
            counts = result["counts"]
            share = f"{result['sentences_per_article']['one_sentence_share']:.1%}"
            numbers = [counts["videos"], len(result["left_out"]), counts["clips"], counts["sentences"], counts["pairs"]]
            numbers += [counts["positive_pairs"], counts["positive_pairs_without_clip"]]
            rows.append([f"{split}, {named(protocol)}", *map(str, numbers), share])
    return Table("What was measured; without a clip: positive pairs that no proposal stands for", columns, rows)


def left_out(content: dict[str, Any]) -> Table:
    """Videos that were not measured, with their reasons; each once, whatever the protocol."""
    found = {
        (split, video_id, reason): None
        for _, by_split in protocols(content["results"])
        for split, result in sorted(by_split.items())
        for video_id, reason in sorted(result["left_out"].items())
    }
    return Table("Videos left out", ["split", "video", "reason"], [list(row) for row in found])


def read(path: Path) -> dict[str, Any]:
    """A result of coref.evaluate.

    Raises:
        UserError: it is another JSON file.
    """
    content = files.read_json(path)
    if not isinstance(content, dict) or not {"results", "notes", "protocol", "provenance"} <= content.keys():
        raise UserError(f"{path} is no result of coref.evaluate; give coref_eval.json")
    return content


def tables(content: dict[str, Any]) -> list[Table]:
    """All tables of a result, test before val; empty ones are not shown."""
    found = []
    for split in ("test", "val"):
        for protocol, by_split in protocols(content["results"]):
            if split in by_split:
                result = by_split[split]
                found += [make(protocol, split, result) for make in (scores, differences)]
                found += [event_types(protocol, split, result)] if split == "test" else []
    found += [measured(content), left_out(content)]
    return [table for table in found if table.rows]


def lead(content: dict[str, Any]) -> str:
    """How the numbers were made, in a sentence or two."""
    protocol = content["protocol"]
    threshold = {
        "chosen_on_val": "Thresholds are those with the best F1 on val.",
        "fixed": f"The threshold is {protocol.get('sim_threshold')} for all.",
        "as_published": "Threshold (0.08 … 0.16) and similarity are those with the best F1 on val, as in the published script.",
    }[protocol["protocol"]]
    softmax = {
        "per_clip": "softmax over the sentences of each clip",
        "per_video": "softmax over all pairs of a video",
        "none": "no softmax",
    }[protocol["softmax"]]
    rule = {
        "iou": f"their temporal IoU is at least {protocol.get('min_iou')}",
        "centre_inside": "it holds the middle of the event",
        "overlap": f"it covers at least {protocol.get('min_overlap')} of the event",
    }[protocol["matching"]]
    return (
        f"Scores over pairs of a clip and a sentence, with 95 % intervals from {protocol['bootstrap']} resamples of videos. "
        f"{threshold} a = {protocol['weight_global']}, {softmax}. A proposal stands for an event if {rule}."
    )


def markdown(content: dict[str, Any]) -> str:
    """The tables as Markdown."""
    lines = [f"# {TITLE}", "", lead(content), ""]
    lines += [line for note in content["notes"] for line in (f"> **Note:** {_plain(note)}", "")]
    for table in tables(content):
        right = [":--" if place == 0 else "--:" for place, _ in enumerate(table.columns)]
        lines += [f"## {_plain(table.caption[0].upper() + table.caption[1:])}", ""]
        lines += ["| " + " | ".join(map(_plain, row)) + " |" for row in (table.columns, right, *table.rows)]
        lines += [""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text from strangers (event types, ids) that can't leave its cell or become HTML."""
    flat = " ".join(text.split())
    for character, written in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("`", "\\`"), ("](", "]\\(")):
        flat = flat.replace(character, written)
    return flat


def html(content: dict[str, Any]) -> str:
    """The tables as a page."""
    return page.render(
        "coref_eval.html.j2",
        package="pipeline_lib.coref",
        title=TITLE,
        lead=lead(content),
        notes=content["notes"],
        provenance=content["provenance"],
        tables=tables(content),
    )


def main(
    result: Annotated[Path, typer.Argument(help="coref_eval.json")],
    out: Annotated[Path, typer.Option(help="coref_eval.md")],
    page_out: Annotated[Path, typer.Option("--html", help="coref_eval.html")],
) -> None:
    """Write the tables of a finished evaluation."""
    content = read(result)
    files.write_text(out, markdown(content))
    files.write_text(page_out, html(content))


if __name__ == "__main__":
    cli.run(main)
