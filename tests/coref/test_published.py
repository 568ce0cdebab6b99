"""What the published code computes, written out by hand: runs without that code (with it: benchmarks/upstream_milo.py)."""

import numpy as np
import pytest
import torch

from pipeline_lib.config.coref import CorefModel, CorefTraining
from pipeline_lib.coref import losses
from pipeline_lib.coref.model import Dimensions, Net, initial_network, load_matching

SIZES = Dimensions(video=7, words=5, objects=6)


@pytest.mark.parametrize(("videos", "pairs", "rate"), [(2, 3, 0.5), (3, 2, 0.2), (4, 1, 0.9)])
def test_weights_of_negatives_are_the_published_product(videos, pairs, rate):
    """(b·h) · kron((1 - a)·I + a·11ᵀ, 1) with a = (1 - h) / ((b - 1)·h); their mean is 1 but for the diagonal's share."""
    a = (1 - rate) / ((videos - 1) * rate)
    mask = np.kron((1 - a) * np.eye(videos) + a, np.ones((pairs, pairs))) * (videos * rate)
    found = losses.negative_weights(torch.arange(videos).repeat_interleave(pairs), rate)
    assert np.allclose(found.numpy(), mask, atol=1e-6)
    assert mask.mean() == pytest.approx(1.0)


def test_weighted_margin_loss_by_hand():
    """Two videos of one pair, h = .25, a = 3: within .5, between 1.5. S = [[.5, .6], [.1, .3]], m = .1."""
    similarity = torch.tensor([[0.5, 0.6], [0.1, 0.3]], dtype=torch.float64)
    weights = losses.negative_weights(torch.tensor([0, 1]), 0.25)
    expected = (0.5 * 0.2 + 1.5 * (0.2 + 0.4) + 1.5 * (0.0 + 0.0) + 0.5 * 0.2) / 4
    assert losses.max_margin(similarity, 0.1, weights).item() == pytest.approx(expected)


def test_constant_of_the_margin_loss():
    for count in (1, 4, 36):
        similarity = 10 * torch.eye(count, dtype=torch.float64)
        assert losses.max_margin(similarity, 0.1).item() == pytest.approx(0.2 / count)


def test_sum_of_the_readme_by_hand():
    """One pair, one object: MIL-NCE is log 2 (its positive stands twice in the denominator), the margin's constant 2·m."""
    one = torch.ones(1, 1, dtype=torch.float64)
    options = CorefTraining(loss="mmr_text_video+nce_text_object", margin=0.1)
    terms = losses.terms(one, one, one[:, None], torch.zeros(1, dtype=torch.long), options)
    assert terms["loss_text_object"].item() == pytest.approx(np.log(2))
    assert terms["loss_text_video"].item() == pytest.approx(0.2)
    assert terms["loss"].item() == pytest.approx(np.log(2) + 0.2)


def test_candidate_axis_is_the_second_of_any_tensor():
    """Clips and sentences have unit length; objects have it over their candidates, dimension by dimension."""
    net = Net(SIZES, 16, "candidate_axis")
    video, text, objects = net(torch.randn(3, 7), torch.randn(3, 4, 5), torch.randn(3, 5, 6))
    for embedding in (video, text, objects):
        assert torch.allclose(embedding.norm(dim=1), torch.ones_like(embedding.norm(dim=1)), atol=1e-6)
    single = net.GU_obj(torch.randn(3, 1, 6))  # a single candidate: every number becomes 1 or -1
    assert torch.allclose(single.abs(), torch.ones_like(single))


def test_a_checkpoint_of_howto100m_fills_two_towers_and_the_report_says_so(tmp_path):
    state = {name: value for name, value in Net(SIZES, 8).state_dict().items() if not name.startswith("GU_obj")}
    torch.save(state, tmp_path / "howto100m.pth")
    net, report = initial_network(CorefModel(dimension=8, pretrained=str(tmp_path / "howto100m.pth")), SIZES, 3)
    assert len(report.loaded) == len(state) == 20
    assert len(report.missing) == 9 and str(report).startswith("20 entries loaded, 9 missing (GU_obj.fc.weight")
    own = net.state_dict()
    assert all(torch.equal(own[name], value) for name, value in state.items())
    untouched = initial_network(CorefModel(dimension=8), SIZES, 3)[0].state_dict()
    assert all(torch.equal(own[name], untouched[name]) for name in report.missing)


def test_a_checkpoint_of_milo_fills_all():
    one, other = Net(SIZES, 8), Net(SIZES, 8)
    report = load_matching(one, other.state_dict())
    assert not (report.missing or report.misshapen or report.unused) and len(report.loaded) == 29
    given = torch.randn(2, 7), torch.randn(2, 4, 5), torch.randn(2, 3, 6)
    assert all(torch.equal(a, b) for a, b in zip(one(*given), other(*given), strict=True))
