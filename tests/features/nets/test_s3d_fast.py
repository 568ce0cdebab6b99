import pytest
import torch
import torch.nn.functional as F

from pipeline_lib.core import device
from pipeline_lib.features.nets import fused, s3d_fast, untrained_s3d
from pipeline_lib.features.nets.s3d import S3D, max_pool
from pipeline_lib.features.nets.textures import textures

SHAPES = [(1, 16, 64, 64), (1, 8, 66, 70), (2, 8, 50, 34), (1, 2, 32, 32), (1, 6, 62, 46)]


@pytest.fixture(scope="module")
def net():
    device.deterministic()
    return untrained_s3d.untrained(0)


def clips(batch, frames, height, width):
    return textures(batch, frames, max(height, width), seed=1)[..., :height, :width].contiguous()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fast_is_the_network_up_to_rounding(net, shape):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    video = clips(*shape)
    with torch.inference_mode():
        plain, fast = net(video), s3d_fast.optimise(net)(video)
    for name, value in plain.items():
        assert (value - fast[name]).abs().max() <= 1e-4 and fast[name].dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("shape", [(1, 16, 112, 112), (2, 8, 112, 98)], ids=str)
def test_bf16(net, shape):
    video = clips(*shape)
    with torch.inference_mode():
        plain, fast = net(video), s3d_fast.optimise(net, "bf16")(video)
    assert F.cosine_similarity(plain["mixed_5c"], fast["mixed_5c"]).min() >= 0.999
    assert F.cosine_similarity(plain["video_embedding"], fast["video_embedding"]).min() >= 0.99
    assert fast["mixed_5c"].dtype == torch.float32


def test_without_onednns_operators(net, monkeypatch):
    video = clips(1, 8, 64, 64)
    with torch.inference_mode():
        usual = s3d_fast.optimise(net)(video)["mixed_5c"]
        monkeypatch.setattr(fused, "_ONEDNN", False)
        assert torch.allclose(s3d_fast.optimise(net)(video)["mixed_5c"], usual, atol=1e-4)


@pytest.mark.parametrize("size", [4, 5, 8, 9, 13])
@pytest.mark.parametrize(("axes", "kernel"), [((2, 3), 3), ((1, 2, 3), 3), ((1, 2, 3), 2)])
def test_pooling_axis_by_axis_is_that_of_s3d(size, axes, kernel):
    x = torch.rand(2, 6, size, size + 3, 5)
    sizes = tuple(kernel if axis in axes else 1 for axis in (1, 2, 3))
    strides = tuple(2 if axis in axes else 1 for axis in (1, 2, 3))
    expected = max_pool(x.permute(0, 4, 1, 2, 3), sizes, strides).permute(0, 2, 3, 4, 1)
    assert torch.equal(s3d_fast.pooled(x, axes, kernel), expected)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_neighbourhoods_axis_by_axis(size):
    x = torch.rand(1, size, 4, 5, 3)
    expected = F.max_pool3d(x.permute(0, 4, 1, 2, 3), 3, stride=1, padding=1).permute(0, 2, 3, 4, 1)
    assert torch.equal(s3d_fast.smoothed(x), expected)


def test_wrong_shapes_are_refused(net):
    with pytest.raises(ValueError, match="the last three even"):
        s3d_fast.optimise(net)(torch.zeros(1, 3, 7, 32, 32))


def test_the_variant_without_space_to_depth():
    torch.manual_seed(0)
    net = S3D(None, space_to_depth=False).eval()
    video = clips(1, 6, 66, 70)
    with torch.inference_mode():
        plain, fast = net(video)["mixed_5c"], s3d_fast.optimise(net)(video)["mixed_5c"]
    assert (plain - fast).abs().max() <= 1e-5 * plain.abs().max()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_clips_bytes_depend_on_nothing_else(net, precision):
    """Neither on the clips beside it, nor on the layout that it comes in; the original stays as it is."""
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fast, video = s3d_fast.optimise(net, precision), clips(3, 10, 50, 34)
    other_layout = video.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    with torch.inference_mode():
        together, again = fast(video), fast(other_layout)
        alone = [fast(clip[None]) for clip in video]
    for name, value in together.items():
        assert torch.equal(value, again[name])
        assert torch.equal(value, torch.cat([one[name] for one in alone]))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_half_precision_numbers_are_compared_as_integers():
    x = torch.randn(1, 5, 9, 7, 6).to(torch.bfloat16)
    pooled = s3d_fast.pooled(x, (1, 2, 3), 3).relu_()
    assert torch.equal(pooled, s3d_fast.pooled(x.float(), (1, 2, 3), 3).relu_().bfloat16())
    assert torch.equal(s3d_fast.smoothed(x.relu()).float(), s3d_fast.smoothed(x.relu().float()))
