"""Two real films of a hand with a thing, cut so that the things leave and return → do the peaks hit? With a picture per query.

python benchmarks/vq2d_real.py --cache .cache/sample --out /tmp/real

box.mp4 and cup.mp4 of Debian's opencv-doc never lose sight of their thing. So a video is made of box, cup, box, cup, box.
Crops and gold boxes were drawn by hand (gold ones on some frames, in between along straight lines). Networks are untrained.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import typer
from PIL import Image

from pipeline_lib.collect.films import fetch
from pipeline_lib.core import files
from pipeline_lib.video.decode import dense
from pipeline_lib.video.encoding import DETERMINISTIC, use_one_thread

FPS, STEP = 30, 6  # of the video; frames of it per frame of the clip
#: Film, first and last second of it, one after the other in the video.
PARTS = [("box", 0.0, 7.0), ("cup", 0.0, 4.0), ("box", 7.0, 15.0), ("cup", 4.0, 8.0), ("box", 0.0, 3.0)]
Corners = tuple[int, int, int, int]  # x1 y1 x2 y2 in pixels
#: What is asked for: (title, query frame, frame and box of the crop, boxes of the last appearance by frame; all of the clip).
QUERIES: list[tuple[str, int, tuple[int, Corners], dict[int, Corners]]] = [
    (
        "box",
        110,
        (10, (297, 9, 575, 229)),
        {
            55: (206, 51, 533, 265),
            58: (243, 53, 554, 264),
            62: (222, 100, 527, 323),
            66: (176, 116, 503, 364),
            70: (134, 120, 485, 364),
            75: (192, 120, 503, 346),
            80: (283, 109, 582, 311),
            85: (311, 79, 587, 239),
            90: (304, 84, 568, 239),
            94: (301, 86, 563, 241),
        },
    ),
    (
        "cup",
        128,
        (45, (141, 137, 373, 413)),
        {
            95: (258, 82, 475, 345),
            98: (376, 90, 550, 346),
            100: (345, 131, 467, 353),
            102: (310, 155, 412, 358),
            105: (283, 144, 366, 346),
            108: (289, 139, 394, 380),
            111: (260, 109, 379, 403),
            114: (251, 83, 376, 402),
        },
    ),
    ("pen", 110, (10, (207, 216, 308, 231)), {80: (207, 217, 308, 232), 94: (207, 218, 308, 232)}),
]


def shots() -> Iterator[tuple[str, list[int]]]:
    """(film, numbers of its frames at 30 a second) of every part."""
    for film, start, end in PARTS:
        yield film, list(range(round(start * FPS), round(end * FPS)))


def assemble(cache: Path, to: Path) -> int:
    """Write the video; returns its number of frames."""
    films = {
        name: [frame.pixels for frame in dense(fetch(f"{name}.mp4", cache), FPS, 640, 480)] for name in ("box", "cup")
    }
    pictures = [films[name][min(number, len(films[name]) - 1)] for name, numbers in shots() for number in numbers]
    with files.atomic(to) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18", **DETERMINISTIC})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        use_one_thread(stream)
        for number, pixels in enumerate(pictures):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return len(pictures)


def annotation(frames: int) -> dict[str, Any]:
    """The video's annotation file: its one clip is all of it."""

    def box(number: int, corners: Any) -> dict[str, Any]:
        x1, y1, x2, y2 = (round(float(edge), 2) for edge in corners)
        size = {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "rotation": 0}
        original = {"original_width": 640, "original_height": 480}
        return {"frame_number": number, **size, **original, "video_frame_number": STEP * number}

    sets = {}
    for title, query_frame, (number, crop), keys in QUERIES:
        numbers = list(range(min(keys), max(keys) + 1))
        edges = [np.interp(numbers, list(keys), [corners[i] for corners in keys.values()]) for i in range(4)]
        sets[str(len(sets) + 1)] = {
            "is_valid": True,
            "errors": [],
            "warnings": [],
            "query_frame": query_frame,
            "query_video_frame": STEP * query_frame,
            "object_title": title,
            "visual_crop": box(number, crop),
            "response_track": [box(n, corners) for n, *corners in zip(numbers, *edges, strict=True)],
        }
    clip = {
        "clip_uid": "hands",
        "video_start_sec": 0.0,
        "video_end_sec": (frames - 1) / FPS,
        "video_start_frame": 0,
        "video_end_frame": frames - 1,
        "clip_fps": 5.0,
        "annotations": [{"query_sets": sets, "warnings": []}],
    }
    return {"videos": [{"video_uid": "hands", "split": "val", "clips": [clip]}]}


def run(module: str, **options: object) -> None:
    """A module's command line."""
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    subprocess.run([sys.executable, "-m", f"pipeline_lib.{module}", *words], check=True)


def stack(paths: list[Path], to: Path) -> None:
    """One picture of several, one below the other, seven tenths as large."""
    drawn = [Image.open(path).convert("RGB") for path in paths]
    whole = Image.new("RGB", (max(one.width for one in drawn), sum(one.height for one in drawn)), "white")
    top = 0
    for one in drawn:
        whole.paste(one, (0, top))
        top += one.height
    whole.resize((whole.width * 7 // 10, whole.height * 7 // 10), Image.Resampling.LANCZOS).save(to, optimize=True)


def main(
    cache: Annotated[Path, typer.Option(help="folder of downloads")],
    out: Annotated[Path, typer.Option(help="folder for everything that is made")],
    height: Annotated[int, typer.Option(help="pixels that frames are searched at")] = 240,
) -> None:
    """Make the video, search the queries, and draw what was found."""
    frames = assemble(cache, out / "videos/hands.mp4")
    files.write_json(out / "vq_val.json", annotation(frames))
    run("vq2d.process", annotations=out / "vq_val.json", split="val", out=out / "annot.json")
    run("vq2d.clips", annotations=out / "vq_val.json", videos=out / "videos", out=out / "clips")
    run("features.weights", network="objects", out=out / "objects.safetensors", lock=out / "weights.lock")
    searched = {"weights": out / "objects.safetensors", "options": json.dumps({"downscale_height": height})}
    run("vq2d.detect", annotations=out / "annot.json", clips=out / "clips", out=out / "detections.json", **searched)
    run("vq2d.peaks", detections=out / "detections.json", out=out / "peaks.json", mode="all")
    scored = {"predictions": out / "peaks.json", "annotations": out / "annot.json", "metrics": "peaks"}
    run("vq2d.evaluate", out=out / "metrics.json", **scored)
    run("vq2d.plots", detections=out / "detections.json", out=out / "plots", clips=out / "clips")
    stack(sorted((out / "plots").glob("*.png")), out / "vq2d_real.png")


if __name__ == "__main__":
    typer.run(main)
