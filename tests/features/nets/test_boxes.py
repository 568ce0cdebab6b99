"""Box arithmetic against values worked out by hand."""

import math

import torch

from pipeline_lib.features.nets import boxes


def test_anchors() -> None:
    # Ratio 1/2 of 16²: width round(√512) = 23, height round(11.5) = 12, centre 7.5; then times the scale.
    found = boxes.anchors(scales=(4, 8), ratios=(0.5, 1, 2))
    assert found.tolist() == [
        [-38, -16, 53, 31],
        [-84, -40, 99, 55],
        [-24, -24, 39, 39],
        [-56, -56, 71, 71],
        [-14, -36, 29, 51],
        [-36, -80, 51, 95],
    ]


def test_grid_runs_along_rows_with_all_anchors_of_a_cell_together() -> None:
    cell = torch.tensor([[0.0, 0, 1, 1], [0, 0, 2, 2]])
    assert boxes.grid(cell, height=2, width=2, stride=16).tolist() == [
        [x + a, y + b, x + c, y + d] for y in (0, 16) for x in (0, 16) for a, b, c, d in cell.tolist()
    ]


def test_decode() -> None:
    box = torch.tensor([[0.0, 0, 9, 19]])  # 10 × 20 pixels around (5, 10)
    moved = boxes.decode(box, torch.tensor([[0.1, 0.2, math.log(2), 0.0]]))
    torch.testing.assert_close(moved, torch.tensor([[-4.0, 4, 16, 24]]))  # 20 × 20 around (6, 14)
    assert boxes.decode(box, torch.zeros(1, 4)).tolist() == [[0, 0, 10, 20]]  # the pixel too far


def test_clip() -> None:
    box = torch.tensor([[-5.0, 3, 200, 300], [250, -1, 260, 40]])
    assert boxes.clip(box, height=100, width=150).tolist() == [[0, 3, 149, 99], [149, 0, 149, 40]]
    assert boxes.clip(torch.tensor([[math.inf, -math.inf, math.inf, 1]]), 10, 20).tolist() == [[19, 0, 19, 1]]


def test_suppress_counts_the_last_pixel() -> None:
    pair = torch.tensor([[0.0, 0, 1, 1], [0, 1, 1, 2]])  # 2 × 2 pixels each, 2 in common: overlap 2 / 6
    scores = torch.tensor([0.4, 0.5])
    assert boxes.suppress(pair, scores, 0.34).tolist() == [1, 0]
    assert boxes.suppress(pair, scores, 0.33).tolist() == [1]


def test_suppress_keeps_classes_apart() -> None:
    same = torch.tensor([[3.0, 3, 9, 9]] * 4)
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert boxes.suppress(same, scores, 0.3, classes=torch.tensor([1, 1600, 1, 1600])).tolist() == [3, 2]
    assert boxes.suppress(same[:0], scores[:0], 0.3, classes=torch.tensor([], dtype=torch.int64)).tolist() == []
