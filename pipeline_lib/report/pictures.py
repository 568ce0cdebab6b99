"""Frames and matplotlib figures → JPEG, PNG, data: URIs and inline SVG; equal input gives equal bytes."""

import base64
import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

#: Colours of categories, readable on light and dark; the same as --k0 … --k9 in base.css.
PALETTE = (
    "#3b7dd8",
    "#e0812c",
    "#2e9e6b",
    "#c7486f",
    "#8a63d2",
    "#a88a1d",
    "#1f9bb5",
    "#d1495b",
    "#6b8e23",
    "#b5651d",
)

_INK = "#010203"  # of text and axes while drawing; becomes the colour of the page's text, light or dark
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "text.parse_math": False,  # a "$" in a title is a "$"
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "font.size": 9,
    "legend.frameon": False,
    "savefig.transparent": True,
}
_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}


@contextlib.contextmanager
def drawing(width: float = 7.0, height: float = 2.5) -> Iterator[Figure]:
    """An empty figure of the project's style, in inches; draw on it inside the `with`, then take `svg` or `png` of it.

    with drawing() as figure:
        figure.subplots().plot(xs, ys)
        drawn = svg(figure, "loss")
    """
    with rc_context({"axes.prop_cycle": f"cycler('color', {list(PALETTE)})", **_STYLE}):
        yield Figure(figsize=(width, height), layout="constrained")


def svg(figure: Figure, name: str) -> Markup:
    """A figure as inline SVG that takes the page's text colour. `name` keeps the ids of a page's figures apart."""
    content = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'id="(figure|axes|patch|text|line2d|xtick|ytick|matplotlib\.axis|legend)_\d+"', "", text)
    return Markup(re.sub(r"\s*\n\s*", "\n", text.replace(_INK, "currentColor")))


def png(figure: Figure, dpi: int = 144) -> bytes:
    """A figure as PNG on white."""
    content = io.BytesIO()
    with rc_context(_STYLE):
        figure.savefig(content, format="png", dpi=dpi, transparent=False, metadata={"Software": None})
    return content.getvalue()


def jpeg(pixels: np.ndarray, max_side: int = 320, quality: int = 75) -> bytes:
    """(h, w, 3) uint8 RGB as JPEG, made smaller so that its long side is at most `max_side` pixels."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality, optimize=True)
    return content.getvalue()


def data_uri(content: bytes) -> str:
    """JPEG or PNG bytes as the `src` of an <img>.

    Raises:
        ValueError: the bytes are neither.
    """
    for magic, kind in _MAGIC.items():
        if content.startswith(magic):
            return f"data:{kind};base64,{base64.b64encode(content).decode()}"
    raise ValueError("neither JPEG nor PNG")


def with_boxes(
    pixels: np.ndarray,
    boxes: Sequence[Sequence[float]],
    labels: Sequence[str] = (),
    colours: Sequence[str] = (),
    width: int = 2,
) -> np.ndarray:
    """A copy of (h, w, 3) uint8 RGB with boxes x1 y1 x2 y2 drawn in, clipped to the picture.

    Args:
        labels: a word per box, drawn inside its upper left corner; characters the font lacks show as "?".
        colours: per box, by default those of PALETTE in turn.
    """
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(10, picture.height // 24))
    for number, box in enumerate(boxes):
        x1, y1, x2, y2 = (
            min(max(float(edge), 0.0), side - 1.0)
            for edge, side in zip(box, 2 * (picture.width, picture.height), strict=True)
        )
        colour = colours[number] if colours else PALETTE[number % len(PALETTE)]
        corners = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        draw.rectangle(corners, outline=colour, width=width)
        if number < len(labels) and labels[number]:
            text = "".join(c if c.isprintable() else "?" for c in labels[number])[:40]
            place = corners[0] + width + 1, corners[1] + width
            draw.rectangle(draw.textbbox(place, text, font=font), fill=colour)
            draw.text(place, text, fill="white", font=font)
    return np.asarray(picture)
