"""Work folder → contact sheets: a seeded sample of kept videos, of rejected ones, and equal ones side by side."""

import base64
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline_lib.clean.facts import Facts
from pipeline_lib.clean.funnel import Fall
from pipeline_lib.config.video import Video
from pipeline_lib.core import files, ids, ledger
from pipeline_lib.core.errors import ItemError
from pipeline_lib.core.progress import track
from pipeline_lib.report.pictures import jpeg
from pipeline_lib.video.decode import frames
from pipeline_lib.video.probe import probe
from pipeline_lib.video.sampling import Sampling
from pipeline_lib.video.worker import Worker

SIDE = 240  # pixels of the longer side of a picture


class Sheets:
    """Cards {video_id, title, picture, outcome, reason, stage, detail, about} of chosen videos.

    Args:
        work: the work folder, of which only the shards of the chosen videos are read.
        shards: their number.
    """

    def __init__(
        self, work: Path, shards: int, video: Video, fallen: Mapping[str, Fall | None], facts: list[Facts]
    ) -> None:
        self._work, self._shards, self._limits = work, shards, video.limits
        self._fallen = fallen
        self._facts = {one.video_id: one for one in facts}
        self._lists: dict[str, dict[str, Any]] = {}
        self._videos: dict[str, dict[str, ledger.Row]] = {}

    def sample(self, count: int, seed: int) -> list[dict[str, Any]]:
        """`count` kept videos and as many rejected ones that have a file or a reason worth seeing, by a seeded draw."""
        kept = sorted(video_id for video_id, fall in self._fallen.items() if fall is None)
        rejected = sorted(video_id for video_id, fall in self._fallen.items() if fall is not None)
        dice = random.Random(seed)
        chosen = [*_draw(dice, kept, count), *_draw(dice, rejected, count)]
        with Worker(self._limits) as worker:
            return [self._card(video_id, worker) for video_id in track(chosen, "pictures")]

    def pairs(self, pairs: Sequence[Mapping[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
        """`count` pairs of duplicates.json, leaks first, each with the cards of both."""
        leaks = [pair for pair in pairs if pair["reason"] == "split_leak"]
        others = [pair for pair in pairs if pair["reason"] != "split_leak"]
        dice = random.Random(seed)
        chosen = _draw(dice, leaks, count)
        chosen += _draw(dice, others, count - len(chosen))
        with Worker(self._limits) as worker:
            return [
                {**pair, "left": self._card(pair["kept"], worker), "right": self._card(pair["video_id"], worker)}
                for pair in track(chosen, "pairs", unit="pairs")
            ]

    def _card(self, video_id: str, worker: Worker) -> dict[str, Any]:
        fall, one = self._fallen.get(video_id), self._facts.get(video_id)
        return {
            "video_id": video_id,
            "title": self._title(video_id),
            "picture": self._picture(video_id, worker),
            "outcome": "kept" if fall is None else "rejected",
            "reason": fall.reason if fall else "",
            "stage": fall.stage if fall else "",
            "detail": fall.detail if fall else "",
            "about": f"{one.width}×{one.height}, {one.fps:g} fps, {one.words} words" if one else "",
            "seconds": one.seconds if one else 0.0,
        }

    def _title(self, video_id: str) -> str:
        """By the shard's list: what search knew of it."""
        shard = ids.shard_name(ids.shard_of(video_id, self._shards))
        if shard not in self._lists:
            self._lists[shard] = files.read_json(self._work / "shards" / f"{shard}.json")
        return str(self._lists[shard].get(video_id, {}).get("title") or video_id)

    def _picture(self, video_id: str, worker: Worker) -> str:
        """A picture from the middle as a data: address; "" where none can be had."""
        shard = ids.shard_name(ids.shard_of(video_id, self._shards))
        if shard not in self._videos:
            self._videos[shard] = ledger.read(self._work / "videos" / f"{shard}.parquet")
        row = self._videos[shard].get(video_id)
        if row is None or not row.artefact:
            return ""
        try:
            return f"data:image/jpeg;base64,{worker.call(still, self._work / row.artefact, side=SIDE)}"
        except ItemError:
            return ""


def still(path: Path, side: int) -> str:
    """The frame in the middle of a video as base64 of a JPEG; called in the decoding process.

    Raises:
        ItemError: as decode.frames.
    """
    half = max(probe(path).duration / 2, 0.05)
    found = frames(path, Sampling(half, "keyframe"))
    first = next(found)
    return base64.b64encode(jpeg(next(found, first).pixels, side)).decode()


def _draw(dice: random.Random, values: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the values, in their order."""
    chosen = sorted(dice.sample(range(len(values)), min(max(count, 0), len(values))))
    return [values[number] for number in chosen]
