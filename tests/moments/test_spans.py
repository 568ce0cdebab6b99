import math

import pytest
import torch

from pipeline_lib.moments import position, spans


def test_ends_and_centres():
    assert spans.ends(torch.tensor([[0.5, 0.4], [0.1, 0.4]])).flatten().tolist() == pytest.approx([0.3, 0.7, -0.1, 0.3])
    assert spans.centred(torch.tensor([0.2, 0.6])).tolist() == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0.0, 0.5), (0.0, 0.5), 1.0),
        ((0.0, 0.2), (0.0, 0.3), 2 / 3),
        ((0.0, 0.4), (0.2, 0.6), 0.2 / 0.6),  # what the hull has is covered
        ((0.0, 0.2), (0.8, 1.0), -0.6),  # 0.6 of the hull is covered by neither
        ((0.5, 0.5), (0.0, 1.0), 0.0),  # an empty span inside
        ((0.5, 0.5), (0.5, 0.5), 1.0),  # 0 / 0 otherwise
        ((0.0, 0.0), (1.0, 1.0), -1.0),
    ],
)
def test_giou(one, other, expected):
    one, other = torch.tensor(one, requires_grad=True), torch.tensor(other)
    found = spans.giou(one, other)
    assert found.item() == pytest.approx(expected, abs=1e-6)
    found.backward()
    assert one.grad.isfinite().all()


def test_giou_of_all_pairs():
    one = torch.tensor([[0.0, 0.2], [0.5, 1.0]])
    other = torch.tensor([[0.0, 0.3], [0.0, 1.0]])
    found = spans.giou(one[:, None], other[None])
    assert found.flatten().tolist() == pytest.approx([2 / 3, 0.2, -0.2, 0.5])


def test_sines():
    found = position.sines(torch.tensor([0.5]), 4)[0].tolist()
    assert found == pytest.approx([math.sin(0.5), math.cos(0.5), math.sin(0.005), math.cos(0.005)])


def test_rows_share_one_turn_whatever_is_padded():
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = position.of_rows(mask, 4)
    half = [math.sin(math.pi), math.cos(math.pi), math.sin(math.pi / 100), math.cos(math.pi / 100)]
    assert found[0, 0].tolist() == pytest.approx(half, abs=1e-5)
    assert found[0, 1].tolist() == pytest.approx(found[1, 2].tolist(), abs=1e-5)
    assert torch.equal(found[:1, :2], position.of_rows(mask[:1, :2], 4))


def test_anchors_have_a_half_for_centre_and_width():
    found = position.of_anchors(torch.tensor([[0.25, 0.5]]), 4)[0].tolist()
    quarter, half = math.pi / 2, math.pi
    assert found == pytest.approx([math.sin(quarter), math.cos(quarter), math.sin(half), math.cos(half)], abs=1e-6)
