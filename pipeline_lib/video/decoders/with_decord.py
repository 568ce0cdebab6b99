"""Places in a video's index → pictures, by decord."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import decord
import numpy as np

from pipeline_lib.video.decoders import Unplanned
from pipeline_lib.video.plan import Index

BATCH = 8  # pictures in memory at once

#: Where decord 0.6 gives the frames of a full decode; with HEVC and MPEG-4 it returns others after seeking (tests/video).
CODECS = {"h264", "vp8", "vp9", "mjpeg"}


def pictures(path: Path, index: Index, places: Sequence[int]) -> Iterator[av.VideoFrame]:
    """Yield the picture at every place.

    Raises:
        Unplanned: decord can't open the stream (it knows no AV1), or counts its frames otherwise.
    """
    if index.codec not in CODECS or index.depth != 8 or not index.restartable:
        raise Unplanned("decord's frames are not exact for such streams")
    decord.logging.set_level(decord.logging.FATAL)
    try:
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
        if len(reader) != len(index.pts):
            raise Unplanned(f"decord counts {len(reader)} frames, the container {len(index.pts)}")
        times = reader.get_frame_timestamp(range(len(reader)))[:, 0]
        if not np.allclose(times - times[0], (index.pts - index.pts[0]) * index.tick, atol=2e-3):
            raise Unplanned("decord has other times than the container")
        for start in range(0, len(places), BATCH):
            part = places[start : start + BATCH]
            for place, pixels in zip(part, reader.get_batch(part).asnumpy(), strict=True):
                picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                picture.pts = int(index.pts[place])
                yield picture
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError) as error:
        raise Unplanned(str(error)) from None
