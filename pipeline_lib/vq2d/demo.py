"""A seed → egocentric-like videos with visual queries, and their annotations in Ego4D's schema.

    OUT/videos/<video_uid>.mp4    two clips each
    OUT/vq_val.json               with gold tracks, OUT/vq_test_unannotated.json without, as the published files

A camera looks around in a room: it stays at a place for some seconds, turns to another, and comes back later. So a thing
appears, leaves and returns. A query asks where a thing was last seen, and shows it at another time.
"""

import json
import logging
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal
from uuid import UUID

import av
import numpy as np
import typer
from PIL import Image, ImageDraw

from pipeline_lib.config.vq2d import Demo
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track
from pipeline_lib.video.encoding import DETERMINISTIC, use_one_thread
from pipeline_lib.vq2d import demo_room
from pipeline_lib.vq2d.demo_camera import Pose, look_around
from pipeline_lib.vq2d.demo_queries import CLIP_FPS, query_sets

log = logging.getLogger(__name__)

CLIPS = 2  # per video
CRF = 20
_FILE = {"val": "vq_val.json", "test": "vq_test_unannotated.json"}


@dataclass(frozen=True)
class Take:
    """What a video shows: a room, and where the camera is in every frame."""

    room: demo_room.Room
    poses: list[Pose]
    uid: str
    rng: Random


def take(split: str, number: int, seed: int, options: Demo) -> Take:
    """The take of a video, the same for equal arguments."""
    rng = Random(f"vq2d {seed} {split} {number}")
    room = demo_room.furnish(rng, (options.width, options.height))
    frames = CLIPS * round(options.seconds * options.fps) + 1
    poses = look_around(rng, room, frames, options)
    return Take(room, poses, str(UUID(int=rng.getrandbits(128), version=4)), rng)


def annotate(shown: Take, split: str, options: Demo) -> dict[str, Any]:
    """The video's entry of the annotation file."""
    length, step = round(options.seconds * options.fps), options.fps // CLIP_FPS
    clips = []
    for number in range(CLIPS):
        first = number * length
        poses = shown.poses[first : first + length + 1 : step]
        sets = query_sets(shown.rng, shown.room, poses, options, range(first, first + length + 1, step).__getitem__)
        if split == "test":
            sets = {
                name: {key: value for key, value in one.items() if key not in ("response_track", "object_title")}
                for name, one in sets.items()
            }
        clips.append(
            {
                "clip_uid": str(UUID(int=shown.rng.getrandbits(128), version=4)),
                "video_start_sec": first / options.fps,
                "video_end_sec": (first + length) / options.fps,
                "video_start_frame": first,
                "video_end_frame": first + length,
                "clip_start_sec": 0,
                "clip_end_sec": length / options.fps,
                "clip_start_frame": 0,
                "clip_end_frame": length,
                "clip_fps": float(CLIP_FPS),
                "annotation_complete": True,
                "source_clip_uid": str(UUID(int=shown.rng.getrandbits(128), version=4)),
                "annotations": [
                    {
                        "query_sets": sets,
                        "warnings": [],
                        **({"annotation_uid": str(UUID(int=shown.rng.getrandbits(128), version=4))}),
                    }
                ],
            }
        )
    return {"video_uid": shown.uid, "split": split, "clips": clips}


def pictures(shown: Take, options: Demo) -> Iterator[Image.Image]:
    """The video's frames."""
    size = options.width, options.height
    noise = np.random.default_rng(shown.rng.getrandbits(32)).normal(0, 3, (*size[::-1], 1))
    last = shown.poses[0]
    for number, pose in enumerate(shown.poses):
        blurred = [pose, pose.towards(last, 0.35)] if pose.distance(last) > options.width * 0.02 else [pose]
        views = [
            shown.room.picture.transform(size, Image.Transform.AFFINE, one.affine(size), Image.Resampling.BILINEAR)
            for one in blurred
        ]
        view = views[0] if len(views) == 1 else Image.blend(views[0], views[1], 0.5)
        _hand(view, number / options.fps)
        light = 1 + 0.06 * math.sin(number / options.fps * 0.7)
        pixels = np.asarray(view, np.float32) * light + np.roll(noise, (number * 37, number * 53), (0, 1))
        yield Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        last = pose


def _hand(view: Image.Image, seconds: float) -> None:
    """The wearer's hand comes up at the lower edge now and then."""
    up = max(0.0, math.sin(seconds * 0.9)) ** 2
    (w, h), draw = view.size, ImageDraw.Draw(view)
    x, y = w * (0.62 + 0.12 * math.sin(seconds * 2.1)), h * (1.06 - 0.16 * up)
    draw.ellipse((x - w * 0.08, y - h * 0.08, x + w * 0.08, y + h * 0.3), fill=(214, 170, 140))
    for finger in range(4):
        left = x - w * 0.07 + finger * w * 0.037
        draw.ellipse((left, y - h * 0.14, left + w * 0.032, y + h * 0.05), fill=(208, 162, 132))


def render(shown: Take, options: Demo, to: Path) -> None:
    """Encode a take as an MP4, the same bytes every time."""
    flags = {"movflags": "+faststart", "fflags": "+bitexact"}
    with files.atomic(to) as temporary, av.open(str(temporary), "w", format="mp4", options=flags) as container:
        preset = {"preset": "veryfast", "crf": str(CRF), **DETERMINISTIC}
        stream = container.add_stream("libx264", rate=options.fps, options=preset)
        stream.width, stream.height, stream.pix_fmt = options.width, options.height, "yuv420p"
        use_one_thread(stream)
        for number, picture in enumerate(pictures(shown, options)):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            frame = frame.reformat(format="yuv420p", threads=1)
            frame.pts, frame.time_base = number, Fraction(1, options.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make(split: str, seed: int, options: Demo, out: Path, number: int) -> dict[str, Any]:
    """Render a video unless it is there; returns its entry of the annotation file."""
    shown = take(split, number, seed, options)
    entry = annotate(shown, split, options)
    path = out / "videos" / f"{shown.uid}.mp4"
    if not path.exists():
        render(shown, options, path)
    return entry


def _queries(entry: dict[str, Any]) -> int:
    """Queries of a video's entry."""
    return sum(len(annotation["query_sets"]) for clip in entry["clips"] for annotation in clip["annotations"])


def main(
    out: Annotated[Path, typer.Option(help="folder to write")],
    split: Annotated[Literal["val", "test"], typer.Option(help="val has gold tracks, test has none")] = "val",
    options: arguments.Options = "{}",
    seed: arguments.Seed = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="videos rendered at once")] = 1,
) -> None:
    """Render the demo's videos and write their annotations."""
    wanted = cli.parse_options(Demo, options)
    numbers = range(wanted.val if split == "val" else wanted.test)
    if not any(_queries(annotate(take(split, number, seed, wanted), split, wanted)) for number in numbers):
        raise UserError(
            f"nothing leaves and returns in {wanted.seconds:g} s of {split} with seed {seed};"
            " set vq2d.demo.seconds higher, or take another seed"
        )
    (out / "videos").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs) as pool:
        entries = list(
            track(pool.map(partial(make, split, seed, wanted, out), numbers), f"vq2d demo {split}", len(numbers))
        )
    queries = sum(map(_queries, entries))
    about = {"version": "1", "date": "", "description": f"generated, seed {seed}", "manifest": ""}
    files.write_text(out / _FILE[split], json.dumps({**about, "videos": entries}) + "\n")
    log.info("%s: %d videos, %d queries", _FILE[split], len(entries), queries)


if __name__ == "__main__":
    cli.run(main)
