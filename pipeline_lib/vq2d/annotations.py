"""Ego4D's visual-query annotations (vq_{train,val}.json, vq_test_unannotated.json) → flat queries, as the official code has them.

    {"videos": [{video_uid, split, "clips": [{clip_uid, video_start_sec, video_end_sec, clip_fps, …,
      "annotations": [{"query_sets": {"1": {is_valid, query_frame, visual_crop, response_track, object_title}}}]}]}]}

Frame numbers are those of the 5-fps clip, boxes are in original pixels. Files of the test split have neither response_track nor
object_title, but an annotation_uid. A query keeps the values of the file untouched; what it needs is checked beside them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, PositiveInt, ValidationError

from pipeline_lib.core.errors import UserError, explain, one_line
from pipeline_lib.vq2d import json_files

Json = dict[str, Any]
Key = TypeVar("Key")
Value = TypeVar("Value")
_Parts = tuple[Json, Json, Json, str, Json]  # video, clip, annotation, the query set's key, the query set


class Box(BaseModel):
    """A box of one frame; it may reach over the frame's edge, as every sixth of the published ones does."""

    model_config = ConfigDict(strict=True)

    frame_number: NonNegativeInt
    x: FiniteFloat
    y: FiniteFloat
    width: FiniteFloat = Field(gt=0)
    height: FiniteFloat = Field(gt=0)
    original_width: PositiveInt
    original_height: PositiveInt

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """x1 y1 x2 y2 in original pixels."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    @property
    def is_outside(self) -> bool:
        """No part of it is in the frame."""
        x1, y1, x2, y2 = self.corners
        return x1 >= self.original_width or y1 >= self.original_height or x2 <= 0 or y2 <= 0


class Query(BaseModel):
    """A flat query, checked: an element of val_annot.json, or of the list made from a test file."""

    model_config = ConfigDict(strict=True)

    query_frame: NonNegativeInt
    visual_crop: Box
    response_track: list[Box] | None = None
    clip_uid: str | None
    dataset_uid: str | None = None
    object_title: str | None = None
    metadata: Json

    @property
    def uid(self) -> str:
        """The query in words, for messages."""
        return self.dataset_uid or f"{self.metadata.get('annotation_uid')}/{self.metadata.get('query_set')}"


def doubts(query: Query, frames: int | None = None) -> list[str]:
    """Why a well-formed query can't be searched: one line each; none if it can. A crop after the query frame is no reason.

    Args:
        frames: that the clip has; by default as many as its seconds allow, the last one included.
    """
    if query.clip_uid is None:
        return ["it has no clip"]
    found = []
    if query.visual_crop.is_outside:
        box = ", ".join(f"{edge:g}" for edge in query.visual_crop.corners)
        size = f"{query.visual_crop.original_width}×{query.visual_crop.original_height}"
        found.append(f"its visual crop ({box}) is outside the {size} frame")
    if query.query_frame == 0:
        found.append("query_frame is 0: no frame lies before it")
    if frames is None:
        frames = _frames(query.metadata)
    if frames is not None:
        numbers = {"query_frame": query.query_frame, "visual_crop": query.visual_crop.frame_number}
        if query.response_track:
            numbers["response_track"] = max(box.frame_number for box in query.response_track)
        found += [
            f"{name} is at frame {number}, but the clip has {frames} frames"
            for name, number in numbers.items()
            if number > frames - (name != "query_frame")  # frames before the query frame are searched, not itself
        ]
    return found


def _frames(metadata: Json) -> int | None:
    try:
        return int((metadata["video_end_sec"] - metadata["video_start_sec"]) * metadata["clip_fps"]) + 1
    except (KeyError, TypeError, OverflowError):
        return None


@dataclass
class Flattened:
    """Queries in the order of the file, and what is said about those that are doubtful (kept) or malformed (left out).

    early: uids of queries before their crop. Two of three published ones are; they can be searched.
    """

    queries: list[Json] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Different videos, different clips, queries: what the official script prints."""
        return {
            "videos": len({query["metadata"]["video_uid"] for query in self.queries}),
            "clips": len({query["clip_uid"] for query in self.queries}),
            "annotations": len(self.queries),
        }


class OtherSplit(UserError):
    """A file is of another split than the one that was asked for: `found`. What to do depends on how it was named."""

    def __init__(self, video_uid: str, found: str, wanted: str) -> None:
        self.found = found
        super().__init__(f"video {video_uid} is of split {found!r}, not {wanted!r}")


def read(path: Path) -> Json:
    """An annotation file as it is.

    Raises:
        UserError: no such file, not JSON, or without videos.
    """
    export = json_files.read(path)
    if not isinstance(export, dict) or not isinstance(export.get("videos"), list):
        raise UserError(
            f"{path} has no list of videos; give Ego4D's vq_train.json, vq_val.json or vq_test_unannotated.json"
        )
    return export


