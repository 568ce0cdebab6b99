"""Facts of all shards and the split of each video → duplicates.json: pairs that are the same, and which video of each goes.

Of equal videos the one stays that comes first by: test before val before train; captions manual before auto before asr
before none; the larger picture; the larger file; the id. In this order each video stays unless it equals one that stays
already. So a video only goes if a video equal to it stays, and the same videos go whatever order they came in.
"""

import logging
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline_lib.clean import facts
from pipeline_lib.clean.facts import Facts
from pipeline_lib.clean.findings import PICTURES
from pipeline_lib.clean.near import near_pairs
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.clean import Duplicates
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import Reason, UserError

log = logging.getLogger(__name__)

SPLITS = ("test", "val", "train")
CAPTIONS = ("manual", "auto", "asr", "none")
_PAGE = re.compile(
    r"^https?://(?:[\w-]+\.)*(?:youtube(?:-nocookie)?\.com/(?:watch\?(?:[^#]*&)?v=|shorts/|embed/|live/|v/)|youtu\.be/)"
    r"([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])"
)


Equal = tuple[int, Reason, float | None]  # row of another video, why it is equal, distance


@dataclass(frozen=True)
class Pair:
    """A video that equals one that stays.

    Attributes:
        reason: same_id, same_bytes, near_duplicate, or split_leak where the splits differ.
        found: by which of the first three.
        distance: mean bits of 64 between the hashes of their pictures; 0 for equal files, null where there are none.
        drop: whether the video goes; else it is only reported.
    """

    video_id: str
    kept: str
    reason: str
    found: str
    distance: float | None
    split: str
    kept_split: str
    drop: bool


def page_id(url: str) -> str:
    """The id of a YouTube page, whatever form its address has; "" for other addresses."""
    match = _PAGE.match(url)
    return match[1] if match else ""


def find(videos: list[Facts], splits: dict[str, str], options: Duplicates) -> list[Pair]:
    """Every video that equals one that stays, with it; sorted by id.

    Args:
        splits: of the annotated videos; the others are for training.
    """
    ranked = sorted(videos, key=lambda one: _preference(one, splits))
    hashes, shows = hash_table(ranked)
    seconds = np.array([one.seconds for one in ranked])
    exact = {
        reason: _groups(keys)
        for reason, action, keys in (
            (Reason.SAME_ID, options.same_id, [page_id(one.url) for one in ranked]),
            (Reason.SAME_BYTES, options.same_bytes, [one.sha256 for one in ranked]),
        )
        if action != "off"
    }
    equal: dict[int, list[Equal]] = {}
    copies: dict[int, int] = {}
    if options.near != "off":
        copies = _copies(ranked, shows, splits, options.pictures)
        rows = np.array([row for row in range(len(ranked)) if copies.get(row, row) == row], np.int64)
        pairs, distance = near_pairs(
            hashes[rows],
            shows[rows],
            seconds[rows],
            bits=options.bits,
            pictures=options.pictures,
            duration=options.duration,
        )
        for (earlier, later), bits in zip(rows[pairs].tolist(), distance.tolist(), strict=True):
            for one, other in (
                (later, earlier),
                (earlier, later),
            ):  # a copy of the earlier one may come after the later one
                equal.setdefault(one, []).append((other, Reason.NEAR_DUPLICATE, round(bits, 2)))
    return _settled(ranked, exact, equal, copies, splits, options)


def _copies(ranked: list[Facts], shows: np.ndarray, splits: dict[str, str], pictures: int) -> dict[int, int]:
    """{row: first row of the same split with the same hashes and duration}, the first ones too.

    Only the first is compared with all other videos: a thousand copies of a film are not half a million pairs.
    """
    there = shows.sum(1) >= pictures
    signatures = [
        (one.hashes, one.seconds, _split(one, splits)) if enough else None
        for one, enough in zip(ranked, there, strict=True)
    ]
    return _groups(signatures)


def _preference(video: Facts, splits: dict[str, str]) -> tuple[Any, ...]:
    kind = CAPTIONS.index(video.caption_kind) if video.caption_kind in CAPTIONS else len(CAPTIONS)
    return SPLITS.index(_split(video, splits)), kind, -video.width * video.height, -video.bytes, video.video_id


def _split(video: Facts, splits: dict[str, str]) -> str:
    return splits.get(video.video_id, "train")


