"""The 3-D ResNeXt-101: names and shapes of the published checkpoint, and shapes of the stages."""

from pathlib import Path

import pytest
import torch

from pipeline_lib.core import checkpoint, device
from pipeline_lib.core.errors import UserError
from pipeline_lib.features import resnext101
from pipeline_lib.features.nets import untrained_resnext101
from pipeline_lib.features.nets.resnext3d import LAYERS, ResNeXt3D


def published_keys() -> list[str]:
    """By the definition: conv1, bn1, then of every block three convolutions with norms, and a shortcut in the first."""

    def norm(name: str) -> list[str]:
        return [f"{name}.{what}" for what in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]

    keys = ["conv1.weight", *norm("bn1")]
    for layer, blocks in enumerate(LAYERS, start=1):
        for block in range(blocks):
            at = f"layer{layer}.{block}"
            for i in (1, 2, 3):
                keys += [f"{at}.conv{i}.weight", *norm(f"{at}.bn{i}")]
            if block == 0:
                keys += [f"{at}.downsample.0.weight", *norm(f"{at}.downsample.1")]
    return keys


def test_keys_and_parameters_are_the_published_ones() -> None:
    with torch.device("meta"):
        net = ResNeXt3D()
    state = net.state_dict()
    assert list(state) == published_keys() and len(state) == 624
    assert sum(parameter.numel() for parameter in net.parameters()) == 48_340_816 - 2048 * 400 - 400  # its fc
    assert state["conv1.weight"].shape == (64, 3, 7, 7, 7)
    assert state["layer1.0.conv2.weight"].shape == (128, 4, 3, 3, 3)  # 32 groups of 4
    assert state["layer4.0.conv2.weight"].shape == (1024, 32, 3, 3, 3)
    assert state["layer4.0.downsample.0.weight"].shape == (2048, 1024, 1, 1, 1)


def test_shapes_of_the_stages() -> None:
    """On the meta device, which follows shapes and computes nothing."""
    with torch.device("meta"):
        net = ResNeXt3D().eval()
    seen: dict[str, tuple[int, ...]] = {}
    for name in ("conv1", "layer1", "layer2", "layer3", "layer4"):
        getattr(net, name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: tuple(output.shape[1:])})
        )
    assert net(torch.empty(1, 3, 16, 112, 112, device="meta")).shape == (1, 2048)
    assert seen == {
        "conv1": (64, 16, 56, 56),
        "layer1": (256, 8, 28, 28),
        "layer2": (512, 4, 14, 14),
        "layer3": (1024, 2, 7, 7),
        "layer4": (2048, 1, 4, 4),
    }


def test_checkpoint_of_a_wrapped_network_with_classifier(tmp_path: Path) -> None:
    """As published by kenshohara: `module.` before every name, and fc, which nothing here reads."""
    small = ResNeXt3D((1, 1, 1, 1))
    state = {f"module.{key}": value for key, value in small.state_dict().items()}
    state |= {"module.fc.weight": torch.zeros(400, 2048), "module.fc.bias": torch.zeros(400)}
    # Files of 2018 have no num_batches_tracked; it counts training steps only.
    state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save({"state_dict": state}, tmp_path / "small.pth")
    loaded = checkpoint.load(ResNeXt3D((1, 1, 1, 1)), tmp_path / "small.pth")
    assert all(torch.equal(value, small.state_dict()[key]) for key, value in loaded.state_dict().items())
    with pytest.raises(UserError, match="doesn't fit ResNeXt3D"):
        checkpoint.load(ResNeXt3D((1, 1, 2, 1)), tmp_path / "small.pth")


def test_untrained_tells_clips_apart() -> None:
    device.deterministic()
    net = untrained_resnext101.untrained(0)
    clips = torch.zeros(2, 16, 112, 112, 3, dtype=torch.uint8)
    clips[0, :, 30:80, 30:80, 0] = clips[1, :, 30:80, 30:80, 2] = 230
    with torch.inference_mode():
        rows = resnext101.forward(net, clips)
    assert rows.shape == (2, 2048) and torch.isfinite(rows).all() and rows.std() > 0.01
    assert 0.3 < torch.cosine_similarity(rows[0], rows[1], dim=0) < 0.995
