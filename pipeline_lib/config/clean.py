"""Configuration of due diligence: which videos are kept, and what becomes of the others."""

from typing import Literal

from pydantic import Field

from pipeline_lib.config.base import Section

Quarantine = Literal["move", "delete", "keep"]
Action = Literal["drop", "report", "off"]


class DueDiligence(Section):
    """What a video must be to be used. Every limit can be null, every switch false: then it isn't checked."""

    max_bytes: int | None = Field(8 * 1024**3, gt=0, description="of the file")
    min_side: int | None = Field(32, ge=1, description="pixels of the shorter side")
    max_pixels: int | None = Field(4096 * 2304, gt=0, description="width × height")
    min_fps: float | None = Field(1.0, ge=0, description="frames per second, counted")
    max_fps: float | None = Field(240.0, gt=0, description="frames per second, counted")
    min_seconds: float | None = Field(1.0, ge=0)
    max_seconds: float | None = Field(4 * 3600.0, gt=0)
    duration_tolerance: float | None = Field(
        0.05, ge=0, le=1, description="share of the declared duration by which the decodable one may differ"
    )
    decodable: bool = Field(True, description="pictures come out from the first to the last")
    black: float | None = Field(
        0.98, gt=0, le=1, description="share of black in every picture looked at from which a video is black"
    )
    frozen: float | None = Field(
        4.0, ge=0, le=255, description="levels of 255 that some part must change by, else the picture is frozen"
    )
    article: bool = Field(True, description="there is a description")
    captions: bool = Field(True, description="there are captions")
    min_words: int | None = Field(5, ge=0, description="in the captions; spoken languages without spaces: characters")
    languages: list[str] | None = Field(
        None, description="what captions may be written in; null: what they say they are; []: not checked"
    )
    language_confidence: float = Field(0.95, gt=0, le=1, description="from which another language is believed")
    quarantine: Quarantine = Field("move", description="what becomes of the file of a video that fails")


class Duplicates(Section):
    """Videos that are there twice, and which of them stay."""

    same_id: Action = Field("drop", description="two ids whose address is the same page of YouTube")
    same_bytes: Action = Field("drop", description="files that are equal byte by byte")
    near: Action = Field("drop", description="files that show the same")
    leaks: Literal["drop", "report"] = Field(
        "drop", description="any of these across splits: the video for training, else for val, goes"
    )
    bits: int = Field(10, ge=0, le=15, description="of 64 by which perceptual hashes of two pictures may differ")
    pictures: int = Field(6, ge=1, le=8, description="of 8, spread over both videos, that must show the same")
    duration: float = Field(0.05, ge=0, le=1, description="share of the longer duration by which they may differ")