def hash_table(videos: list[Facts]) -> tuple[np.ndarray, np.ndarray]:
    """(n, 8) uint64 hashes and (n, 8) bool whether there is one."""
    padded = [(*one.hashes, *(None,) * PICTURES)[:PICTURES] for one in videos]
    shows = np.array([[one is not None for one in row] for row in padded], bool).reshape(-1, PICTURES)
    text = "".join(one or "0" * 16 for row in padded for one in row)
    return np.frombuffer(bytes.fromhex(text), ">u8").astype(np.uint64).reshape(-1, PICTURES), shows


def _groups(keys: list[Any]) -> dict[int, int]:
    """{row: first row with the same key}, the first ones too, of keys that come more than once; empty keys equal none."""
    first: dict[Any, int] = {}
    pairs = [(row, first[key]) for row, key in enumerate(keys) if key and first.setdefault(key, row) != row]
    return dict(pairs) | {earlier: earlier for _, earlier in pairs}


def _settled(
    ranked: list[Facts],
    exact: dict[Reason, dict[int, int]],
    equal: dict[int, list[Equal]],
    copies: dict[int, int],
    splits: dict[str, str],
    options: Duplicates,
) -> list[Pair]:
    """Go through the videos in order of preference; each goes if it equals one that stays."""
    actions = {
        Reason.SAME_ID: options.same_id,
        Reason.SAME_BYTES: options.same_bytes,
        Reason.NEAR_DUPLICATE: options.near,
    }
    result: list[Pair] = []
    gone: set[int] = set()
    staying: dict[int, int] = {}  # first of some copies → the first of them that stays
    #: the same for equal ids and bytes, of each split: what reports a leak doesn't keep a copy within the split
    kept: dict[Reason, dict[int, dict[str, int]]] = {reason: {} for reason in exact}
    for row in sorted(equal.keys() | copies.keys() | {row for groups in exact.values() for row in groups}):
        video, first = ranked[row], copies.get(row, row)
        found = [
            (other, reason, 0.0 if reason == Reason.SAME_BYTES else None)
            for reason, groups in exact.items()
            for other in kept[reason].get(groups.get(row, -1), {}).values()
        ]
        if first in staying:
            found.append((staying[first], Reason.NEAR_DUPLICATE, 0.0))
        else:
            found += equal.get(first, ())
        pairs = []
        for other, reason, distance in found:
            if other in gone:
                other = staying.get(copies.get(other, -1), row)
            if other >= row:
                continue
            split, kept_split = _split(video, splits), _split(ranked[other], splits)
            leak = split != kept_split
            drop = (options.leaks if leak else actions[reason]) == "drop"
            name = Reason.SPLIT_LEAK if leak else reason
            pairs.append(
                Pair(video.video_id, ranked[other].video_id, str(name), str(reason), distance, split, kept_split, drop)
            )
        if pairs:
            result.append(min(pairs, key=lambda pair: not pair.drop))  # the first that decides, else the first
        if pairs and result[-1].drop:
            gone.add(row)
            continue
        if row in copies:
            staying.setdefault(first, row)
        for reason, groups in exact.items():
            if row in groups:
                kept[reason].setdefault(groups[row], {}).setdefault(_split(video, splits), row)
    return sorted(result, key=lambda pair: pair.video_id)


def main(
    folder: Annotated[Path, typer.Argument(help="folder of due diligence, <work>/due_diligence")],
    annotations: Annotated[Path, typer.Option(help="annotations.json, which tells the splits")],
    shards: arguments.Shards,
    out: Annotated[Path, typer.Option(help="duplicates.json")],
    options: arguments.Options = "{}",
) -> None:
    """Find equal videos of all shards and decide which of them go."""
    wanted = cli.parse_options(Duplicates, options)
    splits = {video_id: str(label.get("split")) for video_id, label in files.read_entries(annotations).items()}
    if odd := [video_id for video_id, split in splits.items() if split not in SPLITS]:
        raise UserError(f"{annotations}: {odd[0]} has split {splits[odd[0]]!r}; it must be one of {', '.join(SPLITS)}")
    videos = facts.read_shards(folder, shards)
    pairs = find(videos, splits, wanted)
    counts = Counter(f"{pair.reason}{'' if pair.drop else ' (only reported)'}" for pair in pairs)
    log.info("%d videos: %s", len(videos), ", ".join(f"{n} {what}" for what, n in counts.most_common()) or "all differ")
    files.write_json(out, {"options": as_dict(wanted), "pairs": [asdict(pair) for pair in pairs]})


if __name__ == "__main__":
    cli.run(main)
