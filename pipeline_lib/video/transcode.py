"""Video file → some of its frames as an H.264 video at another rate, or what there is in it.

Made to be called in a decoding process (video.worker.Worker.call), so these functions take and give what JSON can say.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.decode import numbered
from pipeline_lib.video.encoding import DETERMINISTIC, use_one_thread
from pipeline_lib.video.filters import Filters, rotation
from pipeline_lib.video.plan import read_index
from pipeline_lib.video.probe import probe


def examine(path: Path) -> dict[str, Any]:
    """Size, rate and number of frames: those whose packets are in the file, whatever its header promises."""
    info, index = probe(path), read_index(path)
    frames = len(index.pts) if index is not None else sum(1 for _ in numbered(path))
    return {"width": info.width, "height": info.height, "fps": info.fps, "frames": frames}


def h264(
    path: Path, to: str, first: int, last: int, step: int, fps: int, height: int | None = None, crf: int = 22
) -> dict[str, Any]:
    """Encode the frames first, first + step, … up to `last` (inclusive) of a video as MP4; fewer where it ends earlier.

    One thread and no time stamps: equal pictures give equal bytes. Colours stay as they are coded; nothing goes through RGB.

    Args:
        height: pixels to scale to, the width following, one pixel more where that would be odd.

    Returns:
        {frames, width, height}; without a frame nothing is written.
    """
    done = 0
    shrink: Filters | None = None
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    stream: Any = None
    with av.open(to, "w", format="mp4", options=options) as container:
        for picture in numbered(path, range(first, last + 1, step)):
            if shrink is None:
                width, tall = _scaled(picture, height)
                shrink = Filters(f"scale={width}:{tall}:flags=bilinear", "yuv420p")
                stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf), **DETERMINISTIC})
                stream.width, stream.height, stream.pix_fmt = width, tall, "yuv420p"
                stream.codec_context.colorspace = picture.colorspace
                stream.codec_context.color_range = picture.color_range
                use_one_thread(stream)
            shown = shrink.picture(picture)
            shown.pts, shown.time_base, shown.pict_type = done, Fraction(1, fps), 0
            container.mux(stream.encode(shown))
            done += 1
        if stream is not None:
            container.mux(stream.encode(None))
    size = {"width": stream.width, "height": stream.height} if stream is not None else {"width": 0, "height": 0}
    return {"frames": done, **size}


def _scaled(picture: av.VideoFrame, height: int | None) -> tuple[int, int]:
    """Width and height of the upright picture, scaled to `height`; yuv420p needs both even.

    Raises:
        ItemError: too_large for an encoder.
    """
    wide, tall = (picture.height, picture.width) if rotation(picture) % 180 else (picture.width, picture.height)
    width = int(wide * (height / tall)) if height else wide
    tall = height or tall
    width, tall = max(2, width + width % 2), max(2, tall + tall % 2)
    if max(width, tall) > 16384:
        raise ItemError(Reason.TOO_LARGE, f"{width}×{tall} is more than H.264 takes")
    return width, tall
