"""Configuration of where videos come from."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline_lib.config.base import Section
from pipeline_lib.config.youtube import YouTube


class Demo(Section):
    """Size and look of the generated videos of source.kind = demo."""

    train: int = Field(72, ge=0, description="videos to learn from")
    val: int = Field(24, ge=0, description="videos the threshold and the epoch are chosen on")
    test: int = Field(24, ge=0, description="videos the result is measured on")
    min_seconds: float = Field(8.0, ge=4, le=600)
    max_seconds: float = Field(20.0, ge=4, le=600)
    width: int = Field(320, ge=64, le=1920, multiple_of=2)
    height: int = Field(192, ge=64, le=1080, multiple_of=2)
    fps: int = Field(24, ge=4, le=60)
    sound: bool = Field(False, description="add a soundtrack of tones")

    @model_validator(mode="after")
    def _range(self) -> "Demo":
        if self.max_seconds < self.min_seconds:
            raise ValueError(f"max_seconds ({self.max_seconds}) is below min_seconds ({self.min_seconds}); raise it")
        return self


class Local(Section):
    """Videos on disk, for source.kind = local: a folder with sidecar files, or the videos that a CSV lists."""

    folder: str = Field("videos", description="NAME.mp4 with NAME.info.json, NAME.en.vtt … beside it (yt-dlp's names)")
    csv: str | None = Field(None, description="list with video_path[,article,captions], in place of `folder`")


class SourceOptions(Section):
    kind: Literal["demo", "local", "youtube"] = Field("demo", description="where videos come from")
    queries: list[str] = Field(["*"], min_length=1, description="what to search for; * is everything the source has")
    query_file: str | None = Field(None, description="text file with a query per line, in place of `queries`")
    limit: int = Field(1_000_000, ge=1, description="hits kept per query")
    annotations: str | None = Field(None, description="gold file; null asks the source (annotations.json of a folder)")
    languages: list[str] = Field(["en"], min_length=1, description="caption languages, best first")
    id_pattern: str = Field(r"[A-Za-z0-9_-]+", description="regular expression that a whole video id must match")
    demo: Demo = Demo()
    local: Local = Local()
    youtube: YouTube = YouTube()
