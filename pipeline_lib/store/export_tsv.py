"""Object regions of videos → the tab-separated file of bottom-up attention, one line per frame.

    image_id  image_w  image_h  num_boxes  boxes  features        (no header)

boxes and features are base64 text of C-order little-endian float32 arrays, (num_boxes, 4) x1 y1 x2 y2 in pixels of the
video and (num_boxes, 2048). The PyTorch port writes boxes as float64, which every reader takes for float32 garbage.

Two kinds of reader exist. The original's decodes the field as it is; convert_data.py of the port drops its first
character, because Python 3 wrote b'…' there. Base64 text after one blank suits both: decoders skip a blank, and if one
character is dropped it is the blank.

Upstream appends missing images to an existing file. This is written whole instead: a line that a killed run left half,
or lines of other weights, would stay in it for good, and writing it costs no more than reading the HDF5.
"""

import base64
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import numpy as np

from pipeline_lib.core import files
from pipeline_lib.store.export_files import whole_file
from pipeline_lib.store.export_source import Video

BLANK = b" "


def write(
    videos: Iterable[Video], out: Path, *, integer_ids: Path | None = None, blank: bool = True
) -> tuple[int, int]:
    """Write the TSV. Every line has all K rows, zeros where there was no region: readers stack the lines.

    Args:
        integer_ids: number the frames from 0, as readers that call int(image_id) need, and write
            {number: `<video_id>_<frame index>`} to this JSON file.
        blank: put a blank before base64 text.

    Returns:
        Numbers of videos and of frames.
    """
    prefix = BLANK if blank else b""
    names: dict[str, str] = {}
    numbers = count()
    n_videos = n_frames = 0
    with whole_file(out) as temporary:
        with open(temporary, "wb") as stream:
            for video in videos:
                for i, image_id in enumerate(video.image_ids()):
                    if integer_ids:
                        number = str(next(numbers))
                        names[number], image_id = image_id, number
                    head = f"{image_id}\t{video.width}\t{video.height}\t{video.boxes.shape[1]}\t"
                    boxes, features = (prefix + _base64(array[i]) for array in (video.boxes, video.features))
                    stream.write(b"%s%s\t%s\n" % (head.encode("ascii"), boxes, features))
                n_videos += 1
                n_frames += len(video)
        if integer_ids:  # before the TSV gets its name, so that no TSV stands without it
            files.write_json(integer_ids, names, sort_keys=False)
    return n_videos, n_frames


def _base64(array: np.ndarray) -> bytes:
    return base64.b64encode(array.tobytes())
