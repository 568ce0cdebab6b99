"""Video file → every frame as a JPEG file."""

from pathlib import Path
from typing import Any

import torch
from torchvision.io import encode_jpeg

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.decode import numbered
from pipeline_lib.video.filters import Filters, rotation


def jpegs(path: Path, folder: str, pattern: str, first: int = 0, quality: int = 75) -> dict[str, Any]:
    """Write every frame of a video as `folder/pattern.format(i)`, i counted from `first`.

    The bytes are those of Pillow's `save` of PyAV's `to_image` with the same libjpeg: torchvision's encoder only gets there
    with fewer copies.

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
        content = encode_jpeg(torch.from_numpy(pixels).permute(2, 0, 1), quality).numpy()
        with open(Path(folder, pattern.format(first + frames - 1)), "wb") as stream:
            stream.write(content.data)
        written += content.nbytes
    if not frames:
        raise ItemError(Reason.UNDECODABLE, "no frame could be decoded")
    return {"frames": frames, "width": width, "height": height, "bytes": written}
