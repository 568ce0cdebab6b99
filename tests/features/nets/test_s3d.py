"""The S3D-G network: names and shapes of the published checkpoint, and the steps that are easy to get wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline_lib.core.errors import UserError
from pipeline_lib.features.nets import s3d
from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.features.nets.s3d_text import TextTower

KEYS = Path(__file__).parents[4] / "shared" / "specs" / "s3d_state_dict_keys.txt"

STAGES = {  # channels, and (T, H, W) for 32 × 224² and 32 × 200² (specs: s3d §1)
    "conv_2b": (64, (16, 56, 56), (16, 50, 50)),
    "gating": (192, (16, 56, 56), (16, 50, 50)),
    "mixed_3b": (256, (16, 28, 28), (16, 25, 25)),
    "mixed_3c": (480, (16, 28, 28), (16, 25, 25)),
    "mixed_4b": (512, (8, 14, 14), (8, 13, 13)),
    "mixed_4c": (512, (8, 14, 14), (8, 13, 13)),
    "mixed_4d": (512, (8, 14, 14), (8, 13, 13)),
    "mixed_4e": (528, (8, 14, 14), (8, 13, 13)),
    "mixed_4f": (832, (8, 14, 14), (8, 13, 13)),
    "mixed_5b": (832, (4, 7, 7), (4, 7, 7)),
    "mixed_5c": (1024, (4, 7, 7), (4, 7, 7)),
}


@pytest.fixture(scope="module")
def net() -> S3D:
    return S3D(None).eval()


def test_parameters_are_the_published_ones(net: S3D) -> None:
    assert len(net.state_dict()) == 537
    assert sum(parameter.numel() for parameter in net.parameters()) == 31_211_336


def test_keys_and_shapes_in_order(net: S3D) -> None:
    if not KEYS.exists():
        pytest.skip(f"the list of keys, {KEYS}, is not part of the repository")
    assert [f"{key} {list(value.shape)}" for key, value in net.state_dict().items()] == KEYS.read_text().splitlines()


@pytest.mark.parametrize(("column", "size"), [(1, 224), (2, 200)])
def test_shapes_of_the_stages(column: int, size: int) -> None:
    """On the meta device, which follows shapes and computes nothing."""
    with torch.device("meta"):
        net = S3D(None).eval()
    seen: dict[str, tuple[int, ...]] = {}
    for name in ("conv1", *STAGES):
        getattr(net, name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: tuple(output.shape)})
        )
    out = net(torch.empty(1, 3, 32, size, size, device="meta"))
    assert seen.pop("conv1") == (1, 64, 17, size // 2 + 1, size // 2 + 1)  # before the crop
    assert seen == {name: (1, stage[0], *stage[column]) for name, stage in STAGES.items()}
    assert out["mixed_5c"].shape == (1, 1024)
    assert out["video_embedding"].shape == (1, 512)


def test_stage_shapes_computed_for_an_odd_map(net: S3D) -> None:
    """A map of 25 rows pools to 13: computed, at the cheapest size that has one."""
    seen: dict[str, tuple[int, ...]] = {}
    hook = net.mixed_4b.register_forward_hook(lambda _m, _i, output: seen.update(out=tuple(output.shape[2:])))
    with torch.inference_mode():
        net(torch.zeros(1, 3, 4, 200, 32))
    hook.remove()
    assert seen["out"] == (1, 13, 2)


def test_space_to_depth_puts_offsets_before_colours() -> None:
    video = torch.arange(3 * 2 * 2 * 2.0).reshape(1, 3, 2, 2, 2)  # value = c·8 + t·4 + h·2 + w
    out = s3d.space_to_depth(video)
    by_hand = [c * 8 + t * 4 + h * 2 + w for t in (0, 1) for h in (0, 1) for w in (0, 1) for c in (0, 1, 2)]
    assert out.flatten().tolist() == by_hand


def test_first_output_is_dropped_on_every_axis(net: S3D) -> None:
    """After the crop, position 0 sees inputs 0 and 1 in time and -1 … 2 in space, as with SAME."""
    conv = s3d.Convolution(24, 64, (2, 4, 4), padding=(1, 2, 2)).eval()
    nn.init.constant_(conv.conv1.weight, 1.0)
    x = torch.zeros(1, 24, 3, 5, 5)
    x[0, 0, 0, 0, 0] = 1.0  # seen by position 0 only in time, 0 and 1 in space
    with torch.inference_mode():
        out = conv(x)[:, :, 1:, 1:, 1:]
    assert out.shape[2:] == (3, 5, 5)
    positions = {tuple(place) for place in out[0, 0].nonzero().tolist()}
    assert positions == {(0, h, w) for h in (0, 1) for w in (0, 1)}
    seen = []
    hook = net.conv_2b.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0].shape[2:]))
    with torch.inference_mode():
        net(torch.zeros(1, 3, 4, 32, 36))
    hook.remove()
    assert tuple(seen[0]) == (2, 8, 9)  # (T/2, H/4, W/4): with the surplus row kept it would be (3, 9, 10)


def test_max_pool_pads_zeros_at_the_end() -> None:
    x = torch.full((1, 1, 1, 2, 4), -1.0)
    assert s3d.max_pool(x, (1, 3, 3), (1, 2, 2)).flatten().tolist() == [0.0, 0.0]  # row 3 and column 5 are the padding
    assert s3d.max_pool(torch.ones(1, 1, 1, 25, 4), (1, 3, 3), (1, 2, 2)).shape[3] == 13


def test_separable_convolution_goes_over_space_first(net: S3D) -> None:
    assert net.conv_2c.conv1.kernel_size == (1, 3, 3)
    assert net.conv_2c.conv2.kernel_size == (3, 1, 1)


def test_clips_of_a_batch_dont_see_each_other(net: S3D) -> None:
    clips = torch.rand(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = net(clips)["mixed_5c"]
        alone = torch.cat([net(clip[None])["mixed_5c"] for clip in clips])
        assert torch.equal(together, net(clips)["mixed_5c"])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3, 5, 32, 32), (1, 3, 4, 31, 32), (3, 4, 32, 32), (1, 4, 4, 32, 32)])
def test_other_shapes_are_refused(net: S3D, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the last three even"):
        net(torch.zeros(shape))


def test_variant_without_space_to_depth() -> None:
    with torch.device("meta"):
        net = S3D(None, space_to_depth=False).eval()
    assert tuple(net.conv1.conv1.weight.shape) == (64, 3, 3, 7, 7)
    assert net(torch.empty(1, 3, 4, 32, 32, device="meta"))["mixed_5c"].shape == (1, 1024)


@pytest.fixture(scope="module")
def text() -> TextTower:
    return TextTower(["the", "fire", "don't", "Fire", "a_b"])


def test_tokeniser(text: TextTower) -> None:
    def row(sentence: str) -> list[int]:
        return text.tokenise([sentence])[0].tolist()

    assert row("The FIRE!") == [1, 2] + [0] * 14
    assert row("don't, a_b; a-b") == [3, 5] + [0] * 14
    assert row("zebra the zebra " * 20) == [1] * 16  # unknown words go before the cut
    assert row("zebra") == row("") == [0] * 16
    cased = TextTower(["the", "fire", "Fire"], max_words=3, lower_case=False)
    assert cased.tokenise(["The Fire fire the the"]).tolist() == [[3, 2, 1]]


def test_padding_takes_part_in_the_maximum(text: TextTower) -> None:
    with torch.inference_mode():
        words = torch.relu(text.fc1(text.word_embd.weight[[0, 2]]))  # padding and "fire"
        expected = text.fc2(words.amax(dim=0))
        assert not torch.allclose(expected, text.fc2(words[1]))
        torch.testing.assert_close(text(["fire"])["text_embedding"][0], expected)


def test_dictionary_file(tmp_path: Path) -> None:
    np.save(tmp_path / "dict.npy", np.array(["the", "fire"]))
    assert TextTower(tmp_path / "dict.npy").tokenise(["fire"])[0, 0] == 2
    assert TextTower(str(tmp_path / "dict.npy")).tokenise(["the"])[0, 0] == 1


def test_pickled_dictionary_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "dict.npy", np.array(["the", "fire"], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="can't be read"):
        TextTower(tmp_path / "dict.npy")


def test_wrong_dictionaries_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "numbers.npy", np.arange(3))
    with pytest.raises(UserError, match="1-D array of strings"):
        TextTower(tmp_path / "numbers.npy")
    with pytest.raises(UserError, match="can't be read"):
        TextTower(tmp_path / "missing.npy")
    with torch.device("meta"), pytest.raises(UserError, match="66249"):
        TextTower(["word"] * 66250)


def test_sentences_without_a_dictionary_are_refused(net: S3D) -> None:
    with pytest.raises(UserError, match="no dictionary"):
        net.text_module(["the fire"])
