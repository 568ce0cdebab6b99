"""A stage whose code changed but, as a sample proves, not its results → its old artefacts under the new spec.

    python -m pipeline_lib.core.adopt s3d --sample 20 -- --configfile mine.yaml

Runs the stage's own command, as Snakemake would, on a random sample of finished videos. Only if what comes out equals what is
there, the old artefacts are linked under the new spec and `items/<spec>/adopted.json` says so; the next run of Snakemake then
finds every video done. Else nothing changes and the item that differs most is shown.
"""

import csv
import io
import json
import logging
import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pipeline_lib.core import cli, files, ledger, plan
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.core.items import Items, read_journal
from pipeline_lib.core.ledger import Row
from pipeline_lib.core.spec import Spec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Difference:
    """How an artefact made anew differs from the old one."""

    video_id: str
    largest: float  # absolute; infinite where they can't be compared number by number
    why: str  # "" where they are equal byte for byte or number for number


def commands(stage: str, work: Path, arguments: Sequence[str]) -> dict[str, str]:
    """{shard: shell command} of a stage's finished jobs, as Snakemake tells them."""
    ledgers = [str(path) for path in sorted((work / stage).glob("*.parquet"))]
    if not ledgers:
        raise UserError(f"{work / stage} has no ledgers; give a stage that has run, such as s3d or objects")
    output, _ = plan.snakemake("--detailed-summary", [*ledgers, *arguments])
    start = output.find("output_file\t")
    rows = csv.DictReader(io.StringIO(output[start:]), delimiter="\t", quoting=csv.QUOTE_NONE)
    found = {Path(row["output_file"]).stem: row["shellcmd"] for row in rows if row["output_file"] in ledgers}
    return {shard: command for shard, command in found.items() if command not in ("", "-")}


def adopt(
    work: Path,
    stage: str,
    by_shard: Mapping[str, str],
    *,
    old: str | None = None,
    sample: int = 20,
    tolerance: float = 0.0,
    seed: int = 0,
) -> tuple[str, list[Difference], int]:
    """Prove and link, as the module's first lines say.

    Args:
        by_shard: the stage's shell command per shard; its first argument that is a shard's list, and --out, are replaced.
        old: spec to adopt; default: the one with most artefacts that isn't the new one.

    Returns:
        The new spec, the sample's differences, the number of linked artefacts.

    Raises:
        UserError: nothing to adopt, the command failed, or the sample differs.
    """
    folder = work / stage / "items"
    journals = _journals(folder, old)
    scratch = work / f".adopt-{stage}"
    try:
        chosen = _sample({s: rows for s, rows in journals[1].items() if s in by_shard}, sample, seed)
        made: dict[str, Row] = {}
        for shard, videos in chosen.items():
            made |= _again(work, by_shard[shard], shard, videos, scratch)
        new = _spec(scratch)
        if new.id == journals[0]:
            raise UserError(f"{stage} has the same spec {new.id} as before: there is nothing to adopt, run snakemake")
        before = {v: row for rows in journals[1].values() for v, row in rows.items()}
        differences = [_difference(work, before[v], row, tolerance) for v, row in sorted(made.items())]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    worst = max(differences, key=lambda one: (bool(one.why), one.largest))
    if worst.why:
        count = sum(bool(one.why) for one in differences)
        raise UserError(
            f"{count} of {len(differences)} videos differ, the worst {worst.video_id}: {worst.why}; nothing was adopted. "
            "Run snakemake to make the stage anew"
        )
    record = {"from": journals[0], "sample": [one.video_id for one in differences], "largest_difference": worst.largest}
    return new.id, differences, _link(work, stage, new, journals, record | {"tolerance": tolerance})


def _journals(folder: Path, old: str | None) -> tuple[str, dict[str, dict[str, Row]]]:
    """The spec to adopt, and its journals {shard: {video_id: row}}."""
    specs: dict[str, dict[str, dict[str, Row]]] = {path.parent.name: {} for path in folder.glob("*/spec.json")}
    for path in sorted(folder.glob("*/*/journal.jsonl")):
        specs.setdefault(path.parts[-3], {})[path.parent.name] = read_journal(path)
    finished = {
        spec: sum(row.ok for rows in shards.values() for row in rows.values()) for spec, shards in specs.items()
    }
    old = old or max(finished, key=lambda spec: finished[spec], default=None)
    if old is None or not finished.get(old):
        raise UserError(
            f"{folder} has no artefacts{f' of spec {old}' if old else ''} to adopt; there is {sorted(specs)}"
        )
    return old, specs[old]


def _sample(journals: Mapping[str, Mapping[str, Row]], size: int, seed: int) -> dict[str, list[str]]:
    """{shard: video ids} of a random sample of the finished videos."""
    known = sorted((shard, video) for shard, rows in journals.items() for video, row in rows.items() if row.ok)
    if not known:
        raise UserError("Snakemake knows no command of a shard with finished videos; run the stage instead")
    found: dict[str, list[str]] = {}
    for shard, video in sorted(random.Random(seed).sample(known, min(size, len(known)))):
        found.setdefault(shard, []).append(video)
    return found


