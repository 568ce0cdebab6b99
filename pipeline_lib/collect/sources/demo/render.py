"""A screenplay → an H.264 file (and AAC sound on request), the same bytes every time."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import numpy as np
from av.container import OutputContainer
from PIL import Image, ImageDraw

from pipeline_lib.collect.sources.demo import effects, scenes
from pipeline_lib.collect.sources.demo.story import Shot, Story
from pipeline_lib.collect.sources.demo.world import TYPES
from pipeline_lib.video.encoding import DETERMINISTIC, use_one_thread

VERSION = 2  # raise it with every change of the pictures or of the encoding
CRF = 20
SECONDS_PER_GOP = 2
SAMPLE_RATE = 22_050  # Hz
_SAMPLES = 1024  # per AAC frame


def pictures(story: Story, size: tuple[int, int]) -> Iterator[Image.Image]:
    """The RGB frames of a story in order; size = (width, height) in pixels."""
    for number, shot in enumerate(story.shots):
        rng = Random(story.outline.digest + number)
        yield from _studio(shot, rng, size, story) if shot.event is None else _event(shot, rng, size, story)


def render(story: Story, to: Path, size: tuple[int, int], *, sound: bool) -> None:
    """Encode a story as an MP4 whose index comes first, whatever the suffix of `to`."""
    fps = story.outline.fps
    flags = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(to), "w", format="mp4", options=flags) as container:
        video = container.add_stream(
            "libx264", rate=fps, options={"preset": "veryfast", "crf": str(CRF), **DETERMINISTIC}
        )
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.gop_size = SECONDS_PER_GOP * fps
        use_one_thread(video)
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if sound else None
        for number, picture in enumerate(pictures(story, size)):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(
                format="yuv420p", threads=1
            )
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            _add_sound(container, audio, story)


def _event(shot: Shot, rng: Random, size: tuple[int, int], story: Story) -> Iterator[Image.Image]:
    assert shot.event is not None
    stage = effects.stage(shot.event, rng, size)
    for i in range(shot.end - shot.first):
        yield effects.frame(stage, i / (shot.end - shot.first), i / story.outline.fps)


def _studio(shot: Shot, rng: Random, size: tuple[int, int], story: Story) -> Iterator[Image.Image]:
    """A presenter who talks and nods at a desk."""
    backdrop = scenes.backdrop("studio", rng, size)
    (w, h), shirt = size, rng.choice(((170, 40, 50), (60, 60, 70), (40, 110, 90)))
    for i in range(shot.end - shot.first):
        seconds = i / story.outline.fps
        image = backdrop.copy()
        draw = ImageDraw.Draw(image)
        x, y = w * 0.3, h * (0.36 + 0.012 * math.sin(seconds * 6))
        draw.rounded_rectangle((x - h * 0.2, y + h * 0.14, x + h * 0.2, h * 0.77), h * 0.1, fill=shirt)
        draw.ellipse((x - h * 0.11, y - h * 0.14, x + h * 0.11, y + h * 0.14), fill=(232, 188, 150))
        draw.pieslice((x - h * 0.12, y - h * 0.16, x + h * 0.12, y + h * 0.1), 180, 360, fill=(60, 40, 30))
        mouth = h * 0.025 * abs(math.sin(seconds * 11))
        draw.ellipse((x - h * 0.04, y + h * 0.07 - mouth, x + h * 0.04, y + h * 0.075 + mouth), fill=(120, 30, 30))
        draw.rectangle((0, h * 0.76, w, h * 0.79), fill=(215, 220, 230))
        yield image


def _add_sound(container: OutputContainer, audio: av.AudioStream, story: Story) -> None:
    """A tone for each type of event, with a slow beat; a low hum in the studio."""
    fps = story.outline.fps
    for first in range(0, round(story.outline.frames / fps * SAMPLE_RATE), _SAMPLES):
        at = min(int(first / SAMPLE_RATE * fps), story.outline.frames - 1)
        event = next(shot.event for shot in story.shots if at < shot.end)
        pitch = 110.0 if event is None else 220.0 * 2 ** (TYPES.index(event.type) / 6)  # Hz
        seconds = np.arange(first, first + _SAMPLES) / SAMPLE_RATE
        wave = 0.3 * np.sin(2 * np.pi * pitch * seconds) * (0.7 + 0.3 * np.sin(2 * np.pi * 3 * seconds))
        piece = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
        piece.sample_rate, piece.pts, piece.time_base = SAMPLE_RATE, first, Fraction(1, SAMPLE_RATE)
        container.mux(audio.encode(piece))
    container.mux(audio.encode())
