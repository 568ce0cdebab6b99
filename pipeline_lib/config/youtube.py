"""Configuration of source.kind = youtube: what is searched, taken and how politely it is asked for."""

import datetime
from typing import Literal

from pydantic import Field, model_validator

from pipeline_lib.config.base import Section


class Filters(Section):
    """Which videos are wanted. A fact that the page of results doesn't tell is checked when the video's page is read."""

    min_seconds: float = Field(0.0, ge=0, description="shorter videos are left out")
    max_seconds: float = Field(4 * 3600.0, gt=0, description="longer videos are left out")
    after: datetime.date | None = Field(None, description="first day of upload, YYYY-MM-DD")
    before: datetime.date | None = Field(None, description="last day of upload, YYYY-MM-DD")
    live: bool = Field(True, description="recordings of live streams too; what is on air now is never taken")
    languages: list[str] = Field([], description="languages spoken, where YouTube knows; empty: any")

    @model_validator(mode="after")
    def _range(self) -> "Filters":
        if self.max_seconds < self.min_seconds:
            raise ValueError(f"max_seconds ({self.max_seconds}) is below min_seconds ({self.min_seconds}); raise it")
        if self.after and self.before and self.before < self.after:
            raise ValueError(f"before ({self.before}) is earlier than after ({self.after}); swap them")
        return self


class CaptionChoice(Section):
    """Which captions are taken, in source.languages."""

    automatic: bool = Field(True, description="YouTube's own recognition where nobody wrote captions")
    required: bool = Field(True, description="without captions a video fails; false: it stays, with kind none")
    asr: str | None = Field(None, description="faster-whisper model (name or folder) for videos without captions")


class VideoChoice(Section):
    """Which file is taken."""

    max_height: int = Field(720, ge=144, le=4320, description="pixels; H.264 in mp4 is preferred below it")
    audio: bool = Field(True, description="keep the sound")
    max_bytes: int = Field(2 * 1024**3, gt=0, description="larger files are refused before they are downloaded")
    max_wall: float = Field(3600.0, gt=0, description="seconds that one try to download may take")


class Politeness(Section):
    """How often YouTube is asked. The counts hold for all processes and hosts that share the folder `shared`."""

    requests_per_minute: float = Field(30.0, gt=0, description="requests of any kind")
    burst: int = Field(5, ge=1, description="requests that may follow each other at once after a rest")
    videos_per_hour: float = Field(240.0, gt=0, description="videos whose page is read; YouTube stops guests near 300")
    tries: int = Field(4, ge=1, le=20, description="tries of one request that meets a passing error")
    wait: float = Field(5.0, ge=0, description="seconds before the second try; doubled for each more, with jitter")
    max_wait: float = Field(600.0, ge=0, description="longest pause; whoever is told to wait longer stops")
    stop_after: int = Field(8, ge=1, description="refusals (429, robot check) in a row after which stages stop")
    stop_minutes: float = Field(60.0, gt=0, description="how long they stay stopped")
    timeout: float = Field(30.0, gt=0, description="seconds without a byte after which a connection is given up")


class YouTube(Section):
    """Videos of YouTube; read docs/youtube.md before the first run."""

    filters: Filters = Filters()
    captions: CaptionChoice = CaptionChoice()
    videos: VideoChoice = VideoChoice()
    politeness: Politeness = Politeness()
    shared: str | None = Field(None, description="folder of the counts that all runs behind one address share")
    info_hours: float = Field(5.0, ge=0, le=6, description="how long a page once read serves the other stages")
    cookies: str | None = Field(None, description="cookie file with mode 0600; or set YOUTUBE_COOKIES to its path")
    proxy: str | None = Field(None, description="address of a proxy; one with a password goes into HTTPS_PROXY")
    clients: list[str] = Field([], description="player clients of yt-dlp; empty: its own choice")
    js_runtimes: list[Literal["deno", "node", "bun", "quickjs"]] = Field(
        ["deno", "node", "bun", "quickjs"], description="tried in this order; empty: go on without, with fewer formats"
    )

    @model_validator(mode="after")
    def _no_secrets(self) -> "YouTube":
        if self.proxy and "@" in self.proxy:
            raise ValueError("proxy holds a user or password; put it into the environment variable HTTPS_PROXY instead")
        return self
