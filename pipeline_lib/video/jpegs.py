"""Video file → every frame as a JPEG file."""

from pathlib import Path
from typing import Any

from PIL import Image

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.decode import numbered
from pipeline_lib.video.filters import Filters, rotation


def jpegs(path: Path, folder: str, pattern: str, first: int = 0, quality: int = 75) -> dict[str, Any]:
    """Write every frame of a video as `folder/pattern.format(i)`, i counted from `first`.

    The bytes are those of PyAV's `to_image` and Pillow's `save`; the way over an array saves a copy, and threads.

    Returns:
        {frames, width, height, bytes}
    """
    written = frames = width = height = 0
    upright = Filters()
    for frames, picture in enumerate(numbered(path), 1):
        if rotation(picture):
            pixels = upright(picture)
        else:
            pixels = picture.reformat(format="rgb24", threads=1).to_ndarray()
        height, width = pixels.shape[:2]
        file = Path(folder, pattern.format(first + frames - 1))
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        written += file.stat().st_size
    if not frames:
        raise ItemError(Reason.UNDECODABLE, "no frame could be decoded")
    return {"frames": frames, "width": width, "height": height, "bytes": written}
