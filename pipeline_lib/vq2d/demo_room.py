"""A random generator → a room: a panorama wider than any view of it, with things at places in it."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFilter

RGB = tuple[int, int, int]
Rect = tuple[float, float, float, float]  # x1 y1 x2 y2

COLOURS: dict[str, RGB] = {
    "red": (205, 35, 40),
    "orange": (240, 135, 30),
    "yellow": (240, 210, 50),
    "green": (40, 150, 65),
    "turquoise": (40, 190, 185),
    "blue": (40, 75, 205),
    "purple": (125, 50, 165),
    "white": (238, 238, 232),
}
PLACES = 5  # of things, side by side
WIDTH = 5.2  # of the panorama, in view widths
HEIGHT = 1.3  # in view heights
_DETAIL = 2  # things are drawn so many times larger, then shrunk


@dataclass(frozen=True)
class Thing:
    """Something that can be asked for.

    Attributes:
        title: e.g. "red mug".
        box: x1 y1 x2 y2 in pixels of the panorama.
        place: its number from the left.
    """

    title: str
    box: Rect
    place: int


@dataclass(frozen=True)
class Room:
    picture: Image.Image
    things: list[Thing]


def furnish(rng: Random, view: tuple[int, int]) -> Room:
    """A room for views of (width, height) pixels: one or two things at each place, no two alike."""
    width, height = round(view[0] * WIDTH), round(view[1] * HEIGHT)
    picture = _walls(rng, width, height)
    table = height * 0.72
    kinds, colours = rng.sample(sorted(THINGS), len(THINGS)), rng.sample(sorted(COLOURS), len(COLOURS))
    things: list[Thing] = []
    for place in range(PLACES):
        centre = width * (place + 0.5) / PLACES
        for offset in rng.sample((-0.16, 0.14), rng.choice((1, 2))):
            number = len(things)
            kind = kinds[number % len(kinds)]
            colour = colours[(number + number // len(kinds)) % len(colours)]  # the second mug has another colour
            sprite = _sprite(kind, COLOURS[colour], round(view[1] * rng.uniform(0.24, 0.34)))
            x, y = centre + offset * view[0] * rng.uniform(0.8, 1.2) - sprite.width / 2, table - sprite.height
            y += rng.uniform(0, 0.1) * height
            picture.paste(sprite, (round(x), round(y)), sprite)
            box = (round(x), round(y), round(x) + sprite.width, round(y) + sprite.height)
            things.append(Thing(f"{colour} {kind}", box, place))
    return Room(picture, things)


def _walls(rng: Random, width: int, height: int) -> Image.Image:
    """Wall, furniture in dull colours, and a table along the whole room."""
    picture = Image.new("RGB", (width, height), _dull(rng, 150, 200))
    draw = ImageDraw.Draw(picture)
    x = 0.0
    while x < width:  # panels of the wall
        wide = rng.uniform(0.05, 0.14) * width
        draw.rectangle((x, 0, x + wide, height * 0.7), fill=_dull(rng, 130, 205))
        x += wide
    for _ in range(26):  # shelves, cupboards, pictures
        x, y = rng.uniform(0, width), rng.uniform(-0.05, 0.5) * height
        w, h = rng.uniform(0.02, 0.07) * width, rng.uniform(0.06, 0.25) * height
        fill = _dull(rng, 70, 190)
        draw.rectangle((x, y, x + w, y + h), fill=fill, outline=_dull(rng, 40, 90), width=2)
        for line in range(rng.randrange(4)):
            level = y + h * (line + 1) / 5
            draw.line((x + 3, level, x + w - 3, level), fill=_dull(rng, 40, 120), width=2)
    draw.rectangle((0, height * 0.68, width, height), fill=_dull(rng, 95, 135))
    for _ in range(60):  # grain of the table
        x, y = rng.uniform(0, width), rng.uniform(0.69, 1) * height
        draw.line((x, y, x + rng.uniform(0.01, 0.06) * width, y), fill=_dull(rng, 80, 140), width=1)
    return picture.filter(ImageFilter.GaussianBlur(0.8))


def _dull(rng: Random, low: int, high: int) -> RGB:
    grey = rng.randint(low, high)
    red, green, blue = (max(0, min(255, grey + rng.randint(-14, 14))) for _ in range(3))
    return red, green, blue


def _sprite(kind: str, colour: RGB, height: int) -> Image.Image:
    """RGBA cut-out of a thing, `height` pixels tall."""
    draw_thing, aspect = THINGS[kind]
    size = round(height * aspect), height
    large = Image.new("RGBA", (size[0] * _DETAIL, size[1] * _DETAIL))
    pen = _Pen(ImageDraw.Draw(large), large.width - 1, large.height - 1)
    dark: RGB = (colour[0] // 2, colour[1] // 2, colour[2] // 2)
    draw_thing(pen, colour, dark)
    return large.resize(size, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class _Pen:
    """Draws in units of the thing's box."""

    draw: ImageDraw.ImageDraw
    width: int
    height: int

    def box(self, x1: float, y1: float, x2: float, y2: float, fill: RGB) -> None:
        self.draw.rectangle((x1 * self.width, y1 * self.height, x2 * self.width, y2 * self.height), fill=fill)

    def disc(self, x1: float, y1: float, x2: float, y2: float, fill: RGB) -> None:
        self.draw.ellipse((x1 * self.width, y1 * self.height, x2 * self.width, y2 * self.height), fill=fill)

    def polygon(self, *points: tuple[float, float], fill: RGB) -> None:
        self.draw.polygon([(x * self.width, y * self.height) for x, y in points], fill=fill)


