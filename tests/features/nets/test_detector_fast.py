"""The rearranged detectors, pooling and convolutions against the plain ones."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline_lib.features.nets.detector_fast import FusedHead, optimise
from pipeline_lib.features.nets.faster_rcnn import FasterRCNN
from pipeline_lib.features.nets.faster_rcnn_d2 import FasterRCNNC4
from pipeline_lib.features.nets.region_pool import bags
from pipeline_lib.features.nets.winograd import Winograd, WinogradTiles


def regions(count: int, width: int, height: int) -> Tensor:
    """Regions (count, 4) of all sizes, some beyond the image."""
    source = torch.Generator().manual_seed(0)
    corner = torch.rand(count, 2, generator=source) * torch.tensor([width, height]) * 1.1 - 20
    size = torch.rand(count, 2, generator=source) ** 2 * torch.tensor([width, height])
    size[0], corner[0] = torch.tensor([width, height]), 0.0
    return torch.cat([corner, corner + size], dim=1)


@pytest.mark.parametrize(("pooled", "aligned"), [(14, True), (7, False)])
def test_pooling_is_roi_align_at_every_second_cell(pooled: int, aligned: bool) -> None:
    maps = torch.randn(2, 5, 20, 31)
    rois = regions(40, 31 * 16, 20 * 16)
    images = torch.arange(40) % 2
    numbered = torch.cat([images[:, None].float(), rois], dim=1)
    wanted = torch.ops.torchvision.roi_align(maps, numbered, 1 / 16, pooled, pooled, 0, aligned)[:, :, ::2, ::2]
    rows, weights, starts = bags(rois, images, 20, 31, pooled, 1 / 16, aligned)
    table = maps.permute(0, 2, 3, 1).flatten(0, 2)
    cells = F.embedding_bag(rows, table, starts, mode="sum", per_sample_weights=weights)
    torch.testing.assert_close(cells.view(40, *wanted.shape[2:], 5).permute(0, 3, 1, 2), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cells", [4, 5, 7])
def test_winograd_is_the_convolution(cells: int) -> None:
    x = torch.randn(3, 16, cells, cells).to(memory_format=torch.channels_last)
    weight, bias = torch.randn(8, 16, 3, 3), torch.randn(8)
    wanted = F.conv2d(x.double(), weight.double(), bias.double(), padding=1).relu()
    torch.testing.assert_close(Winograd(weight, bias, cells)(x).double(), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(4, 8), (9, 6), (3, 1)])
def test_winograd_in_tiles_is_the_convolution(size: tuple[int, int]) -> None:
    x = torch.randn(2, 16, *size).to(memory_format=torch.channels_last)
    weight, bias = torch.randn(8, 16, 3, 3), torch.randn(8)
    wanted = F.conv2d(x.double(), weight.double(), bias.double(), padding=1).relu()
    torch.testing.assert_close(WinogradTiles(weight, bias)(x).double(), wanted, rtol=0, atol=1e-4)


@pytest.fixture(scope="module", params=["vg_port", "detectron2_c4"])
def net(request: pytest.FixtureRequest) -> FasterRCNN | FasterRCNNC4:
    """A detector with activations of useful sizes, for little: norms that keep them, and few classes."""
    torch.manual_seed(0)
    net = (FasterRCNN if request.param == "vg_port" else FasterRCNNC4)(n_classes=7, post_nms=12)
    for module in net.modules():
        if hasattr(module, "running_var"):
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.normal_(module.bias.data, std=0.1)
            module.weight.data.fill_(0.7)
    return net.eval()


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-4), ("bf16", 3e-2)])
def test_fast_is_plain(net: FasterRCNN | FasterRCNNC4, precision: str, bound: float) -> None:
    fast = optimise(net, precision)
    trunk = net.backbone if isinstance(net, FasterRCNNC4) else net.RCNN_base
    images = torch.randn(2, 3, 96, 128) * 50
    rois = [regions(5, 128, 96), regions(3, 128, 96)]
    with torch.inference_mode():
        maps, fast_maps = trunk(images), fast.trunk(images)
        plain, features = net.region_features(maps, rois), fast.head(maps.to(fast_maps.dtype), rois)
        found = fast(images, torch.tensor([[96.0, 128.0, 1.0], [80.0, 112.0, 1.0]]))
    assert (fast_maps.float() - maps).abs().max() <= bound * maps.abs().max()
    assert features.shape == (8, 2048) and (features - plain).abs().max() <= bound * plain.abs().max()
    assert [part.dtype for part in found[1]] == [torch.float32] * 4
    assert fast.head(fast_maps, [torch.zeros(0, 4)] * 2).shape == (0, 2048)


def test_the_original_stays_as_it_is(net: FasterRCNN | FasterRCNNC4) -> None:
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fast = optimise(net, "bf16")
    after = net.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(after[key], value) for key, value in before.items())
    assert isinstance(fast.head, FusedHead)
