"""Video file → every frame as a JPEG file."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.decode import numbered
from pipeline_lib.video.filters import Filters, rotation


def jpegs(path: Path, folder: str, pattern: str, first: int = 0, quality: int = 75) -> dict[str, Any]:
    """Write every frame of a video as `folder/pattern.format(i)`, i counted from `first`.

    The bytes are those of PyAV's `to_image` and Pillow's `save`.

    Returns:
        {frames, width, height, bytes}
    """
    written = frames = width = height = 0
    upright = Filters()
    for frames, picture in enumerate(numbered(path), 1):
        image = Image.fromarray(upright(picture)) if rotation(picture) else as_image(picture)
        width, height = image.size
        file = Path(folder, pattern.format(first + frames - 1))
        image.save(file, "JPEG", quality=quality)
        written += file.stat().st_size
        del image, picture  # the next ones take their memory, whose pages are there already
    if not frames:
        raise ItemError(Reason.UNDECODABLE, "no frame could be decoded")
    return {"frames": frames, "width": width, "height": height, "bytes": written}


def as_image(picture: av.VideoFrame) -> Image.Image:
    """What `picture.to_image()` shows, without its copies where that is possible: as RGB or, over ffmpeg's memory, RGBX.

    ffmpeg rounds the columns behind the last multiple of 16 otherwise in four bytes a pixel than in three if they are 1 to 4.
    """
    if (picture.width - 1) % 16 < 4:
        return Image.fromarray(picture.reformat(format="rgb24", threads=1).to_ndarray())
    plane = picture.reformat(format="rgb0", threads=1).planes[0]
    pixels = np.frombuffer(memoryview(plane), np.uint8)
    return Image.frombuffer("RGBX", (picture.width, picture.height), pixels, "raw", "RGBX", plane.line_size, 1)