def _again(work: Path, command: str, shard: str, videos: list[str], scratch: Path) -> dict[str, Row]:
    """Rows of some videos of a shard, made anew in a scratch stage of the work folder."""
    entries = files.read_json(work / "shards" / f"{shard}.json")
    missing = [video for video in videos if video not in entries]
    if missing:
        raise UserError(f"{missing[0]} is finished but no longer in shards/{shard}.json; run snakemake first")
    scratch.mkdir(parents=True, exist_ok=True)
    some, out = scratch / f"{shard}.json", scratch / f"{shard}.parquet"
    files.write_json(some, {video: entries[video] for video in videos})
    words = shlex.split(command.split(" 2> ")[0])
    try:
        words[words.index("--out") + 1] = str(out)
        place = next(i for i, word in enumerate(words) if word.endswith(f"shards/{shard}.json"))
    except (ValueError, IndexError, StopIteration):
        raise UserError(f"not the command of a stage over a shard's videos: {one_line(command)}") from None
    words[place] = str(some)
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(f"the stage failed on the sample: {one_line(done.stderr.strip().rpartition(chr(10))[2], 600)}")
    return ledger.read(out)


def _spec(scratch: Path) -> Spec:
    found = list(scratch.glob("items/*/spec.json"))
    if len(found) != 1:
        raise UserError(f"the sample was made under {len(found)} specs; run the stage instead")
    return Spec(**json.loads(found[0].read_text()))


def _difference(work: Path, old: Row, new: Row, tolerance: float) -> Difference:
    if not new.ok or new.artefact is None or old.artefact is None:
        return Difference(old.video_id, np.inf, f"now {new.reason}: {new.detail}")
    if new.source_sha256 != old.source_sha256:
        return Difference(old.video_id, np.inf, "what it is made from has changed since")
    if new.sha256 == old.sha256:
        return Difference(old.video_id, 0.0, "")
    before, after = work / old.artefact, work / new.artefact
    if not before.is_file():
        return Difference(old.video_id, np.inf, "other bytes than its artefact had, which is gone")
    if before.suffix not in (".npy", ".npz"):
        return Difference(old.video_id, np.inf, f"other bytes ({old.bytes} before, {new.bytes} now)")
    largest = 0.0
    arrays, others = _arrays(before), _arrays(after)
    if {name: (a.shape, a.dtype) for name, a in arrays.items()} != {n: (a.shape, a.dtype) for n, a in others.items()}:
        return Difference(old.video_id, np.inf, "other arrays, shapes or types")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            if not np.array_equal(array, others[name]):
                return Difference(old.video_id, np.inf, f"other values in {name}")
            continue
        apart = np.abs(array.astype(np.float64) - others[name].astype(np.float64))
        apart[np.isnan(array) & np.isnan(others[name])] = 0.0
        largest = max(largest, float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0)))
    return Difference(old.video_id, largest, f"largest difference {largest:.3g}" if largest > tolerance else "")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    content = np.load(path, allow_pickle=False)
    return dict(content) if path.suffix == ".npz" else {"array": content}


def _link(
    work: Path, stage: str, new: Spec, journals: tuple[str, dict[str, dict[str, Row]]], record: Mapping[str, object]
) -> int:
    """Give every row of the old spec to the new one, artefacts by hard link, or as copies where links don't work."""
    count = 0
    for shard, rows in journals[1].items():
        items = Items(new, work / stage / f"{shard}.parquet", "")
        with items.exclusive():
            for video, row in rows.items():
                if video in items.done:
                    continue
                if row.ok:
                    before = work / str(row.artefact)
                    if not files.is_whole(before, row.bytes):
                        continue
                    name = f"{items.prefix}/{before.name}"
                    _hard_link(before, work / name)
                    row = row._replace(artefact=name)
                    count += 1
                items.note(row)
    files.write_json(work / stage / "items" / new.id / "adopted.json", record)
    return count


def _hard_link(before: Path, after: Path) -> None:
    after.unlink(missing_ok=True)
    try:
        os.link(before, after, follow_symlinks=False)
    except OSError:
        with files.atomic(after) as temporary:
            shutil.copyfile(before, temporary)


def main(
    stage: Annotated[str, typer.Argument(help="s3d, objects, …")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="after --: options of snakemake, such as --configfile mine.yaml")
    ] = None,
    work: Annotated[Path, typer.Option(help="work folder")] = Path("work"),
    spec: Annotated[str | None, typer.Option(help="to adopt; default: the one with most artefacts")] = None,
    sample: Annotated[int, typer.Option(min=1, help="videos that are made anew")] = 20,
    tolerance: Annotated[float, typer.Option(min=0, help="largest difference of a number that counts as equal")] = 0.0,
    seed: Annotated[int, typer.Option(help="of the sample")] = 0,
) -> None:
    """Make a sample anew with today's code and, only if it is equal, keep the old artefacts for the new spec."""
    by_shard = commands(stage, work, arguments or [])
    new, differences, linked = adopt(work, stage, by_shard, old=spec, sample=sample, tolerance=tolerance, seed=seed)
    largest = max(one.largest for one in differences)
    print(f"{len(differences)} videos made anew are equal (largest difference {largest:.3g})")
    print(f"{linked} artefacts stand under spec {new} now; run snakemake to write their ledgers")


if __name__ == "__main__":
    cli.run(main)
