"""Configuration of decoding and of stored frames."""

from typing import Literal

from pydantic import Field

from pipeline_lib.config.base import Section


class Limits(Section):
    """What the decoder may spend on one video; beyond it the video gets a reason, and the next one its turn."""

    pixels: int = Field(8192 * 4320, ge=1, description="width × height of a picture")
    seconds: float = Field(24 * 3600.0, gt=0, description="of video")
    wall: float = Field(120.0, gt=0, description="seconds of waiting for the decoder")
    wall_per_second: float = Field(2.0, ge=0, description="seconds of waiting added for every second of video")
    memory_mb: int = Field(4096, ge=64, description="of the decoding process")


class Video(Section):
    """How video files are decoded, in every stage that does so."""

    decoder: Literal["auto", "pyav", "decord", "torchcodec"] = Field(
        "auto", description="all give the same frames; auto is the fastest (docs/decoding.md)"
    )
    limits: Limits = Limits()


class Frames(Section):
    """Stored pictures of a video, which the object features are made from."""

    store: bool = Field(True, description="false: no files; object features decode the videos themselves")
    every: float = Field(3.0, gt=0, description="seconds between two frames")
    mode: Literal["exact", "keyframe"] = Field(
        "exact", description="keyframe: the nearest keyframe, many times faster; the true times are stored either way"
    )
    quality: int = Field(95, ge=1, le=100, description="JPEG quality")
    max_side: int = Field(1280, ge=32, description="longer frames are scaled down to this many pixels")
