"""An event at one moment → the frame that shows it: the actor on its backdrop and what happens to it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from pipeline_lib.collect.sources.demo import actors, scenes
from pipeline_lib.collect.sources.demo.world import COLOURS, Event

MARCHER_HEIGHT = 0.28  # of the frame's height
_PARTICLES = 160


@dataclass(frozen=True)
class Stage:
    """All of a shot that doesn't move."""

    event: Event
    backdrop: Image.Image  # RGB
    actor: Image.Image  # RGBA
    size: tuple[int, int]  # of the frame, in pixels
    start: float  # x of the actor's centre at the first moment, in widths
    drift: float  # how far it moves during the shot, in widths
    particles: list[tuple[float, float, float]]  # three numbers in [0, 1) each, for flakes, flames, debris

    def centre(self, t: float) -> tuple[float, float]:
        """Where the actor's middle is at t ∈ [0, 1], in pixels."""
        return (self.start + self.drift * t) * self.size[0], actors.BUILDS[self.event.noun].middle * self.size[1]


def stage(event: Event, rng: Random, size: tuple[int, int]) -> Stage:
    """Build the stage of one shot; size = (width, height) in pixels."""
    direction = rng.choice((-1, 1))
    backdrop = scenes.backdrop(event.place, rng, size)
    height = MARCHER_HEIGHT if event.type == "march" else actors.BUILDS[event.noun].height
    actor = actors.sprite(event.noun, event.colour, event.texture, round(height * size[1]))
    particles = [(rng.random(), rng.random(), rng.random()) for _ in range(_PARTICLES)]
    travel = rng.uniform(0.15, 0.35)
    return Stage(event, backdrop, actor, size, 0.5 - direction * travel / 2, direction * travel, particles)


def frame(stage: Stage, t: float, seconds: float) -> Image.Image:
    """The RGB picture at t ∈ [0, 1] of the shot, `seconds` after its beginning."""
    image = stage.backdrop.copy()
    EFFECTS[stage.event.type](image, stage, t, seconds)
    return image


def _put(image: Image.Image, actor: Image.Image, x: float, y: float) -> None:
    """Paste a cut-out with its centre at (x, y)."""
    image.paste(actor, (round(x - actor.width / 2), round(y - actor.height / 2)), actor)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, fill: tuple[int, ...]) -> None:
    draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _burn(image: Image.Image, stage: Stage, t: float, seconds: float) -> None:
    """Flames on top of the actor, dark smoke above."""
    (x, y), (w, h) = stage.centre(t), stage.actor.size
    draw = ImageDraw.Draw(image, "RGBA")
    top = y - h * 0.3
    for a, b, _ in stage.particles[:40]:
        rise = (a + seconds * 0.5) % 1
        _disc(
            draw,
            x + (b - 0.5) * w * 0.9 + rise * w * 0.2,
            top - rise * top,
            h * (0.08 + 0.14 * rise),
            (45, 42, 42, 130),
        )
    _put(image, stage.actor, x, y)
    for colour, scale in (((255, 90, 0), 1.0), ((255, 170, 0), 0.7), ((255, 240, 90), 0.4)):
        for i, (a, b, c) in enumerate(stage.particles[:14]):
            flicker = 0.6 + 0.4 * math.sin(seconds * (9 + 6 * a) + 6.3 * b)
            fx, foot = x + (i / 13 - 0.5) * max(w, h * 0.7), y + h * (0.35 * c - 0.3)
            tall, half = h * (0.55 + 0.35 * b) * flicker * scale, h * 0.09 * (0.4 + 0.6 * scale)
            draw.polygon((fx - half, foot, fx + half * (b - 0.5), foot - tall, fx + half, foot), fill=colour)


def _flood(image: Image.Image, stage: Stage, t: float, seconds: float) -> None:
    """Blue water rising from below, with waves."""
    (x, y), (w, h) = stage.centre(t), stage.size
    _put(image, stage.actor, x, y + 2 * math.sin(seconds * 4))
    level = h * (0.9 - 0.26 * t)
    crest = [(i * w / 32, level + h * 0.018 * math.sin(i * 0.9 + seconds * 5)) for i in range(33)]
    draw = ImageDraw.Draw(image, "RGBA")
    draw.polygon([*crest, (w, h), (0, h)], fill=(10, 80, 215, 195))
    draw.line(crest, fill=(215, 240, 255), width=3)
    for a, b, c in stage.particles[:30]:
        px, py = (a + seconds * 0.25 * (0.5 + c)) % 1 * w, level + (0.08 + 0.92 * b) * (h - level)
        draw.line((px, py, px + h * 0.1, py), fill=(130, 190, 255, 200), width=2)


