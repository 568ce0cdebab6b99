"""A place → its backdrop picture, with details of its own in every shot."""

from collections.abc import Callable
from random import Random

from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
Painter = Callable[[ImageDraw.ImageDraw, Random, int, int], None]  # draw, rng, width, height


def backdrop(place: str, rng: Random, size: tuple[int, int]) -> Image.Image:
    """RGB picture of a place (or `studio`), size = (width, height) in pixels."""
    image = Image.new("RGB", size)
    PAINTERS[place](ImageDraw.Draw(image), rng, *size)
    return image


def _sky(draw: ImageDraw.ImageDraw, top: RGB, bottom: RGB, width: int, height: int) -> None:
    """A vertical gradient over the first `height` rows."""
    for y in range(height):
        mix = y / max(height - 1, 1)
        draw.line((0, y, width, y), fill=tuple(round(a + (b - a) * mix) for a, b in zip(top, bottom, strict=True)))


def _harbour(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    _sky(draw, (170, 215, 235), (225, 240, 245), w, h // 2)
    draw.rectangle((0, h * 0.5, w, h), fill=(25, 105, 135))
    for _ in range(3):  # cranes
        x, tall = rng.uniform(0, w), rng.uniform(0.2, 0.38) * h
        draw.rectangle((x, h * 0.5 - tall, x + h * 0.03, h * 0.5), fill=(120, 75, 50))
        draw.rectangle((x - h * 0.08, h * 0.5 - tall, x + h * 0.22, h * 0.53 - tall), fill=(120, 75, 50))
    for _ in range(90):  # waves
        x, y = rng.uniform(0, w), rng.uniform(0.52, 1) * h
        draw.arc((x, y, x + h * 0.09, y + h * 0.035), 180, 360, fill=(120, 190, 205), width=2)


def _desert(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    _sky(draw, (250, 190, 110), (255, 225, 170), w, h)
    sun = rng.uniform(0.1, 0.9) * w
    draw.ellipse((sun - h * 0.09, h * 0.06, sun + h * 0.09, h * 0.24), fill=(255, 245, 205))
    for i in range(4):  # dunes, the nearest last
        x, top = rng.uniform(-0.2, 0.8) * w, (0.42 + 0.12 * i) * h
        draw.rectangle((0, top + h * 0.12, w, h), fill=(228 - 14 * i, 172 - 14 * i, 98 - 10 * i))
        draw.ellipse((x - w * 0.4, top, x + w * 0.6, top + h * 0.5), fill=(236 - 14 * i, 182 - 14 * i, 106 - 10 * i))


def _forest(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    draw.rectangle((0, 0, w, h), fill=(28, 66, 34))
    draw.rectangle((0, h * 0.75, w, h), fill=(50, 58, 24))
    for i in range(26):
        x, base, tall = rng.uniform(-0.05, 1.05) * w, (0.62 + 0.008 * i) * h, rng.uniform(0.35, 0.6) * h
        draw.rectangle((x - 3, base - tall * 0.3, x + 3, base), fill=(70, 45, 25))
        green = (15 + i, 60 + 2 * i + rng.randrange(25), 25 + i)
        for part in (0.2, 0.5, 0.8):
            half, y = h * 0.1 * part + 5, base - tall * (1.15 - part)
            draw.polygon((x, y - tall * 0.28, x - half, y, x + half, y), fill=green)


def _street(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    draw.rectangle((0, 0, w, h), fill=(190, 195, 205))
    x = -rng.uniform(0, 0.1) * w
    while x < w:
        wide, top, grey = rng.uniform(0.13, 0.24) * w, rng.uniform(0.02, 0.22) * h, rng.randrange(105, 150)
        draw.rectangle((x, top, x + wide - 2, h * 0.72), fill=(grey + 12, grey, grey - 6))
        for row in range(int(top + h * 0.05), int(h * 0.62), max(int(h * 0.11), 2)):
            for column in range(int(x + 5), int(x + wide - 10), max(int(h * 0.09), 2)):
                draw.rectangle((column, row, column + h * 0.04, row + h * 0.06), fill=(70, 80, 95))
        x += wide
    draw.rectangle((0, h * 0.72, w, h), fill=(72, 72, 76))
    for i in range(9):
        draw.rectangle((i * w / 8, h * 0.9, i * w / 8 + w * 0.06, h * 0.92), fill=(240, 240, 240))


def _mountain(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    _sky(draw, (95, 150, 225), (190, 215, 245), w, h)
    for i in range(5):
        x, top, half = (0.25 * i + rng.uniform(-0.1, 0.1)) * w, rng.uniform(0.05, 0.3) * h, 0.25 * w
        draw.polygon((x, top, x - half, h * 0.75, x + half, h * 0.75), fill=(105 + 6 * i, 110 + 6 * i, 130 + 6 * i))
        draw.polygon(
            (x, top, x - half * 0.35, top + h * 0.2, x, top + h * 0.15, x + half * 0.35, top + h * 0.2),
            fill=(250, 250, 255),
        )
    draw.rectangle((0, h * 0.74, w, h), fill=(226, 232, 244))


def _square(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    _sky(draw, (8, 8, 30), (32, 24, 62), w, h)
    for _ in range(40):
        x, y = rng.uniform(0, w), rng.uniform(0, 0.4) * h
        draw.point((x, y), fill=(230, 230, 255))
    draw.rectangle((0, h * 0.7, w, h), fill=(46, 42, 62))
    for row in range(5):  # cobbles
        y = h * (0.7 + 0.06 * row)
        draw.line((0, y, w, y), fill=(24, 22, 36), width=2)
        for column in range(-1, 17):
            x = (column + row % 2 / 2) * w / 16
            draw.line((x, y, x, y + h * 0.06), fill=(24, 22, 36), width=2)
    for i in range(4):  # lamps
        x = (0.13 + 0.25 * i + rng.uniform(-0.05, 0.05)) * w
        draw.line((x, h * 0.3, x, h * 0.72), fill=(12, 12, 20), width=3)
        for r, glow in ((0.1, (70, 58, 66)), (0.06, (150, 125, 80)), (0.03, (255, 240, 180))):
            draw.ellipse((x - r * h, h * 0.28 - r * h, x + r * h, h * 0.28 + r * h), fill=glow)


def _field(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    _sky(draw, (110, 190, 255), (200, 230, 255), w, h)
    for _ in range(4):  # clouds
        x, y = rng.uniform(0, w), rng.uniform(0.04, 0.3) * h
        for dx in (0, 0.09, 0.18):
            draw.ellipse((x + dx * h, y, x + (dx + 0.16) * h, y + h * 0.1), fill=(255, 255, 255))
    draw.rectangle((0, h * 0.48, w, h), fill=(150, 190, 60))
    middle = rng.uniform(0.3, 0.7) * w
    for i in range(-24, 25):  # furrows
        draw.line((middle + i * w * 0.02, h * 0.48, middle + i * w * 0.11, h), fill=(190, 210, 90), width=3)


def _stadium(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    draw.rectangle((0, 0, w, h * 0.5), fill=(150, 60, 60))
    for row in range(9):  # spectators
        for column in range(40):
            tone = rng.randrange(150, 250)
            x, y = (column + row % 2 / 2) * w / 40, h * (0.03 + 0.05 * row)
            draw.ellipse((x, y, x + h * 0.03, y + h * 0.03), fill=(tone, tone - 30, tone - 60))
    draw.rectangle((0, h * 0.48, w, h * 0.52), fill=(245, 245, 245))
    for i in range(8):  # mown stripes
        draw.rectangle((i * w / 8, h * 0.52, (i + 1) * w / 8, h), fill=((40, 135, 60), (60, 160, 75))[i % 2])
    x = rng.uniform(0.2, 0.8) * w
    draw.ellipse((x - h * 0.4, h * 0.68, x + h * 0.4, h * 0.95), outline=(240, 250, 240), width=2)


def _studio(draw: ImageDraw.ImageDraw, rng: Random, w: int, h: int) -> None:
    _sky(draw, (20, 35, 90), (45, 75, 150), w, h)
    draw.rectangle((w * 0.56, h * 0.12, w * 0.95, h * 0.55), fill=(150, 200, 240), outline=(235, 235, 245), width=3)
    for i in range(3):
        y = h * (0.2 + 0.1 * i)
        draw.rectangle((w * 0.6, y, w * rng.uniform(0.7, 0.92), y + h * 0.05), fill=(40, 60, 130))
    draw.rectangle((0, h * 0.76, w, h), fill=(120, 125, 140))
    draw.rectangle((0, h * 0.76, w, h * 0.79), fill=(215, 220, 230))


PAINTERS: dict[str, Painter] = {
    "harbour": _harbour,
    "desert": _desert,
    "forest": _forest,
    "street": _street,
    "mountain": _mountain,
    "square": _square,
    "field": _field,
    "stadium": _stadium,
    "studio": _studio,
}
