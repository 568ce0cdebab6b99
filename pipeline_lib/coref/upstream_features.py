"""Paths in an entry of MILO's JSON files → the arrays of its video, in the form that a merge stores (§1.1–1.4)."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline_lib.core.errors import one_line
from pipeline_lib.coref.upstream_arrays import Arrays
from pipeline_lib.coref.upstream_entries import Clip, Segment, Video
from pipeline_lib.coref.upstream_store import BACKGROUND, Features, Objects


def vocabulary(contents: Iterable[Clip | Video]) -> list[str]:
    """Names of object classes, sorted; the i-th has the label i + 1."""
    rows = (row for content in contents for row in _names(content))
    return sorted({name for row in rows for name in row} - {"", BACKGROUND})


def _names(content: Clip | Video) -> list[list[str]]:
    """Class names as the exporter of this project reads a vocabulary: before a comma, lower case, no blanks around."""
    return [[one_line(name.split(",")[0]).lower() for name in row] for row in content.detection_class_names or []]


def global_features(folder: Path, name: str, arrays: Arrays) -> Features:
    """2-D and 3-D features of a video, (rows, 2048) each, from 2d/<name>.npy and 3d/<name>.npy."""
    found = {}
    for kind, network in (("2d", "resnet152"), ("3d", "resnext101")):
        path = folder / kind / f"{name}.npy"
        found[network] = arrays.features(path, 2)
        if not len(found[network]):
            raise ValueError(f"{path} has no rows")
    return found


def speech_objects(segments: dict[str, Segment], arrays: Arrays) -> Objects:
    """Objects of the middle frames of all segments; row i is that of segment i."""
    features = [arrays.features(arrays.locate(segment.features_path), 2) for segment in segments.values()]
    if len({len(rows) for rows in features}) > 1:
        raise ValueError(f"its frames have different numbers of objects, {sorted({len(rows) for rows in features})}")
    for (key, segment), rows in zip(segments.items(), features, strict=True):
        if len(segment.obj_detec_confidence) != len(rows):
            raise ValueError(f"{key}: {len(segment.obj_detec_confidence)} confidences for {len(rows)} objects")
    scores = np.array([segment.obj_detec_confidence for segment in segments.values()], float)
    if not np.isfinite(scores).all():
        raise ValueError("obj_detec_confidence holds NaN or Inf")
    return Objects.of(np.stack(features), scores=scores)


def shown_objects(content: Clip | Video, labels: dict[str, int], arrays: Arrays) -> Objects:
    """Objects of the frames of a clip or of a whole video."""
    features = arrays.features(arrays.locate(content.features_path), 3)
    boxes = None
    if content.bbox_path:
        boxes = arrays.numbers(arrays.locate(content.bbox_path), (*features.shape[:2], 4))
    names = _names(content)
    if names and [len(row) for row in names] != [features.shape[1]] * len(features):
        raise ValueError(f"detection_class_names doesn't fit its features of shape {features.shape}")
    known = np.array([[labels.get(name, 0) for name in row] for row in names]) if names else None
    return Objects.of(features, boxes=boxes, labels=known)
