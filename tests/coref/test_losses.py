import math

import pytest
import torch

from pipeline_lib.config.coref import CorefTraining
from pipeline_lib.coref import losses


def unit(*shape, seed=0):
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=-1)


def test_mil_nce_by_hand():
    """Two pairs, one candidate each: x = [[1, 0], [0, 1]]; each row's denominator is e + 1 + e + 1."""
    eye = torch.eye(2, dtype=torch.float64)
    expected = math.log(2 * math.e + 2) - 1
    assert losses.mil_nce(eye, eye[:, None]).item() == pytest.approx(expected)


def test_mil_nce_is_the_published_formula():
    anchors, candidates = unit(4, 6), unit(4, 3, 6, seed=1)
    total = 0.0
    for i in range(4):
        both = [float(anchors[i] @ candidates[j, k]) for j in range(4) for k in range(3)]
        both += [float(anchors[j] @ candidates[i, k]) for j in range(4) for k in range(3)]
        own = [float(anchors[i] @ candidates[i, k]) for k in range(3)]
        total += math.log(sum(map(math.exp, both))) - math.log(sum(map(math.exp, own)))
    assert losses.mil_nce(anchors, candidates).item() == pytest.approx(total / 4)


def test_temperature_divides_the_logits():
    anchors, candidates = unit(4, 6), unit(4, 3, 6, seed=1)
    assert losses.mil_nce(anchors, candidates, 0.5).item() == pytest.approx(
        losses.mil_nce(2 * anchors, candidates).item()
    )


def test_margin_loss_keeps_the_constant_of_the_diagonal():
    similarity = 10 * torch.eye(4, dtype=torch.float64)
    assert losses.max_margin(similarity, 0.1).item() == pytest.approx(0.05)  # 2·m/B


def test_margin_loss_by_hand():
    """S = [[.5, .4], [.2, .3]], m = .2: rows .2, (.1 + .3), (.1 + 0), .2 twice over the diagonal."""
    similarity = torch.tensor([[0.5, 0.4], [0.2, 0.3]])
    entries = [0.2 + 0.2, 0.1 + 0.3, 0.1 + 0.0, 0.2 + 0.2]
    assert losses.max_margin(similarity, 0.2).item() == pytest.approx(sum(entries) / 4)


def test_negative_weights():
    """b = 2 videos of 2 pairs, h = .5: within 1, between a = 1."""
    weights = losses.negative_weights(torch.tensor([0, 0, 1, 1]), 0.25)
    a = 0.75 / 0.25
    assert weights.tolist() == [
        [0.5, 0.5, 0.5 * a, 0.5 * a],
        [0.5, 0.5, 0.5 * a, 0.5 * a],
        [0.5 * a, 0.5 * a, 0.5, 0.5],
        [0.5 * a, 0.5 * a, 0.5, 0.5],
    ]
    assert losses.negative_weights(torch.tensor([3, 3]), 0.5) is None  # upstream divides by zero here


def test_the_two_published_combinations():
    video, text, objects = unit(3, 5), unit(3, 5, seed=1), unit(3, 2, 5, seed=2)
    videos = torch.zeros(3, dtype=torch.long)
    seed0 = CorefTraining(loss="mmr_text_video+nce_text_object")
    public = CorefTraining(loss="nce_video_text+nce_text_object")
    nce = losses.mil_nce(text, objects)
    assert torch.equal(
        losses.terms(video, text, objects, videos, seed0)["loss"], losses.max_margin(text @ video.T, 0.1) + nce
    )
    assert torch.equal(
        losses.terms(video, text, objects, videos, public)["loss"], losses.mil_nce(video, text[:, None]) + nce
    )
