"""Pictures: right sizes, right places, equal bytes for equal input."""

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.report import page, pictures


def gradient(height=48, width=64):
    across, down = np.meshgrid(np.arange(width) * 3, np.arange(height) * 4)
    return np.dstack([across, down, np.full((height, width), 90)]).astype(np.uint8)


def test_jpeg_is_made_smaller_and_never_larger():
    small = Image.open(io.BytesIO(pictures.jpeg(gradient(480, 640), 320)))
    assert (small.format, small.size) == ("JPEG", (320, 240))
    assert Image.open(io.BytesIO(pictures.jpeg(gradient(), 320))).size == (64, 48)


def test_jpeg_keeps_what_it_shows():
    shown = np.asarray(Image.open(io.BytesIO(pictures.jpeg(gradient(), quality=95)))).astype(int)
    assert np.abs(shown - gradient()).mean() < 4


def test_data_uri():
    assert pictures.data_uri(pictures.jpeg(gradient())).startswith("data:image/jpeg;base64,/9j/")
    with pytest.raises(ValueError, match="neither JPEG nor PNG"):
        pictures.data_uri(b"<svg onload=alert(1)>")


def draw(name="loss", title="$x <script>"):
    with pictures.drawing(4, 2) as figure:
        axes = figure.subplots()
        axes.plot([0, 1, 2], [3, 1, 2], label="val")
        axes.set_title(title)
        axes.legend()
    return figure, pictures.svg(figure, name)


def test_svg_is_inline_equal_and_takes_the_colour_of_the_page():
    _, first = draw()
    _, second = draw()
    assert first == second
    assert first.startswith("<svg") and "<script" not in first and "<!--" not in first
    assert "currentColor" in first and "#010203" not in first
    ET.fromstring(first)


def test_ids_of_two_figures_differ():
    ids = [{one.get("id") for one in ET.fromstring(draw(name)[1]).iter() if one.get("id")} for name in ("a", "b")]
    clips = [{one for one in found if one.startswith("p")} for found in ids]
    assert clips[0] and not clips[0] & clips[1]


def test_png_is_equal():
    one, two = (pictures.png(draw()[0], dpi=50) for _ in range(2))
    assert one == two
    assert Image.open(io.BytesIO(one)).size == (200, 100)


def test_boxes_are_drawn_where_they_are():
    black = np.zeros((48, 64, 3), np.uint8)
    drawn = pictures.with_boxes(black, [[10, 8, 30, 40]], colours=["#ff0000"], width=1)
    red = np.argwhere(drawn[..., 0] == 255)
    assert red.min(axis=0).tolist() == [8, 10] and red.max(axis=0).tolist() == [40, 30]
    assert drawn[24, 20].tolist() == [0, 0, 0]
    assert not black.any()


@pytest.mark.parametrize("box", [[-50, -50, 500, 500], [30, 40, 10, 8], [5, 5, 5, 5]])
def test_odd_boxes_are_clipped(box):
    drawn = pictures.with_boxes(np.zeros((48, 64, 3), np.uint8), [box], labels=["\x00" + "long" * 50])
    assert drawn.shape == (48, 64, 3) and drawn.any()


def test_palette_is_that_of_the_style():
    from importlib.resources import files

    style = files(page.SHARED).joinpath("templates/base.css").read_text()
    for number, colour in enumerate(pictures.PALETTE):
        assert f"--k{number}: {colour};" in style
