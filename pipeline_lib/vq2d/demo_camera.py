"""A room → where a camera that looks around in it is in every frame."""

import math
from dataclasses import dataclass
from random import Random

from pipeline_lib.config.vq2d import Demo
from pipeline_lib.vq2d.demo_room import PLACES, Room

STAY = (2.6, 4.6)  # seconds at a place
TURN = (0.6, 1.1)  # seconds from one place to the next
APART = 2  # other places seen before a place is seen again, so that appearances are further apart than peaks may be


@dataclass(frozen=True)
class Pose:
    """The centre of the view in the panorama, its scale (panorama pixels per view pixel) and turn in radians."""

    x: float
    y: float
    scale: float
    turn: float

    def affine(self, size: tuple[int, int]) -> tuple[float, float, float, float, float, float]:
        """View pixel → panorama pixel, as Pillow's AFFINE takes it."""
        cos, sin = self.scale * math.cos(self.turn), self.scale * math.sin(self.turn)
        w, h = size[0] / 2, size[1] / 2
        return cos, -sin, self.x - cos * w + sin * h, sin, cos, self.y - sin * w - cos * h

    def see(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """The box x1 y1 x2 y2 in the view that surrounds one of the panorama; it may reach over the view's edges."""
        cos, sin = math.cos(self.turn) / self.scale, math.sin(self.turn) / self.scale
        corners = [(x - self.x, y - self.y) for x in (box[0], box[2]) for y in (box[1], box[3])]
        xs = [cos * x + sin * y + size[0] / 2 for x, y in corners]
        ys = [-sin * x + cos * y + size[1] / 2 for x, y in corners]
        return min(xs), min(ys), max(xs), max(ys)

    def towards(self, other: "Pose", share: float) -> "Pose":
        """The pose between this and another one."""
        mine = (self.x, self.y, self.scale, self.turn)
        theirs = (other.x, other.y, other.scale, other.turn)
        return Pose(*(a + (b - a) * share for a, b in zip(mine, theirs, strict=True)))

    def distance(self, other: "Pose") -> float:
        """Panorama pixels between the centres."""
        return math.hypot(self.x - other.x, self.y - other.y)


def look_around(rng: Random, room: Room, frames: int, options: Demo) -> list[Pose]:
    """A pose per frame: places in random order, each held with a slow drift and the tremor of a head."""
    width, height = room.picture.size
    poses: list[Pose] = []
    seen: list[int] = []
    last: Pose | None = None
    while len(poses) < frames:
        place = rng.choice([number for number in range(PLACES) if number not in seen[-APART:]])
        seen.append(place)
        target = Pose(
            width * (place + 0.5) / PLACES + rng.uniform(-0.08, 0.08) * options.width,
            height * rng.uniform(0.52, 0.6),
            rng.uniform(0.85, 1.1),
            rng.uniform(-0.06, 0.06),
        )
        drift = target.towards(
            Pose(
                target.x + rng.uniform(-0.12, 0.12) * options.width,
                target.y + rng.uniform(-0.05, 0.05) * options.height,
                target.scale * rng.uniform(0.94, 1.06),
                target.turn + rng.uniform(-0.03, 0.03),
            ),
            1.0,
        )
        if last is not None:
            steps = max(2, round(rng.uniform(*TURN) * options.fps))
            poses += [last.towards(target, 0.5 - 0.5 * math.cos(math.pi * i / steps)) for i in range(1, steps)]
        steps = max(2, round(rng.uniform(*STAY) * options.fps))
        poses += [target.towards(drift, i / steps) for i in range(steps)]
        last = drift
    return [_tremble(pose, number / options.fps, options.height) for number, pose in enumerate(poses[:frames])]


def _tremble(pose: Pose, seconds: float, height: int) -> Pose:
    x = height * 0.008 * (math.sin(seconds * 7.3) + math.sin(seconds * 11.9 + 1))
    y = height * 0.010 * (math.sin(seconds * 6.1 + 2) + math.sin(seconds * 9.7))
    return Pose(pose.x + x, pose.y + y, pose.scale, pose.turn + 0.004 * math.sin(seconds * 5.3))