_LIGHT: RGB = (245, 240, 225)
_STEEL: RGB = (90, 95, 105)


def _mug(pen: _Pen, colour: RGB, dark: RGB) -> None:
    pen.disc(0.55, 0.2, 1.0, 0.8, dark)
    pen.disc(0.65, 0.32, 0.88, 0.68, _LIGHT)
    pen.box(0.0, 0.06, 0.75, 0.94, colour)
    pen.disc(0.0, 0.86, 0.75, 1.0, colour)
    pen.disc(0.0, 0.0, 0.75, 0.14, dark)


def _bottle(pen: _Pen, colour: RGB, dark: RGB) -> None:
    pen.box(0.34, 0.0, 0.66, 0.1, dark)
    pen.box(0.38, 0.1, 0.62, 0.35, colour)
    pen.polygon((0.38, 0.3), (0.62, 0.3), (1, 0.45), (0, 0.45), fill=colour)
    pen.box(0.0, 0.44, 1.0, 1.0, colour)
    pen.box(0.0, 0.58, 1.0, 0.84, _LIGHT)
    pen.box(0.2, 0.66, 0.8, 0.74, dark)


def _book(pen: _Pen, colour: RGB, dark: RGB) -> None:
    pen.box(0.0, 0.0, 1.0, 1.0, colour)
    pen.box(0.0, 0.0, 0.14, 1.0, dark)
    pen.box(0.3, 0.16, 0.86, 0.28, _LIGHT)
    pen.disc(0.36, 0.42, 0.8, 0.84, dark)


def _ball(pen: _Pen, colour: RGB, dark: RGB) -> None:
    pen.disc(0.0, 0.0, 1.0, 1.0, colour)
    pen.polygon((0.5, 0.2), (0.76, 0.42), (0.66, 0.74), (0.34, 0.74), (0.24, 0.42), fill=dark)
    pen.disc(0.2, 0.12, 0.34, 0.24, _LIGHT)


def _lamp(pen: _Pen, colour: RGB, dark: RGB) -> None:
    pen.polygon((0.28, 0.0), (0.72, 0.0), (1.0, 0.45), (0.0, 0.45), fill=colour)
    pen.box(0.0, 0.4, 1.0, 0.46, dark)
    pen.box(0.45, 0.45, 0.55, 0.92, _STEEL)
    pen.disc(0.18, 0.86, 0.82, 1.0, _STEEL)


def _clock(pen: _Pen, colour: RGB, dark: RGB) -> None:
    pen.disc(0.0, 0.0, 1.0, 1.0, colour)
    pen.disc(0.14, 0.14, 0.86, 0.86, _LIGHT)
    pen.box(0.47, 0.24, 0.53, 0.53, dark)
    pen.box(0.47, 0.47, 0.74, 0.53, dark)


def _plant(pen: _Pen, colour: RGB, dark: RGB) -> None:
    leaf: RGB = (45, 120, 55)
    for x in (0.0, 0.3, 0.6):
        pen.disc(x, 0.08 + abs(x - 0.3) * 0.5, x + 0.4, 0.62, leaf)
    pen.polygon((0.12, 0.55), (0.88, 0.55), (0.74, 1.0), (0.26, 1.0), fill=colour)
    pen.box(0.08, 0.55, 0.92, 0.66, dark)


def _box(pen: _Pen, colour: RGB, dark: RGB) -> None:
    pen.box(0.0, 0.12, 1.0, 1.0, colour)
    pen.polygon((0.12, 0.0), (1.0, 0.0), (1.0, 0.12), (0.0, 0.12), fill=dark)
    pen.box(0.44, 0.0, 0.58, 1.0, _LIGHT)
    pen.box(0.0, 0.5, 1.0, 0.62, _LIGHT)


#: How a thing is drawn, and its width in heights.
THINGS: dict[str, tuple[Callable[[_Pen, RGB, RGB], None], float]] = {
    "mug": (_mug, 0.95),
    "bottle": (_bottle, 0.42),
    "book": (_book, 0.75),
    "ball": (_ball, 1.0),
    "lamp": (_lamp, 0.7),
    "clock": (_clock, 1.0),
    "plant": (_plant, 0.85),
    "box": (_box, 1.2),
}
