import pytest
import torch

from pipeline_lib.config.moments_model import Loss
from pipeline_lib.moments import matching

BY_PLACE = Loss(cost_span=10, cost_giou=1, cost_class=0)


def matched(predicted, moments, mask=None, logits=None, options=BY_PLACE):
    predicted, moments = torch.tensor(predicted), torch.tensor(moments)
    mask = torch.ones(moments.shape[:2], dtype=torch.bool) if mask is None else torch.tensor(mask)
    logits = torch.zeros(*predicted.shape) if logits is None else torch.tensor(logits)
    found = matching.match(logits, predicted, moments, mask, options)
    return [tuple(row) for row in torch.stack(found, 1).tolist()]


def test_cost():
    logits, predicted = torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[0.1, 0.2]]])
    cost = matching.costs(logits, predicted, torch.tensor([[[0.0, 0.3]]]), Loss())
    assert cost.item() == pytest.approx(10 * (0.05 + 0.1) - 2 / 3 - 4 * 0.5)


def test_one_moment_takes_the_cheapest_span():
    found = matched([[[0.9, 0.2], [0.2, 0.4], [0.5, 1.0]], [[0.5, 0.1]] * 3], [[[0.0, 0.4]], [[0.0, 0.1]]])
    assert found == [(0, 1, 0), (1, 0, 0)]  # of equal ones the first


def test_probability_decides_between_equal_spans():
    logits = [[[0.0, 0.0], [3.0, 0.0]]]
    assert matched([[[0.5, 0.2]] * 2], [[[0.4, 0.6]]], logits=logits, options=Loss()) == [(0, 1, 0)]


def test_two_moments_share_their_spans_out():
    """Both moments are nearest to span 1; the pair is cheapest if moment 0 takes it and moment 1 span 2."""
    found = matched([[[0.9, 0.1], [0.3, 0.2], [0.5, 0.2]]], [[[0.2, 0.4], [0.26, 0.46]]])
    assert found == [(0, 1, 0), (0, 2, 1)]


def test_moments_that_are_not_there_match_nothing():
    predicted = [[[0.1, 0.2], [0.8, 0.2]]] * 3
    moments = [[[0.7, 0.9], [0.0, 0.2]], [[0.7, 0.9], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]
    found = matched(predicted, moments, [[True, True], [True, False], [False, False]])
    assert found == [(0, 0, 1), (0, 1, 0), (1, 1, 0)]
    assert matched(predicted[:1], [[[0.0, 0.0]]], [[False]]) == []


def test_more_moments_than_spans():
    assert matched([[[0.8, 0.2]]], [[[0.0, 0.2], [0.7, 0.9], [0.4, 0.5]]]) == [(0, 0, 1)]


def test_same_as_for_one_moment_alone():
    generator = torch.Generator().manual_seed(0)
    predicted, moments = torch.rand(20, 6, 2, generator=generator), torch.rand(20, 1, 2, generator=generator)
    moments = moments.sort(-1).values
    logits = torch.randn(20, 6, 2, generator=generator)
    one = matching.match(logits, predicted, moments, torch.ones(20, 1, dtype=torch.bool), Loss())
    padded = torch.cat((moments, torch.zeros_like(moments)), 1)
    two = matching.match(logits, predicted, padded, torch.tensor([[True, False]]).expand(20, 2), Loss())
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_nan_is_left_to_the_loop():
    found = matched([[[float("nan"), 0.2], [0.2, 0.2]]], [[[0.1, 0.3], [0.5, 0.6]]])
    assert len(found) == 2
