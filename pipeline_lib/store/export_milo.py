"""Object regions of videos → the JSON that MILO's loaders call videoID2obj, and the arrays it points to.

    {video_id: {features_path, bbox_path, detection_class_names [[K names] per frame],
                obj_detec_confidence [[K numbers] per frame]}}

features_path: .npy (n_frames, K, 2048) float32; bbox_path: .npy (n_frames, K, 4) float32 x1 y1 x2 y2 in pixels. Row i is
t = 3·i s: the loaders take rows round(start / 3) to round(end / 3). A frame without regions keeps its row: zeros,
confidence 0, class __background__.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.store.export_files import whole_folder
from pipeline_lib.store.export_source import Names, Video

STEP = 3.0  # seconds per row, a constant of the loaders (specs: milo §1.4)


def require_step(step: float, start: float) -> None:
    """Refuse rows at other times than the loaders assume; they would silently take the wrong ones.

    Raises:
        UserError: `step` is not 3 s or `start` not 0.
    """
    if (step, start) != (STEP, 0.0):
        raise UserError(
            f"row i of these objects is t = {start:g} + {step:g}·i s but MILO's loaders assume {STEP:g}·i; "
            "set frames.every: 3.0 and make them again"
        )


def write(videos: Iterable[Video], out: Path, names: Names, features: Path, boxes: Path) -> tuple[int, int]:
    """Write the arrays, then the JSON with their absolute paths: where it stands, they are all there.

    Args:
        features: folder for `<video_id>.npy` with features.
        boxes: another one for `<video_id>.npy` with boxes.

    Returns:
        Numbers of videos and of frames.

    Raises:
        UserError: `out` is a folder, `features` or `boxes` have content, or they are one folder.
    """
    if out.is_dir():  # found out at the end, the arrays' folders would be left behind
        raise UserError(f"{out} is a folder; give --out the name of the JSON file to write")
    features, boxes = features.absolute(), boxes.absolute()
    if features.resolve() == boxes.resolve():
        raise UserError(f"features and boxes would both be {features}/<video_id>.npy; give two folders")
    table: dict[str, Any] = {}
    n_frames = 0
    with whole_folder(features) as to_features, whole_folder(boxes) as to_boxes:
        for video in videos:
            name = f"{video.video_id}.npy"
            np.save(to_features / name, video.features, allow_pickle=False)
            np.save(to_boxes / name, video.boxes, allow_pickle=False)
            table[video.video_id] = {
                "features_path": str(features / name),
                "bbox_path": str(boxes / name),
                "detection_class_names": [[names[label] for label in row] for row in video.labels.tolist()],
                "obj_detec_confidence": video.scores.tolist(),
            }
            n_frames += len(video)
    files.write_json(out, table, indent=None)
    return len(table), n_frames
