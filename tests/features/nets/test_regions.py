"""The rule that keeps regions, on five proposals worked out by hand."""

import pytest
import torch
from torch import Tensor

from pipeline_lib.features.nets.regions import select

ROIS = torch.tensor([[10.0, 20, 29, 39], [11, 20, 30, 39], [60, 60, 79, 79], [100, 60, 119, 79], [150, 80, 190, 95]])
SCORES = torch.tensor(
    [  # background, class 1, class 2
        [0.10, 0.60, 0.30],  # suppressed by proposal 1 in class 1, first in class 2: confidence 0.3
        [0.05, 0.70, 0.25],  # first in class 1: 0.7
        [0.90, 0.06, 0.04],  # nothing above the threshold: 0
        [0.50, 0.20, 0.30],  # 0.2 isn't above 0.2: 0.3 by class 2
        [0.85, 0.05, 0.10],  # 0, but better than proposal 2
    ]
)
DELTAS = torch.zeros(5, 12)
FEATURES = torch.arange(5.0)[:, None].expand(5, 2048)


def chosen(count: int, most: int | None = None, deltas: Tensor = DELTAS) -> dict[str, Tensor]:
    return select(ROIS, SCORES, deltas, FEATURES, 2.0, (100, 50), min_boxes=count, max_boxes=most or count)


def indices(found: dict[str, Tensor]) -> list[int]:
    return found["features"][:, 0].int().tolist()


def test_as_many_as_wanted_stay_in_the_order_of_the_proposals() -> None:
    found = chosen(3)
    assert indices(found) == [0, 1, 3]
    torch.testing.assert_close(found["scores"], torch.tensor([0.3, 0.7, 0.3]))
    assert found["labels"].tolist() == [1, 1, 2]
    assert indices(chosen(1, 4)) == [0, 1, 3]


def test_too_many_are_cut_by_confidence() -> None:
    assert indices(chosen(2)) == [1, 0]  # proposals 0 and 3 are equal: the better foreground score (0.6) goes first


def test_too_few_are_filled_up_by_foreground_score() -> None:
    found = chosen(5)
    assert indices(found) == [1, 0, 3, 4, 2]
    torch.testing.assert_close(found["scores"], torch.tensor([0.7, 0.3, 0.3, 0, 0]))
    assert found["labels"].tolist() == [1, 1, 2, 2, 1]


def test_rows_of_zeros_where_proposals_run_out() -> None:
    found = chosen(7)
    assert {name: rows.shape[0] for name, rows in found.items()} == dict.fromkeys(found, 7)
    assert found["labels"].tolist()[5:] == [0, 0]
    assert not any(rows[5:].any() for rows in found.values())


def test_boxes_are_regressed_for_the_label_and_cut_to_the_image() -> None:
    deltas = DELTAS.clone().view(5, 3, 4)
    deltas[1, 1] = torch.tensor([1.0, 0, 0, 0])  # one deviation, 0.1 of 20 pixels, to the right
    deltas[1, 2] = 5.0  # another class: of no account
    deltas[3, 2] = torch.tensor([0.0, 0, 20, 20])  # e⁴ times the size: cut
    found = chosen(3, deltas=deltas.view(5, 12))
    assert found["boxes"].dtype == torch.float32
    torch.testing.assert_close(found["boxes"], torch.tensor([[5, 10, 15, 20], [6.5, 10, 16.5, 20], [0, 0, 99.5, 49.5]]))


def test_nothing_above_the_threshold() -> None:
    scores = torch.tensor([[0.9, 0.06, 0.04]] * 5)
    found = select(ROIS, scores, DELTAS, FEATURES, 2.0, (100, 50), min_boxes=2, max_boxes=2)
    assert indices(found) == [0, 1]
    assert found["scores"].tolist() == [0, 0]


@pytest.mark.parametrize("count", [1, 10, 300])
def test_always_the_wanted_number(count: int) -> None:
    assert len(chosen(count)["boxes"]) == count
