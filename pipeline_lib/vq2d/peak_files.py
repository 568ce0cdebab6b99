"""Kept boxes of queries → the content of EgoLoc's vq2d_{val,test}_vq3d_peak_clip.json, or VQ2D's challenge file.

val:  {"predictions": {predicted_response_track: [{bboxes: […]}], ground_truth_response_track, visual_crop, dataset_uids,
      accessed_frames, total_frames}, "metrics": {}}, six lists of equal length
test: {version, challenge, results: {videos: [{video_uid, clips: [{clip_uid, predictions: [{query_sets: {"1": {bboxes}},
      annotation_uid}]}]}]}}

bboxes are {fno, x1, x2, y1, y2, clip_score, detection_score}. With the last peak only, a track also has VQ2D's `score`, 1.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import annotations as annotation_files
from pipeline_lib.vq2d.detections import QueryDetections

log = logging.getLogger(__name__)

Json = dict[str, Any]


class Schema(StrEnum):
    """Which of the two files."""

    VAL = "val"
    TEST = "test"


@dataclass(frozen=True)
class KeptBox:
    """The best box of a kept frame, original pixels."""

    fno: int
    x1: int
    y1: int
    x2: int
    y2: int
    clip_score: float
    detection_score: float

    def to_json(self) -> Json:
        """As it stands in the file, keys in the published order."""
        keys = ("fno", "x1", "x2", "y1", "y2", "clip_score", "detection_score")
        return {key: getattr(self, key) for key in keys}


@dataclass(frozen=True)
class QueryPeaks:
    """A query, without the detections, and its kept boxes in order of time."""

    query: QueryDetections
    boxes: list[KeptBox]
    searched: int  # frames
    is_fall_back: bool


def gold_box(box: Json) -> Json:
    """An annotation's box as corners, cut to whole pixels as the published files have it."""
    x2, y2 = box["x"] + box["width"], box["y"] + box["height"]
    return {"fno": int(box["frame_number"]), "x1": int(box["x"]), "x2": int(x2), "y1": int(box["y"]), "y2": int(y2)}


def content(found: Sequence[QueryPeaks], schema: Schema, mode: str, annotations: Path | None = None) -> Json:
    """A whole file. With annotations it has their queries in their order, empty lists for those without detections.

    Args:
        annotations: val: list of flat queries; test: an annotation file.
    """
    if schema == Schema.VAL:
        unfit = next((one.query.uid for one in found if not isinstance(one.query.dataset_uid, str)), None)
        if unfit is not None:
            raise UserError(
                f"query {unfit} has no dataset_uid of its own: these are detections of test; use --schema test"
            )
    try:
        if schema == Schema.VAL:
            return _val(found, mode, annotation_files.read_flat(annotations) if annotations else None)
        return _test(found, mode, annotation_files.read(annotations) if annotations else None)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        right = (
            "vq_test_unannotated.json" if schema == Schema.TEST else "val_annot.json.gz of pipeline_lib.vq2d.process"
        )
        fix = f"give {right}" if annotations else "make the detections again"
        what = f"a query has no {error}" if isinstance(error, KeyError) else f"a query is malformed ({error})"
        raise UserError(f"{annotations or 'the detections'}: {what}; {fix}") from None


def _track(boxes: Sequence[KeptBox], mode: str) -> Json:
    track: Json = {"bboxes": [box.to_json() for box in boxes]}
    if mode == "last":
        track["score"] = 1.0 if boxes else 0.0
    return track


def _val(found: Sequence[QueryPeaks], mode: str, wanted: list[Json] | None) -> Json:
    by_uid = annotation_files.unique((str(one.query.dataset_uid), one) for one in found)
    if wanted is None:
        wanted = [
            {
                "dataset_uid": one.query.dataset_uid,
                "query_frame": one.query.query_frame,
                "visual_crop": one.query.visual_crop,
                "response_track": one.query.response_track,
            }
            for one in found
        ]
    uids = list(annotation_files.unique((query["dataset_uid"], query) for query in wanted))
    _report({uid for uid in uids if uid not in by_uid}, set(by_uid) - set(uids))
    chosen = [by_uid.get(uid) for uid in uids]
    gold = [sorted(query.get("response_track") or [], key=lambda box: box["frame_number"]) for query in wanted]
    predictions = {
        "predicted_response_track": [_track(one.boxes if one else [], mode) for one in chosen],
        "ground_truth_response_track": [{"bboxes": [gold_box(box) for box in track], "score": None} for track in gold],
        "visual_crop": [query["visual_crop"] for query in wanted],
        "dataset_uids": uids,
        "accessed_frames": [one.searched if one else 0 for one in chosen],
        "total_frames": [query["query_frame"] for query in wanted],
    }
    return {"predictions": predictions, "metrics": {}}


def _test(found: Sequence[QueryPeaks], mode: str, wanted: Json | None) -> Json:
    by_place = annotation_files.unique((_place(one.query), one) for one in found)
    videos = _tree(by_place) if wanted is None else _annotated(wanted)
    places = set()
    for video, clips in videos.items():
        for clip, predictions in clips.items():
            for annotation, sets in predictions.items():
                for set_id in sets:
                    place = (video, clip, annotation, set_id)
                    places.add(place)
                    sets[set_id] = _track(by_place[place].boxes if place in by_place else [], mode)
    _report(
        {"/".join(place[2:]) for place in places - set(by_place)}, {"/".join(p[2:]) for p in set(by_place) - places}
    )
    version = str(wanted["version"]) if wanted and "version" in wanted and mode == "last" else "1.0"
    results = [
        {
            "video_uid": video,
            "clips": [
                {
                    "clip_uid": clip,
                    "predictions": [{"query_sets": sets, "annotation_uid": uid} for uid, sets in predictions.items()],
                }
                for clip, predictions in clips.items()
            ],
        }
        for video, clips in videos.items()
    ]
    return {"version": version, "challenge": "ego4d_vq2d_challenge", "results": {"videos": results}}


_Place = tuple[str, str, str, str]  # video, clip, annotation, query set
_Tree = dict[str, dict[str, dict[str, dict[str, Json]]]]


def _place(query: QueryDetections) -> _Place:
    uid = query.dataset_uid  # a flat annotation in files of test
    metadata = query.metadata or (uid.get("metadata") if isinstance(uid, dict) else None) or {}
    try:
        return metadata["video_uid"], query.clip_uid, metadata["annotation_uid"], metadata["query_set"]
    except KeyError:
        raise UserError(f"query {query.uid} has no metadata with an annotation_uid; use --schema val") from None


def _tree(places: Iterable[_Place]) -> _Tree:
    videos: _Tree = {}
    for video, clip, annotation, set_id in places:
        videos.setdefault(video, {}).setdefault(clip, {}).setdefault(annotation, {})[set_id] = {}
    return videos


def _annotated(export: Json) -> _Tree:
    """Every video, clip and annotation of a file, as the challenge's check wants them, with their valid query sets."""
    return {
        video["video_uid"]: {
            clip["clip_uid"]: {
                annotation["annotation_uid"]: {
                    set_id: {} for set_id, query_set in annotation["query_sets"].items() if query_set["is_valid"]
                }
                for annotation in clip["annotations"]
            }
            for clip in video["clips"]
        }
        for video in export["videos"]
    }


def _report(missing: set[str], extra: set[str]) -> None:
    if missing:
        log.warning("%d queries have no detections and get empty lists: %s", len(missing), _some(missing))
    if extra:
        log.warning(
            "%d queries with detections are not in the annotations and are left out: %s", len(extra), _some(extra)
        )


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:10]) + (" …" if len(names) > 10 else "")
