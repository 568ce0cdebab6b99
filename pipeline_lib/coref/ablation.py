"""Scores of all variants of the configured run → a table and a plot: what window, candidates, loss and weight matter.

python -m pipeline_lib.coref.ablation work/coref/ablation/*/*.json --out results/coref_ablation.json
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import matplotlib
import typer

from pipeline_lib.config import Config
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.coref import Coref
from pipeline_lib.core import cli, files, provenance
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref.evaluate import notes
from pipeline_lib.coref.factors import BASE, FACTORS, configured, variants
from pipeline_lib.coref.names import PROTOCOLS

matplotlib.use("agg")

from matplotlib import pyplot

METRICS = ("f1", "precision", "recall", "average_precision")


def table(runs: Sequence[Mapping[str, Any]], options: Coref) -> dict[str, Any]:
    """{factor: [{value, configured, protocol: {metric: {mean, sd, seeds}}}]} of the test scores, in the config's order.

    Raises:
        UserError: a variant is missing, or there is one of another configuration.
    """
    by_variant = {(run["factor"], run["value"]): run for run in runs}
    expected = variants(options)
    if set(by_variant) != set(expected):
        missing, foreign = set(expected) - set(by_variant), set(by_variant) - set(expected)
        raise UserError(
            f"the runs don't fit the configuration: missing {sorted(missing)}, not asked for {sorted(foreign)}"
        )
    found: dict[str, Any] = {}
    for factor in FACTORS:
        usual = configured(options, factor)
        values = list(dict.fromkeys(getattr(options.ablation, factor)))
        if usual not in values:
            values.append(usual)
            values.sort(key=lambda value: (isinstance(value, str), value))
        found[factor] = [
            {"value": value, "configured": value == usual, **_scores(by_variant, factor, value, usual)}
            for value in values
        ]
    return found


def _scores(
    by_variant: Mapping[tuple[str, str], Mapping[str, Any]], factor: str, value: Any, usual: Any
) -> dict[str, Any]:
    run = by_variant[(BASE, BASE) if value == usual else (factor, str(value))]
    found: dict[str, Any] = {}
    for protocol in (name for name in PROTOCOLS if all(name in seed["test"] for seed in run["seeds"])):
        per_seed = {metric: [seed["test"][protocol][metric] for seed in run["seeds"]] for metric in METRICS}
        found[protocol] = {
            metric: {
                "mean": round(statistics.fmean(values), 6),
                "sd": round(statistics.stdev(values), 6) if len(values) > 1 else None,
                "seeds": values,
            }
            for metric, values in per_seed.items()
        }
    return found


def markdown(found: Mapping[str, Any], seeds: int, notes: Sequence[str]) -> str:
    """The test F1 of every variant, both protocols."""
    lines = [
        f"# Ablation of multimodal event coreference: F1 on test, mean ± standard deviation of {seeds} seeds",
        "",
        "| factor | value | without proposals | with proposals |",
        "|---|---|---|---|",
    ]
    for factor, values in found.items():
        for entry in values:
            mark = " (configured)" if entry["configured"] else ""
            cells = [_cell(entry[protocol]["f1"]) if protocol in entry else "–" for protocol in PROTOCOLS]
            lines.append(f"| {factor.replace('_', ' ')} | {entry['value']}{mark} | {' | '.join(cells)} |")
    lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines).rstrip() + "\n"


def _cell(score: Mapping[str, Any]) -> str:
    return f"{score['mean']:.3f}" + ("" if score["sd"] is None else f" ± {score['sd']:.3f}")


def plot(path: Path, found: Mapping[str, Any]) -> None:
    """One panel per factor: F1 on test per value, with a bar of one standard deviation; the configured value is filled."""
    with matplotlib.rc_context({"svg.hashsalt": "pipeline_lib", "svg.fonttype": "none", "font.size": 9}):
        figure, panels = pyplot.subplots(
            1, len(found), figsize=(3.1 * len(found), 3.2), sharey=True, layout="constrained"
        )
        for axes, (factor, values) in zip(panels, found.items(), strict=True):
            for protocol, colour in zip(PROTOCOLS, ("#1f5fa8", "#c8551b"), strict=True):
                if any(protocol not in entry for entry in values):
                    continue
                means = [entry[protocol]["f1"]["mean"] for entry in values]
                spread = [entry[protocol]["f1"]["sd"] or 0.0 for entry in values]
                places = range(len(values))
                line = "none" if isinstance(values[0]["value"], str) else "-"  # names have no order
                axes.errorbar(
                    places, means, spread, color=colour, capsize=3, linestyle=line, label=protocol.replace("_", " ")
                )
                for place, entry, mean in zip(places, values, means, strict=True):
                    fill = colour if entry["configured"] else "white"
                    axes.plot(place, mean, "o", color=colour, markerfacecolor=fill, zorder=3)
            labels = [str(entry["value"]).replace("+", "\n+ ") for entry in values]
            axes.set_xticks(range(len(values)), labels, fontsize=6 if factor == "loss" else 9)
            axes.set(title=factor.replace("_", " "), ylim=(0, None))
            axes.margins(x=0.15)
            axes.grid(axis="y", alpha=0.3)
        panels[0].set_ylabel("F1 on test")
        panels[0].legend(frameon=False)
        with files.atomic(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def _run(path: Path) -> dict[str, Any]:
    found = files.read_json(path)
    if not isinstance(found, dict) or not {"factor", "value", "seeds"} <= found.keys():
        raise UserError(f"{path} is no result of coref.variant; give the files of <work>/coref/ablation")
    return found


def main(
    runs: Annotated[list[Path], typer.Argument(help="JSON files of pipeline_lib.coref.variant")],
    out: Annotated[Path, typer.Option(help="coref_ablation.json; .md and .svg are written beside it")],
    weights: Annotated[
        list[Path] | None, typer.Option(help="JSON files that say what the feature networks are")
    ] = None,
    config: Annotated[str, typer.Option(help="the whole configuration as JSON")] = "{}",
) -> None:
    """Put the scores of all variants into one table and one plot."""
    whole = cli.parse_options(Config, config, "--config")
    about = {path.stem: files.read_json(path) for path in weights or []}
    read = [_run(path) for path in runs]
    found = table(read, whole.coref)
    remarks = notes(about, whole)
    plot(out.with_suffix(".svg"), found)
    files.write_text(out.with_suffix(".md"), markdown(found, len(whole.coref.ablation.seeds), remarks))
    result = {
        "task": "multimodal event coreference",
        "notes": remarks,
        "test": found,
        "runs": read,
        "provenance": provenance.record(as_dict(whole), specs={}, weights=about, device="see the runs"),
    }
    files.write_json(out, result, sort_keys=False)


if __name__ == "__main__":
    cli.run(main)
