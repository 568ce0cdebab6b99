"""A dry run of Snakemake and the times of past jobs → what a run would do, and roughly how long it would take."""

import csv
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline_lib.core.errors import UserError, one_line

_ROW = re.compile(r"^(\w+)\s+(\d+)$")
#: What Snakemake says of itself: single lines, and a block about the machine that ends with the configuration's MD5.
_BANNER = re.compile(
    r"Assuming .*?^ *Config MD5:.*?$|^(Using (workflow specific )?profile|Config file .* is extended|Building DAG).*?$",
    re.DOTALL | re.MULTILINE,
)


def snakemake(asked: str, arguments: Sequence[str]) -> tuple[str, str]:
    """(standard output, standard error) of `snakemake` with the option `asked`, such as "--dry-run", and these arguments.

    Raises:
        UserError: it failed; the message says why.
    """
    command = [sys.executable, "-m", "snakemake", asked, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"snakemake {asked} failed: {cause(done.stdout, done.stderr)}")
    return done.stdout, done.stderr


def cause(*streams: str) -> str:
    """What a failed Snakemake says is wrong: all but its banner; of a traceback and of a usage text, the last line."""
    said: list[str] = []
    for text in streams:
        lines = [line.strip() for line in _BANNER.sub("", text).splitlines() if line.strip()]
        if any(line.startswith(("Traceback (most recent", "usage:")) for line in lines):
            lines = [lines[-1].removeprefix("__main__.py: ")]
        said += lines
    return one_line(" ".join(said), 600) or "it didn't say why; run the same with snakemake itself"


def jobs(arguments: Sequence[str] = ()) -> dict[str, int]:
    """{rule: number of jobs} that `snakemake` with these arguments would run now; {} when there is nothing to do.

    Jobs behind a checkpoint that hasn't run yet are not known and not counted.
    """
    # `--quiet rules` would take a target behind it for its own.
    output, errors = snakemake("--dry-run", ["--quiet=rules", *arguments])
    found: dict[str, int] = {}
    inside = False
    for line in (output + errors).splitlines():
        if line.startswith("Job stats:"):
            inside, found = True, {}
        row = _ROW.match(line)
        if inside and row and row[1] != "total":
            found[row[1]] = int(row[2])
    return found


def past_seconds(work: Path) -> dict[str, float]:
    """{rule: median seconds of its finished jobs}, from the benchmark files that the rules write."""
    found: dict[str, list[float]] = {}
    for path in sorted((work / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(work / "benchmarks").parts[0].removesuffix(".tsv")
        with open(path, newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                try:
                    found.setdefault(rule, []).append(float(row["s"]))
                except (KeyError, ValueError):
                    continue
    return {rule: statistics.median(values) for rule, values in found.items()}


def estimate(todo: Mapping[str, int], seconds: Mapping[str, float], cores: int) -> tuple[float, list[str]]:
    """Seconds that the jobs would take on `cores` cores, one each, and the rules nothing is known of, which count as 0."""
    unknown = sorted(rule for rule in todo if rule not in seconds)
    longest = max((seconds[rule] for rule in todo if rule in seconds), default=0.0)
    total = sum(count * seconds.get(rule, 0.0) for rule, count in todo.items())
    return max(total / cores, longest), unknown
