"""A video and places in its index → the pictures shown there: the same ones from every decoder.

Each module here has `pictures(path, index, places)`, which yields an av.VideoFrame for every place, a strictly increasing
list of row numbers of the index, and raises `Unplanned` when it can't give exactly those.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av

from pipeline_lib.core.errors import one_line
from pipeline_lib.video.plan import Index


class Unplanned(Exception):
    """The decoder can't open this stream, or the stream isn't what its index says."""


def pictures(name: str, path: Path, index: Index, places: Sequence[int]) -> Iterator[av.VideoFrame]:
    """The pictures at `places` from the decoder `name`: planned, decord or torchcodec."""
    try:
        return _decoder(name)(path, index, places)
    except (
        ImportError,
        OSError,
        RuntimeError,
    ) as error:  # torchcodec raises the last where ffmpeg's libraries are missing
        raise Unplanned(f"{name} is not installed ({one_line(error)})") from None


def _decoder(name: str) -> Callable[[Path, Index, Sequence[int]], Iterator[av.VideoFrame]]:
    """Imported when needed, since two of them may be missing, and by name, so that their code counts in fingerprints."""
    if name == "decord":
        from pipeline_lib.video.decoders import with_decord

        return with_decord.pictures
    if name == "torchcodec":
        from pipeline_lib.video.decoders import with_torchcodec

        return with_torchcodec.pictures
    from pipeline_lib.video.decoders import with_planned

    return with_planned.pictures
