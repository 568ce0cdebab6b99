"""Ledgers of collecting and duplicates.json → what became of every id: kept, or the stage where it fell and why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_lib.core import files, ledger
from pipeline_lib.core.errors import Reason, UserError
from pipeline_lib.core.ledger import Row

#: In the order in which an id passes them; what falls in several is counted in the first.
STAGES = ("articles", "captions", "videos", "inspection", "due_diligence")
DUPLICATES = "duplicates"


@dataclass
class Step:
    """A stage of the funnel: how many ids came in, and why some of them didn't come out."""

    stage: str
    entered: int
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def left(self) -> int:
        """How many came out."""
        return self.entered - self.reasons.total()


@dataclass(frozen=True)
class Fall:
    """Where and why an id fell out."""

    stage: str
    reason: str
    detail: str


def pairs(duplicates: Path) -> list[dict[str, Any]]:
    """The pairs of duplicates.json. Raises UserError for a file that is none."""
    try:
        found: list[dict[str, Any]] = files.read_json(duplicates)["pairs"]
        if all(pair.keys() >= {"video_id", "kept", "reason", "found", "drop"} for pair in found):
            return found
    except (TypeError, KeyError, AttributeError):
        pass
    raise UserError(
        f"{duplicates} is no duplicates.json; correct the path, or make it with pipeline_lib.clean.duplicates"
    )


def dropped(duplicates: Path | None) -> dict[str, Fall]:
    """The videos that duplicates.json drops."""
    return {
        pair["video_id"]: Fall(DUPLICATES, pair["reason"], f"{pair['found']} of {pair['kept']}")
        for pair in (pairs(duplicates) if duplicates else [])
        if pair["drop"]
    }


def falls(stages: Mapping[str, Mapping[str, Row]], equal: Mapping[str, Fall]) -> dict[str, Fall | None]:
    """{video_id: where it fell, None if it is kept}, in the order of the first stage's ledger.

    Args:
        stages: {stage: {video_id: row}} in order.
        equal: those that fall as duplicates if they come so far.
    """
    ids = dict.fromkeys(video_id for rows in stages.values() for video_id in rows)
    return {video_id: _fall(video_id, stages) or equal.get(video_id) for video_id in ids}


def _fall(video_id: str, stages: Mapping[str, Mapping[str, Row]]) -> Fall | None:
    """The first stage that is not passed; one that only waits for another is named if no other one is."""
    waiting: Fall | None = None
    for stage, rows in stages.items():
        row = rows.get(video_id)
        if row is None:
            waiting = waiting or Fall(stage, str(Reason.UPSTREAM), "not in its ledger")
        elif not row.ok:
            fall = Fall(stage, str(row.reason), row.detail or "")
            if row.reason != Reason.UPSTREAM:
                return fall
            waiting = waiting or fall
    return waiting


def steps(fallen: Mapping[str, Fall | None], stages: tuple[str, ...] = (*STAGES, DUPLICATES)) -> list[Step]:
    """The funnel: ids in = ids kept + ids per reason, of every stage and of all together."""
    reasons: dict[str, Counter[str]] = {stage: Counter() for stage in stages}
    for fall in fallen.values():
        if fall is not None:
            reasons[fall.stage][fall.reason] += 1
    result: list[Step] = []
    entered = len(fallen)
    for stage in stages:
        result.append(Step(stage, entered, reasons[stage]))
        entered = result[-1].left
    return result


def read(work: Path, shards: int) -> dict[str, Fall | None]:
    """What became of every id of a work folder."""
    if not (work / "duplicates.json").exists():
        raise UserError(f"{work} has no duplicates.json; run snakemake {work}/duplicates.json first")
    stages = {
        stage: ledger.read_shards(work / stage, shards, ("video_id", "status", "reason", "detail")) for stage in STAGES
    }
    return falls(stages, dropped(work / "duplicates.json"))
