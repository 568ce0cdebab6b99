"""Loss terms that lntzm/MESM (8501bde) gave for drawn weights and small batches, built from its own configuration files.

They were taken through benchmarks/mesm_original.py with dropout off, at the sizes of tiny.py; benchmarks/upstream_mesm.py
compares the published sizes, but needs a checkout.
"""

import pytest
import torch
from tiny import CLASSES, NO_DROPOUT, VIDEO, WORD, batch
from torch import nn

from pipeline_lib.config.moments_model import Loss
from pipeline_lib.core import device
from pipeline_lib.moments import losses
from pipeline_lib.moments.batch import Batch
from pipeline_lib.moments.model import Net

CHARADES = Loss()
TACOS = Loss(label_coef=6, cost_class=6, saliency_coef=1, rank_coef=1, triplet=True)
QVHIGHLIGHTS = Loss(saliency_coef=1, recfw_coef=0.5, triplet=True)
NAMES = (
    "loss_span", "loss_giou", "loss_label", "loss_saliency", "loss_rec_fw", "loss_rec_ss",
    "loss_span_0", "loss_giou_0", "loss_label_0", "loss",
)  # fmt: skip
RECORDED = {
    "charades": (0.177546, 0.592872, 0.332943, 11.321, 2.3389, 1.22718, 0.16487, 0.475217, 0.200448, 52.2665),
    "tacos": (0.231556, 0.624927, 0.223839, 12.7638, 4.06869, 1.42505, 0.138168, 0.58225, 0.204948, 20.7903),
    "qvhighlights": (0.183003, 0.662404, 0.312945, 12.8975, 2.38511, 1.18666, 0.17408, 0.52143, 0.213085, 21.0675),
}


def draw(net: nn.Module) -> None:
    """Give every parameter numbers of its own."""
    with torch.no_grad():
        for seed, (name, parameter) in enumerate(sorted(net.named_parameters())):
            drawn = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
            parameter.copy_(0.3 * drawn + ("norm" in name.lower() and name.endswith("weight")))


def sample(films: bool) -> Batch:
    """Three sentences, some words unknown; with films each has a piece, one has two moments, and rows differ in saliency."""
    found = batch(moments=2 if films else 1)
    unknown = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]).bool()
    targets = (found.targets or pytest.fail())._replace(unknown=unknown)
    if not films:
        return found._replace(targets=targets)
    return found._replace(
        video=found.video[found.of_video],
        video_mask=found.video_mask[found.of_video],
        of_video=torch.arange(3),
        targets=targets._replace(saliency=targets.saliency * torch.tensor([[12.0], [3.0], [1.0]])),
    )


@pytest.mark.parametrize(
    ("name", "options", "changes"),
    [
        ("charades", CHARADES, {}),
        ("tacos", TACOS, {"share_mlp": False}),
        ("qvhighlights", QVHIGHLIGHTS, {"context": "film"}),
    ],
)
def test_terms_are_upstreams(name: str, options: Loss, changes: dict) -> None:
    device.deterministic()
    net = Net(NO_DROPOUT.model_copy(update={"head_masks": "as_published", **changes}), VIDEO, WORD, CLASSES).eval()
    draw(net)
    given = sample(films=name == "qvhighlights")
    found = losses.terms(net(given), given, options)
    assert [found[term].item() for term in NAMES] == pytest.approx(RECORDED[name], rel=1e-4)
