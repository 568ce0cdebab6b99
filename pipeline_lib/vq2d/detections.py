"""Per-frame boxes and scores of visual queries ↔ the official intermediate JSON (`baseline_vq3d_detection_v105_val.json`).

    {"dataset_uids": […], "dataset_predictions": [{"top_boxes_per_clip": [[{fno, x1, x2, y1, y2}, …] per frame],
      "top_scores_per_clip": [[…] per frame], clip_uid, query_frame, visual_crop, visual_crop_fno, response_track}, …]}

as EgoLoc's get_detection_peaks_{val,test}.py write it. The variant for test has the flattened annotations as `dataset_uids`, and
`metadata` where val has `response_track`. Two keys of our own are added where they say something, and ignored by others:

- `clip_similarity`, a number or null per frame: how similar the frame's first box looks to the crop. Peaks' `clip_score`
  comes from it.
- `search_frames`, the frames' numbers, if they are not 0, 1, 2, …: recency or subsampling left some out.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import json_files

Json = dict[str, Any]

_FIX = "this is no detection file: give what pipeline_lib.vq2d.detect writes"


@dataclass(frozen=True, eq=False)
class QueryDetections:
    """What a detector found for one query in each frame of its search window, best first.

    Attributes:
        dataset_uid: `val_0000000000`, or for test the flattened annotation.
        query_frame: the search ends before it; in frames of the clip, as all frame numbers here.
        visual_crop: the annotation's box, {frame_number, x, y, width, height, original_width, original_height, …}.
        boxes: per frame (n, 4) int x1 y1 x2 y2 in original pixels.
        scores: per frame (n,) float, descending.
        response_track: the annotation's gold boxes; None for test.
        metadata: the flattened annotation's, test only.
        frames: the frames' numbers; None for 0, 1, 2, ….
        clip_similarity: per frame that of its first box to the crop, None without a box; None if nobody measured it.

    Raises:
        ValueError: lengths or shapes that don't fit together, or numbers that are not finite.
    """

    dataset_uid: str | Json
    clip_uid: str
    query_frame: int
    visual_crop: Json
    boxes: Sequence[np.ndarray]
    scores: Sequence[np.ndarray]
    response_track: list[Json] | None = None
    metadata: Json | None = None
    frames: Sequence[int] | None = None
    clip_similarity: Sequence[float | None] | None = None

    def __post_init__(self) -> None:
        if len(self.boxes) != len(self.scores):
            raise ValueError(f"boxes of {len(self.boxes)} frames, scores of {len(self.scores)}")
        for i, (boxes, scores) in enumerate(zip(self.boxes, self.scores, strict=True)):
            if boxes.shape != (len(scores), 4) or scores.ndim != 1:
                raise ValueError(f"frame {i}: boxes {boxes.shape} and scores {scores.shape}, expected (n, 4) and (n,)")
            if not np.isfinite(scores).all():
                raise ValueError(f"frame {i}: a score is not finite")
        for name in ("frames", "clip_similarity"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.boxes):
                raise ValueError(f"{name} has {len(values)} entries for {len(self.boxes)} frames")
        if (np.diff(self.frame_numbers, prepend=0) < 0).any():
            raise ValueError("frames are not ascending numbers from 0 on")
        if self.clip_similarity is not None and not np.isfinite([s or 0.0 for s in self.clip_similarity]).all():
            raise ValueError("a clip_similarity is not finite")

    @property
    def visual_crop_fno(self) -> int:
        """The frame that the crop is from."""
        return int(self.visual_crop["frame_number"])

    @cached_property
    def frame_numbers(self) -> np.ndarray:
        """(frames,) int: `frames`, or 0, 1, 2, …."""
        return np.arange(len(self.boxes)) if self.frames is None else np.asarray(self.frames, dtype=int)

    @property
    def uid(self) -> str:
        """The query in words, for messages."""
        if isinstance(self.dataset_uid, str):
            return self.dataset_uid
        metadata = self.dataset_uid.get("metadata", {})
        return f"{metadata.get('annotation_uid', self.clip_uid)}/{metadata.get('query_set', '?')}"


def write(path: Path, queries: Iterable[QueryDetections]) -> int:
    """Write the queries as they come, one in memory at a time; returns how many. Bytes are json.dump's.

    A name that ends with .gz is packed. The file appears when the last query is in it.
    """
    uids: list[str | Json] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile("w+", dir=path.parent, encoding="utf-8") as body:  # `dataset_uids` must stand first
        for query in queries:
            body.write(", " if uids else "")
            body.write(json.dumps(_prediction(query), allow_nan=False))
            uids.append(query.dataset_uid)
        body.seek(0)
        with json_files.written(path) as stream:
            stream.write(f'{{"dataset_uids": {json.dumps(uids, allow_nan=False)}, "dataset_predictions": [')
            shutil.copyfileobj(body, stream, 1 << 20)
            stream.write("]}")
    return len(uids)


def read(path: Path) -> Iterator[QueryDetections]:
    """The queries of a file in its order, one in memory at a time.

    Raises:
        UserError: not such a file; says which query is wrong and how.
    """
    uids = list(json_files.elements(path, "dataset_uids", _FIX))
    predictions = json_files.elements(path, "dataset_predictions", _FIX)
    missing: Any = object()
    for i, (uid, prediction) in enumerate(zip_longest(uids, predictions, fillvalue=missing)):
        if uid is missing or prediction is missing:
            raise UserError(f"{path} has {len(uids)} dataset_uids but not as many dataset_predictions; make it again")
        try:
            yield _query(uid, prediction)
        except KeyError as error:
            raise UserError(f"{path}: prediction {i} has no {error}; it must be a detection file of VQ2D") from None
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise UserError(f"{path}: prediction {i}: {error}; make the file again") from None


def _prediction(query: QueryDetections) -> Json:
    numbers = query.frame_numbers.tolist()
    value: Json = {
        "top_boxes_per_clip": [
            [
                {"fno": fno, "x1": int(x1), "x2": int(x2), "y1": int(y1), "y2": int(y2)}
                for x1, y1, x2, y2 in boxes.tolist()
            ]
            for fno, boxes in zip(numbers, query.boxes, strict=True)
        ],
        "top_scores_per_clip": [scores.tolist() for scores in query.scores],
        "clip_uid": query.clip_uid,
        "query_frame": query.query_frame,
        "visual_crop": query.visual_crop,
        "visual_crop_fno": query.visual_crop_fno,
    }
    if query.metadata is not None:
        value["metadata"] = query.metadata
    if query.response_track is not None:
        value["response_track"] = sorted(query.response_track, key=lambda box: box["frame_number"])
    if query.clip_similarity is not None:
        value["clip_similarity"] = [None if s is None else float(s) for s in query.clip_similarity]
    if numbers != list(range(len(numbers))):
        value["search_frames"] = numbers
    return value


def _query(uid: str | Json, prediction: Json) -> QueryDetections:
    boxes = prediction["top_boxes_per_clip"]
    for box in [prediction["visual_crop"], *(prediction.get("response_track") or [])]:
        int(box["frame_number"])  # every reader needs it
    return QueryDetections(
        dataset_uid=uid,
        clip_uid=prediction["clip_uid"],
        query_frame=int(prediction["query_frame"]),
        visual_crop=prediction["visual_crop"],
        boxes=[
            np.array([(b["x1"], b["y1"], b["x2"], b["y2"]) for b in frame], dtype=int).reshape(-1, 4) for frame in boxes
        ],
        scores=[np.array(frame, dtype=float) for frame in prediction["top_scores_per_clip"]],
        response_track=prediction.get("response_track"),
        metadata=prediction.get("metadata"),
        frames=prediction.get("search_frames") or _numbers(boxes),
        clip_similarity=prediction.get("clip_similarity"),
    )


def _numbers(boxes: list[list[Json]]) -> list[int] | None:
    """Frame numbers of a file that doesn't list them: those of the boxes, and between them evenly spaced ones."""
    known = {i: frame[0]["fno"] for i, frame in enumerate(boxes) if frame}
    if all(i == fno for i, fno in known.items()):
        return None
    return [int(n) for n in np.interp(range(len(boxes)), list(known), list(known.values()))]
