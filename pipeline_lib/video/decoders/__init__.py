"""A video and places in its index → the pictures shown there: the same ones from every decoder.

Each module here has `pictures(path, index, places)`, which yields an av.VideoFrame for every place, a strictly increasing
list of row numbers of the index, and raises `Unplanned` when it can't give exactly those.
"""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import av

from pipeline_lib.video.plan import Index


class Unplanned(Exception):
    """The decoder can't open this stream, or the stream isn't what its index says."""


def pictures(name: str, path: Path, index: Index, places: Sequence[int]) -> Iterator[av.VideoFrame]:
    """The pictures at `places` from the decoder `name`: planned, decord or torchcodec."""
    try:
        module = importlib.import_module(f"{__name__}.with_{name}")
    except ImportError as error:
        raise Unplanned(f"{name} is not installed ({error})") from None
    return module.pictures(path, index, places)
