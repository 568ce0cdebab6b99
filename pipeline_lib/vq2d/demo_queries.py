"""What a camera sees of a room → visual queries with gold tracks, as Ego4D annotates them."""

from collections.abc import Callable
from random import Random
from typing import Any

from pipeline_lib.config.vq2d import Demo
from pipeline_lib.vq2d.demo_camera import Pose
from pipeline_lib.vq2d.demo_room import Room, Thing

CLIP_FPS = 5
QUERIES = 3  # per clip, at most; Ego4D has three
VISIBLE = 0.6  # share of a thing's box from which it counts as seen
SEEN = 6  # frames that an appearance must have to be asked for, or to give a crop
GAP = 10  # frames from the end of the last appearance to the query, at least

Box = dict[str, Any]


def appearances(thing: Thing, poses: list[Pose], options: Demo) -> list[list[tuple[int, tuple[float, ...]]]]:
    """Runs of frames in which a thing is seen, as (frame, x1 y1 x2 y2 inside the view)."""
    size = options.width, options.height
    runs: list[list[tuple[int, tuple[float, ...]]]] = []
    for fno, pose in enumerate(poses):
        x1, y1, x2, y2 = pose.see(thing.box, size)
        inside = max(x1, 0.0), max(y1, 0.0), min(x2, float(size[0])), min(y2, float(size[1]))
        seen = max(0.0, inside[2] - inside[0]) * max(0.0, inside[3] - inside[1])
        if seen < VISIBLE * (x2 - x1) * (y2 - y1):
            continue
        if not runs or runs[-1][-1][0] != fno - 1:
            runs.append([])
        runs[-1].append((fno, inside))
    return runs


def query_sets(
    rng: Random, room: Room, poses: list[Pose], options: Demo, video_frame: Callable[[int], int]
) -> dict[str, Any]:
    """The query sets of a clip, "1" to "3": where was this last seen before the query frame?

    Args:
        poses: of the clip's frames.
        video_frame: number of a clip's frame in the video.
    """

    def box(fno: int, corners: tuple[float, ...]) -> Box:
        x1, y1, x2, y2 = (round(edge, 2) for edge in corners)
        return {
            "frame_number": fno,
            "x": x1,
            "y": y1,
            "width": round(x2 - x1, 2),
            "height": round(y2 - y1, 2),
            "rotation": 0,
            "original_width": options.width,
            "original_height": options.height,
            "video_frame_number": video_frame(fno),
        }

    sets: dict[str, Any] = {}
    for thing in rng.sample(room.things, len(room.things)):
        runs = appearances(thing, poses, options)
        asked = _last_seen(rng, runs, len(poses))
        if asked is None or len(sets) == QUERIES:
            continue
        query_frame, last = asked
        others = [run for run in runs if run is not last and len(run) >= SEEN]
        shown = rng.choice(others)
        sets[str(len(sets) + 1)] = {
            "is_valid": True,
            "errors": [],
            "warnings": [],
            "query_frame": query_frame,
            "query_video_frame": video_frame(query_frame),
            "response_track": [box(fno, corners) for fno, corners in last],
            "object_title": thing.title,
            "visual_crop": box(*shown[len(shown) // 2]),
        }
    return sets


def _last_seen(
    rng: Random, runs: list[list[tuple[int, tuple[float, ...]]]], frames: int
) -> tuple[int, list[tuple[int, tuple[float, ...]]]] | None:
    """A query frame, and the appearance before it, of a thing that is also seen at another time; None if there is none."""
    choices = []
    for number, run in enumerate(runs):
        until = runs[number + 1][0][0] if number + 1 < len(runs) else frames
        others = any(len(other) >= SEEN for other in runs if other is not run)
        if len(run) >= SEEN and others and number > 0 and until - run[-1][0] > GAP:
            choices.append((run[-1][0] + rng.randint(GAP, until - run[-1][0] - 1), run))
    return rng.choice(choices) if choices else None
