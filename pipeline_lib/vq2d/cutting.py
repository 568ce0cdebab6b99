"""A clip and boxes → the boxes' pixels; imports little, because a decoding process has to."""

import base64
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from pipeline_lib.video.decode import numbered
from pipeline_lib.video.filters import Filters


def from_clip(path: Path, places: Sequence[Sequence[float]], width: int, height: int, side: int) -> list[str | None]:
    """PNGs in base64, of one place each; None where the clip has no such frame, or the box no pixel.

    Runs in a decoding process, so all it takes and gives is what JSON can say.
    """
    wanted = sorted({int(place[0]) for place in places})
    upright = Filters()
    found: dict[int, str | None] = {}
    for number, frame in zip(wanted, numbered(path, wanted), strict=False):  # the clip may be shorter
        picture = Image.fromarray(upright(frame))
        for i, place in enumerate(places):
            if int(place[0]) == number:
                found[i] = _png(cut(picture, place[1:], width, height, side))
    return [found.get(i) for i in range(len(places))]


def cut(picture: Image.Image, box: Iterable[float], width: int, height: int, side: int) -> Image.Image | None:
    """The part of a picture inside x1 y1 x2 y2, made smaller if need be; None if nothing is left of it.

    Args:
        width, height: of the picture that the box is in pixels of.
        side: pixels that it may be wide or high.
    """
    x, y = picture.width / width, picture.height / height
    x1, y1, x2, y2 = (round(edge * scale) for edge, scale in zip(box, (x, y, x, y), strict=True))
    corners = max(x1, 0), max(y1, 0), min(x2, picture.width), min(y2, picture.height)
    if corners[0] >= corners[2] or corners[1] >= corners[3]:
        return None
    found = picture.crop(corners)
    found.thumbnail((side, side), Image.Resampling.LANCZOS)
    return found


def _png(picture: Image.Image | None) -> str | None:
    if picture is None:
        return None
    content = io.BytesIO()
    picture.save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
