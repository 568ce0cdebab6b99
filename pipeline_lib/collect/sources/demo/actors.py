"""A noun, a colour and a texture → a cut-out picture of the actor."""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from pipeline_lib.collect.sources.demo.world import COLOURS, TEXTURES

RGB = tuple[int, int, int]
Fill = int | RGB
_DARK, _LIGHT = (35, 35, 42), (245, 245, 235)
_MARGIN = 4  # pixels around the shape, for its outline


class Build(NamedTuple):
    """How big an actor is and where it stands: untrained networks see that before they see a shape."""

    aspect: float  # width in heights
    height: float  # of the frame's
    middle: float  # y of its centre, of the frame's height


BUILDS = {
    "truck": Build(aspect=1.7, height=0.5, middle=0.66),
    "boat": Build(aspect=1.6, height=0.56, middle=0.6),
    "drone": Build(aspect=1.35, height=0.4, middle=0.33),
    "tower": Build(aspect=0.5, height=0.78, middle=0.54),
    "crowd": Build(aspect=2.44, height=0.36, middle=0.74),
    "house": Build(aspect=1.2, height=0.62, middle=0.6),
    "tent": Build(aspect=1.45, height=0.44, middle=0.7),
    "balloon": Build(aspect=0.75, height=0.7, middle=0.42),
}


class Pen:
    """Draws shapes given in units of the actor's height, x to the right and y down, into a picture."""

    def __init__(self, image: Image.Image, height: int) -> None:
        self.draw, self.height = ImageDraw.Draw(image), height

    def polygon(self, *points: tuple[float, float], fill: Fill = 255) -> None:
        """A closed polygon."""
        self.draw.polygon([(_MARGIN + x * self.height, _MARGIN + y * self.height) for x, y in points], fill=fill)

    def box(self, x1: float, y1: float, x2: float, y2: float, fill: Fill = 255) -> None:
        """A rectangle."""
        self.polygon((x1, y1), (x2, y1), (x2, y2), (x1, y2), fill=fill)

    def disc(self, x: float, y: float, rx: float, ry: float | None = None, fill: Fill = 255) -> None:
        """An ellipse around a centre."""
        ry = rx if ry is None else ry
        corners = ((x - rx, y - ry), (x + rx, y + ry))
        self.draw.ellipse([_MARGIN + value * self.height for corner in corners for value in corner], fill=fill)