def flatten(export: Json, split: str, clips: set[str] | None = None) -> Flattened:
    """The valid query sets of a split in file order (process_vq_dataset.py; for test get_detection_peaks_test.py).

    A query's number counts the ones chosen before it, as in EgoLoc's val_annot_vq3d.json; a malformed one keeps its number, so
    that the others are called what they would be called without the mistake.

    Args:
        split: train | val | test, which the file must be of.
        clips: only queries on these; None takes all.

    Raises:
        OtherSplit: the file is of another one.
        UserError: it is no annotation file.
    """
    result = Flattened()
    for number, (place, parts) in enumerate(_chosen(export, split, clips)):
        try:
            flat = _flat_test(*parts) if split == "test" else _flat(f"{split}_{number:010d}", *parts)
            query = Query.model_validate(flat)
            if split != "test" and not query.response_track:
                raise ValueError("response_track is empty")
        except KeyError as error:
            result.malformed.append(f"{place}: {error} is missing")
        except ValidationError as error:
            result.malformed.append(one_line(f"{place}: {explain(error)}"))
        except (TypeError, ValueError) as error:
            result.malformed.append(one_line(f"{place}: {error}"))
        else:
            result.queries.append(flat)
            if query.query_frame <= query.visual_crop.frame_number:
                result.early.append(query.uid)
            result.doubtful += [f"{place} ({query.uid}): {doubt}" for doubt in doubts(query)]
    return result


def clips(export: Json) -> Iterator[tuple[Json, Json]]:
    """(video, clip) of every clip, in file order.

    Raises:
        UserError: it is no annotation file.
    """
    for i, video in enumerate(export["videos"]):
        uid = _get(video, "video_uid", f"video {i}")
        for clip in _get(video, "clips", f"video {uid}", list):
            if not isinstance(_get(clip, "clip_uid", f"a clip of video {uid}"), str | None):
                raise UserError(
                    one_line(f"a clip of video {uid} has the clip_uid {clip['clip_uid']!r}, which is no text")
                )
            yield video, clip


def _chosen(export: Json, split: str, wanted: set[str] | None) -> Iterator[tuple[str, _Parts]]:
    """(where it stands, what it is made of) of each valid query set."""
    for i, video in enumerate(export["videos"]):
        uid = _get(video, "video_uid", f"video {i}")
        if _get(video, "split", f"video {uid}") != split:
            raise OtherSplit(uid, str(video["split"]), str(split))
    for video, clip in clips(export):
        if wanted is not None and clip["clip_uid"] not in wanted:
            continue
        place = f"clip {clip['clip_uid']}"
        for j, annotation in enumerate(_get(clip, "annotations", place, list)):
            for set_id, query_set in _get(annotation, "query_sets", f"{place}, annotation {j}", dict).items():
                where = f"{place}, annotation {j}, query set {set_id}"
                if _get(query_set, "is_valid", where):
                    yield where, (video, clip, annotation, set_id, query_set)


def _get(value: Any, key: str, place: str, kind: type = object) -> Any:
    if not isinstance(value, dict) or key not in value or not isinstance(value[key], kind):
        raise UserError(one_line(f"{place} has no {key}; this is no annotation file of Ego4D's visual queries"))
    return value[key]


def _metadata(video: Json, clip: Json) -> Json:
    keys = ("video_start_sec", "video_end_sec", "clip_fps")
    return {"video_uid": video["video_uid"], **{key: clip[key] for key in keys}}


def _flat(name: str, video: Json, clip: Json, annotation: Json, set_id: str, query_set: Json) -> Json:
    return {
        "metadata": _metadata(video, clip),
        "clip_uid": clip["clip_uid"],
        "query_set": set_id,
        **{key: query_set[key] for key in ("query_frame", "response_track", "visual_crop", "object_title")},
        "dataset_uid": name,
    }


def _flat_test(video: Json, clip: Json, annotation: Json, set_id: str, query_set: Json) -> Json:
    more = {"query_set": set_id, "annotation_uid": annotation["annotation_uid"]}
    return {
        "metadata": {**_metadata(video, clip), **more},
        "clip_uid": clip["clip_uid"],
        **{key: query_set[key] for key in ("query_frame", "visual_crop")},
    }


def read_flat(path: Path) -> list[Json]:
    """Flat queries as `process` writes them, packed or not.

    Raises:
        UserError: no such list.
    """
    queries = json_files.read(path)
    if not isinstance(queries, list) or not all(isinstance(query, dict) for query in queries):
        raise UserError(f"{path} is no list of queries; make it with python -m pipeline_lib.vq2d.process")
    return queries


def unique(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, Value]:
    """A dict of the pairs, whose keys name queries.

    Raises:
        UserError: a name comes twice.
    """
    found: dict[Key, Value] = {}
    for key, value in pairs:
        if key in found:
            raise UserError(f"query {key} is there twice; make the file again, or remove one of the two")
        found[key] = value
    return found
