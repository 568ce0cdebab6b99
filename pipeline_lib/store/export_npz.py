"""Object regions of videos → a folder with a compressed .npz per frame, as bottom-up-attention.pytorch (MILVLG) writes.

    x (n, 2048) float32 · bbox (n, 4) float32 x1 y1 x2 y2 in pixels of the video · num_bbox · image_h · image_w
    info: {image_id, image_h, image_w, num_boxes, objects_id (n,), objects_conf (n,), attrs_id (0,), attrs_conf (0,)}

objects_id counts from 0 without background, so it is a label minus 1. Rows that hold no region are left out, since no
objects_id could say so; n differs between frames, as upstream. The detector has no attributes.

Upstream's `info` is a dict, hence a pickle, and reading it takes np.load(…, allow_pickle=True). We only write it, and
this project never loads one; the other members need no pickle. It is written in protocol 3 with the module names of
NumPy 1, because upstream's environments have that and NumPy 2 reads both.
"""

import io
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.store.export_files import whole_folder
from pipeline_lib.store.export_source import Video

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold, so that equal arrays give equal bytes


def write(videos: Iterable[Video], out: Path) -> tuple[int, int]:
    """Write `<out>/<image id>.npz` of every frame.

    Returns:
        Numbers of videos and of frames.
    """
    n_videos = n_frames = 0
    with whole_folder(out) as folder:
        for video in videos:
            for i, image_id in enumerate(video.image_ids()):
                _save(folder / f"{image_id}.npz", _members(video, i, image_id))
            n_videos += 1
            n_frames += len(video)
    return n_videos, n_frames


def _members(video: Video, i: int, image_id: str) -> dict[str, Any]:
    real = video.labels[i] > 0
    size = {"image_h": video.height, "image_w": video.width}
    return {
        "x": video.features[i][real],
        "bbox": video.boxes[i][real],
        "num_bbox": int(real.sum()),
        **size,
        "info": {
            "image_id": image_id,
            **size,
            "num_boxes": int(real.sum()),
            "objects_id": video.labels[i][real] - 1,
            "objects_conf": video.scores[i][real],
            "attrs_id": np.zeros(0, np.int64),
            "attrs_conf": np.zeros(0, np.float32),
        },
    }


def _save(path: Path, members: dict[str, Any]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in members.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, _pickled(value) if isinstance(value, dict) else _npy(np.asarray(value)))


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
    return content.getvalue()


def _pickled(value: dict[str, Any]) -> bytes:
    """An .npy of shape () that holds a dict, as np.save of NumPy 1 writes it."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|O", "fortran_order": False, "shape": ()})
    body = pickle.dumps(np.array(value, dtype=object), protocol=3)
    return content.getvalue() + body.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