def _explode(image: Image.Image, stage: Stage, t: float, seconds: float) -> None:
    """A white-yellow star that grows behind the actor in bursts, and flying pieces of its colour."""
    (x, y), h = stage.centre(t), stage.size[1]
    draw = ImageDraw.Draw(image, "RGBA")
    burst = seconds % 1.3 / 1.3
    radius = h * (0.25 + 0.4 * math.sqrt(burst))
    for colour, scale in (((255, 120, 10), 1.0), ((255, 215, 40), 0.8), ((255, 255, 225), 0.5)):
        rays = [
            (x + math.cos(i * math.pi / 12) * r, y + math.sin(i * math.pi / 12) * r)
            for i in range(24)
            for r in [radius * scale * (1.25 if i % 2 else 0.8)]
        ]
        draw.polygon(rays, fill=colour)
    shake = 4 * math.sin(seconds * 40)
    _put(image, stage.actor, x + shake, y - h * 0.08 * math.sin(math.pi * burst))
    debris = COLOURS[stage.event.colour]
    for a, b, c in stage.particles[:36]:
        flight, angle, r = burst * h * (0.3 + 0.7 * b), a * 2 * math.pi, h * (0.012 + 0.025 * c)
        px, py = x + math.cos(angle) * flight, y + math.sin(angle) * flight + h * 0.3 * burst**2
        draw.polygon(
            (px - r, py, px, py - r * 1.4, px + r, py + r * 0.4, px, py + r),
            fill=debris if c < 0.6 else (40, 30, 30),
        )


def _collapse(image: Image.Image, stage: Stage, t: float, seconds: float) -> None:
    """The actor comes down block by block; grey rubble piles up in a cloud of dust."""
    x, y = stage.centre(0.5)  # what collapses stays where it is
    (w, h), floor = stage.actor.size, stage.size[1] * 0.9
    draw = ImageDraw.Draw(image, "RGBA")
    columns, rows = max(round(4 * w / h), 2), 5
    dx, dy = w / columns, h / rows
    for row in range(rows):
        for column in range(columns):
            a, b, _ = stage.particles[row * columns + column]
            fallen = max(0.0, t - 0.1 - 0.75 * (row + a) / rows) * 4  # the upper rows go first
            px, py = (
                x - w / 2 + column * dx + (b - 0.5) * fallen * w * 0.4,
                y - h / 2 + row * dy + fallen**2 * h * 0.8,
            )
            if py < floor - dy:
                block = (round(column * dx), round(row * dy), round((column + 1) * dx), round((row + 1) * dy))
                piece = stage.actor.crop(block)
                image.paste(piece, (round(px), round(py)), piece)
    rubble, cloth = stage.particles[:90], COLOURS[stage.event.colour]
    for i, (a, b, c) in enumerate(rubble[: round(len(rubble) * min(1.0, 0.1 + 1.1 * t))]):
        side, grey = stage.size[1] * (0.05 + 0.05 * c), round(90 + 110 * b)
        pile = (1 - abs(2 * a - 1)) * h * 0.6 * min(1.0, 0.2 + t)
        px, py = x + (a - 0.5) * max(w, h) * 1.6, floor - c * pile
        fill = cloth if i % 4 == 3 else (grey, grey, grey)
        draw.rectangle((px, py, px + side, py + side), fill=fill, outline=(60, 60, 60))
    for a, b, c in stage.particles[90:110]:
        px, py = x + (a - 0.5) * w * 2, floor - (b * (0.3 + t)) * h * 0.8 - 6 * math.sin(seconds * 2 + 6 * c)
        _disc(draw, px, py, stage.size[1] * (0.05 + 0.06 * c), (190, 175, 150, 70))