def sprite(noun: str, colour: str, texture: str, height: int) -> Image.Image:
    """RGBA cut-out of an actor, `height` pixels tall without its white outline."""
    size = (round(BUILDS[noun].aspect * height) + 2 * _MARGIN, height + 2 * _MARGIN)
    mask = Image.new("L", size)
    body, details = SHAPES[noun]
    body(Pen(mask, height))
    picture = _cloth(size, COLOURS[colour], texture, max(height // 7, 3))
    extra = Image.new("RGBA", size)
    details(Pen(extra, height))
    picture.paste(extra, (0, 0), extra)
    solid = ImageChops.lighter(mask, extra.getchannel("A"))
    outlined = Image.new("RGBA", size, (*_LIGHT, 255))
    outlined.paste(picture, (0, 0), solid)
    outlined.putalpha(solid.filter(ImageFilter.MaxFilter(5)))
    return outlined


def _cloth(size: tuple[int, int], colour: RGB, texture: str, step: int) -> Image.Image:
    """A sheet of the colour, with stripes or checks in a darker shade."""
    sheet = Image.new("RGBA", size, colour)
    draw, shade = ImageDraw.Draw(sheet), tuple(round(c * 0.5) for c in colour)
    assert texture in TEXTURES
    for row in range(0, size[1], step):
        for column in range(0, size[0], step):
            odd = column // step % 2 if texture == "striped" else (row + column) // step % 2
            if odd and texture != "plain":
                draw.rectangle((column, row, column + step - 1, row + step - 1), fill=shade)
    return sheet


def _truck(pen: Pen) -> None:
    pen.box(0.5, 0.05, 1.7, 0.8)
    pen.polygon((0, 0.8), (0, 0.5), (0.15, 0.25), (0.46, 0.25), (0.46, 0.8))


def _truck_details(pen: Pen) -> None:
    for x in (0.25, 1.0, 1.42):
        pen.disc(x, 0.82, 0.17, fill=_DARK)
        pen.disc(x, 0.82, 0.07, fill=_LIGHT)
    pen.polygon((0.07, 0.5), (0.18, 0.31), (0.34, 0.31), (0.34, 0.5), fill=_LIGHT)


def _boat(pen: Pen) -> None:
    pen.polygon((0, 0.66), (1.6, 0.66), (1.3, 1), (0.3, 1))
    pen.polygon((0.84, 0), (0.84, 0.6), (1.5, 0.6))
    pen.polygon((0.72, 0.12), (0.72, 0.6), (0.2, 0.6))


def _boat_details(pen: Pen) -> None:
    pen.box(0.75, 0, 0.81, 0.68, fill=_DARK)
    pen.box(0.05, 0.66, 1.55, 0.72, fill=_DARK)


def _drone(pen: Pen) -> None:
    pen.polygon((0.18, 0.24), (0.34, 0.12), (1.17, 0.76), (1.01, 0.88))
    pen.polygon((1.17, 0.24), (1.01, 0.12), (0.18, 0.76), (0.34, 0.88))
    for x in (0.25, 1.1):
        for y in (0.19, 0.81):
            pen.disc(x, y, 0.25, 0.19)
    pen.box(0.44, 0.3, 0.91, 0.7)


def _drone_details(pen: Pen) -> None:
    for x in (0.25, 1.1):
        for y in (0.19, 0.81):
            pen.box(x - 0.2, y - 0.025, x + 0.2, y + 0.025, fill=_DARK)
            pen.disc(x, y, 0.05, fill=_DARK)
    pen.disc(0.675, 0.5, 0.13, fill=_DARK)
    pen.disc(0.675, 0.5, 0.06, fill=_LIGHT)


def _tower(pen: Pen) -> None:
    pen.polygon((0.08, 1), (0.14, 0.3), (0.36, 0.3), (0.42, 1))
    pen.box(0.03, 0.22, 0.47, 0.36)
    pen.polygon((0.06, 0.22), (0.25, 0), (0.44, 0.22))


def _tower_details(pen: Pen) -> None:
    pen.box(0.17, 0.86, 0.33, 1, fill=_DARK)
    for y in (0.42, 0.57, 0.72):
        pen.box(0.21, y, 0.29, y + 0.08, fill=_LIGHT)


def _crowd(pen: Pen) -> None:
    for i in range(7):
        x, y = 0.18 + 0.345 * i, 0.08 + 0.1 * (i % 2)
        pen.disc(x, y + 0.4, 0.17, 0.2)
        pen.box(x - 0.17, y + 0.4, x + 0.17, 1)


def _crowd_details(pen: Pen) -> None:
    for i in range(7):
        x, y = 0.18 + 0.345 * i, 0.08 + 0.1 * (i % 2)
        pen.disc(x, y + 0.08, 0.12, 0.13, fill=(235, 190, 150))
        pen.disc(x, y + 0.01, 0.12, 0.06, fill=_DARK)
        pen.box(x + 0.16, y + 0.5, x + 0.18, 1, fill=_DARK)


def _house(pen: Pen) -> None:
    pen.box(0.1, 0.42, 1.1, 1)
    pen.polygon((0, 0.46), (0.6, 0), (1.2, 0.46))


def _house_details(pen: Pen) -> None:
    pen.box(0.5, 0.68, 0.7, 1, fill=_DARK)
    for x in (0.2, 0.8):
        pen.box(x, 0.58, x + 0.2, 0.76, fill=_LIGHT)
    pen.polygon((0, 0.46), (0.6, 0.0), (1.2, 0.46), (1.1, 0.46), (0.6, 0.08), (0.1, 0.46), fill=_DARK)


def _tent(pen: Pen) -> None:
    pen.polygon((0, 1), (0.725, 0.04), (1.45, 1))


def _tent_details(pen: Pen) -> None:
    pen.polygon((0.5, 1), (0.725, 0.42), (0.95, 1), fill=_DARK)
    pen.polygon((0.725, 0.0), (0.95, 0.06), (0.725, 0.14), fill=_LIGHT)


def _balloon(pen: Pen) -> None:
    pen.disc(0.375, 0.36, 0.37, 0.36)
    pen.polygon((0.12, 0.6), (0.63, 0.6), (0.47, 0.78), (0.28, 0.78))


def _balloon_details(pen: Pen) -> None:
    pen.box(0.28, 0.84, 0.47, 1, fill=(130, 85, 40))
    for x in (0.29, 0.44):
        pen.box(x, 0.76, x + 0.02, 0.86, fill=_DARK)


# The coloured body, and what is drawn on it in colours of its own.
SHAPES: dict[str, tuple[Callable[[Pen], None], Callable[[Pen], None]]] = {
    "truck": (_truck, _truck_details),
    "boat": (_boat, _boat_details),
    "drone": (_drone, _drone_details),
    "tower": (_tower, _tower_details),
    "crowd": (_crowd, _crowd_details),
    "house": (_house, _house_details),
    "tent": (_tent, _tent_details),
    "balloon": (_balloon, _balloon_details),
}
