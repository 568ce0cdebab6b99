"""Decoded picture → upright RGB pixels, after an ffmpeg filter chain, with the bytes that ffmpeg's command line gives."""

from fractions import Fraction

import av
import av.filter
import numpy as np

#: Counter-clockwise degrees of a display matrix, as PyAV gives them → the filter that turns the picture upright.
_UPRIGHT = {90: "transpose=cclock", -90: "transpose=clock", 180: "hflip,vflip", -180: "hflip,vflip"}


_TICK = Fraction(1, 1000)  # for pictures without one; these filters look at no times


class Filters:
    """A filter chain that is set up anew whenever size or format of the pictures change.

    Colours are converted by the matrix and range that the stream is marked with.

    Args:
        form: ffmpeg's name of the pixel format that comes out.
    """

    def __init__(self, chain: str = "", form: str = "rgb24") -> None:
        self.chain, self.form = chain, form
        self._graph: av.filter.Graph | None = None
        self._key: tuple[int, int, str, int, int, int] | None = None

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        """(h, w, 3) uint8 RGB."""
        return self.picture(picture).to_ndarray()

    def picture(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The same as a picture in the format `form`."""
        turn = rotation(picture)
        key = (
            picture.width,
            picture.height,
            picture.format.name,
            turn,
            int(picture.colorspace),
            int(picture.color_range),
        )
        if self._graph is None or key != self._key:
            self._graph, self._key = self._build(picture, turn), key
        self._graph.vpush(picture)
        return self._graph.vpull()

    def _build(self, picture: av.VideoFrame, turn: int) -> av.filter.Graph:
        graph = av.filter.Graph()
        graph.threads = 1  # other processes use the other cores
        last = graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base or _TICK
        )
        chain = ",".join(part for part in (_UPRIGHT.get(turn, ""), self.chain, f"format={self.form}") if part)
        for part in _split(chain):
            name, _, arguments = part.partition("=")
            node = graph.add(name, arguments or None)
            last.link_to(node)
            last = node
        last.link_to(graph.add("buffersink"))
        graph.configure()
        return graph


def rotation(picture: av.VideoFrame) -> int:
    """Degrees by which the picture has to be turned counter-clockwise to be upright, a multiple of 90; 0 for others."""
    return int(picture.rotation) if picture.rotation in _UPRIGHT else 0


def upright_size(width: int, height: int, turn: int) -> tuple[int, int]:
    """Width and height after the turn."""
    return (height, width) if turn in (90, -90) else (width, height)


def _split(chain: str) -> list[str]:
    """The filters of a chain; commas inside quotes or behind a backslash belong to an argument."""
    parts, quoted, escaped = [""], False, False
    for character in chain:
        if character == "," and not quoted and not escaped:
            parts.append("")
            continue
        quoted ^= character == "'"
        escaped = character == "\\" and not escaped
        parts[-1] += character
    return parts
