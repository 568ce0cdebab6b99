import pytest
import torch
import torch.nn.functional as F
from torchvision.models import resnet50

from pipeline_lib.features.nets.resnet_fast import fold_norms, optimise
from pipeline_lib.features.nets.resnext3d import ResNeXt3D
from pipeline_lib.features.nets.untrained import calibrate, initialise


@pytest.fixture(scope="module")
def flat():
    """ResNet-50 has the blocks of ResNet-152, less of them."""
    net = resnet50(weights=None)
    net.fc = torch.nn.Identity()
    initialise(net, 0)
    calibrate(net, lambda: net(torch.rand(8, 3, 96, 96, generator=torch.Generator().manual_seed(0))))
    return net


@pytest.mark.parametrize("size", [(96, 64), (65, 97)])
def test_fast_is_plain(flat, size):
    images = torch.rand(2, 3, *size)
    with torch.inference_mode():
        plain = flat(images)
        assert (optimise(flat)(images) - plain).abs().max() <= 1e-4 * plain.abs().max()
        assert F.cosine_similarity(optimise(flat, "bf16")(images), plain).min() >= 0.999


def test_folded_norms():
    net = ResNeXt3D((1, 1, 1, 1))
    initialise(net, 0)
    clips = torch.rand(2, 3, 16, 64, 64, generator=torch.Generator().manual_seed(0)) * 255 - 100
    calibrate(net, lambda: net(clips))
    folded = fold_norms(net)
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in folded.modules())
    assert folded.conv1.weight.is_contiguous(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        plain = net(clips)
        assert (folded(clips) - plain).abs().max() <= 1e-4 * plain.abs().max()