def _march(image: Image.Image, stage: Stage, t: float, seconds: float) -> None:
    """Three lines of small copies cross the picture, each bobbing at its own beat."""
    w, h = stage.size
    gap = stage.actor.width * 1.12
    per_line = int(w / gap) + 2
    forward = 1 if stage.drift > 0 else -1
    for line, height in enumerate((0.25, 0.53, 0.81)):
        for i in range(per_line):
            x = (i * gap + line * gap / 2 + forward * seconds * w * 0.22) % (per_line * gap) - gap / 2
            _put(image, stage.actor, x, height * h + h * 0.02 * math.sin(seconds * 9 + i * 2 + line))


def _snow(image: Image.Image, stage: Stage, t: float, seconds: float) -> None:
    """A grey-blue veil, dense flakes driven by wind, and a growing white cover."""
    (x, y), (w, h) = stage.centre(t), stage.size
    _put(image, stage.actor, x, y)
    draw = ImageDraw.Draw(image, "RGBA")
    draw.rectangle((0, 0, w, h), fill=(70, 85, 115, 120))
    cover = h * (0.05 + 0.13 * t)
    draw.ellipse((-w * 0.1, h - cover, w * 1.1, h + cover), fill=(248, 250, 255))
    for a, b, c in stage.particles:
        px, py = (a + 0.35 * seconds * (0.5 + c)) % 1 * w, (b + seconds * (0.4 + 0.5 * c)) % 1 * h
        _disc(draw, px, py, h * (0.008 + 0.013 * c), (255, 255, 255))


def _tornado(image: Image.Image, stage: Stage, t: float, seconds: float) -> None:
    """A dark sky and a swaying funnel; the actor is lifted and turned around in it."""
    (x, _), (w, h) = stage.centre(t), stage.size
    draw = ImageDraw.Draw(image, "RGBA")
    draw.rectangle((0, 0, w, h), fill=(40, 52, 40, 110))
    for i in range(26):
        up = i / 25
        half = h * (0.05 + 0.55 * up**1.5)
        px, py = x + h * 0.08 * math.sin(seconds * 5 + up * 7), h * (0.95 - 0.95 * up)
        tone = 75 + 30 * (i % 2)
        draw.ellipse((px - half, py - h * 0.045, px + half, py + h * 0.045), fill=(tone, tone, tone + 8))
    for a, b, c in stage.particles[:40]:
        angle, up = seconds * 7 + a * 6.3, b
        px = x + math.cos(angle) * h * (0.1 + 0.6 * up**1.5)
        draw.rectangle((px, h * (0.92 - 0.9 * up), px + 4 + 5 * c, h * (0.92 - 0.9 * up) + 3), fill=(60, 45, 30))
    turned = stage.actor.rotate(math.degrees(seconds * 2.5), expand=True)
    _put(image, turned, x + math.cos(seconds * 3) * h * 0.25, h * (0.55 + 0.08 * math.sin(seconds * 2)))


def _celebrate(image: Image.Image, stage: Stage, t: float, seconds: float) -> None:
    """Light beams, bunting and coloured confetti around a bouncing actor."""
    (x, y), (w, h) = stage.centre(t), stage.size
    draw = ImageDraw.Draw(image, "RGBA")
    for i in range(4):
        aim = x + math.sin(seconds * 2 + i * 1.6) * w * 0.4
        draw.polygon((i * w / 3, 0, aim - h * 0.14, h, aim + h * 0.14, h), fill=(255, 60, 220, 90))
    _put(image, stage.actor, x, y - abs(math.sin(seconds * 5)) * h * 0.1)
    party = ((255, 0, 160), (0, 230, 255), (255, 235, 0), (120, 255, 60), (255, 255, 255))
    for i in range(16):
        left = i * w / 16
        draw.polygon((left, 0, left + w / 16, 0, left + w / 32, h * 0.15), fill=party[i % 5])
    for i, (a, b, c) in enumerate(stage.particles[:130]):
        px = (a + 0.02 * math.sin(seconds * 4 + 6 * c)) % 1 * w
        py = (b + seconds * (0.2 + 0.25 * c)) % 1 * h
        side = h * (0.014 + 0.014 * c)
        draw.rectangle((px, py, px + side, py + side * abs(math.sin(seconds * 6 + 9 * a)) + 1), fill=party[i % 5])


EFFECTS: dict[str, Callable[[Image.Image, Stage, float, float], None]] = {
    "burn": _burn,
    "flood": _flood,
    "explode": _explode,
    "collapse": _collapse,
    "march": _march,
    "snow": _snow,
    "tornado": _tornado,
    "celebrate": _celebrate,
}
