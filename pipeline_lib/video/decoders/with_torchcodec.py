"""Places in a video's index → pictures, by torchcodec (an extra: it needs ffmpeg's shared libraries)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
from torchcodec.decoders import VideoDecoder

from pipeline_lib.video.decoders import Unplanned
from pipeline_lib.video.plan import Index

BATCH = 8  # pictures in memory at once


def pictures(path: Path, index: Index, places: Sequence[int]) -> Iterator[av.VideoFrame]:
    """Yield the picture at every place.

    Raises:
        Unplanned: torchcodec can't open the stream, or counts its frames otherwise.
    """
    if not index.restartable:
        raise Unplanned("torchcodec's frames are not exact for such streams")
    try:
        decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact")
        if len(decoder) != len(index.pts):
            raise Unplanned(f"torchcodec counts {len(decoder)} frames, the container {len(index.pts)}")
        for start in range(0, len(places), BATCH):
            part = list(places[start : start + BATCH])
            for place, pixels in zip(part, decoder.get_frames_at(part).data.numpy(), strict=True):
                picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                picture.pts = int(index.pts[place])
                yield picture
    except (RuntimeError, ValueError, IndexError) as error:
        raise Unplanned(str(error)) from None
