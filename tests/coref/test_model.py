import pytest
import torch

from pipeline_lib.config.coref import CorefModel
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref.model import Dimensions, Net, initial_network, load_matching

SIZES = Dimensions(video=7, words=5, objects=6)


def net(**options):
    torch.manual_seed(0)
    return Net(SIZES, 8, **options).eval()


def test_keys_are_those_of_milo_model():
    expected = {"text_pooling.fc.weight": (8, 5), "text_pooling.fc.bias": (8,)}
    for tower, size in {"GU_text": 8, "GU_video": 7, "GU_obj": 6}.items():
        expected |= {f"{tower}.fc.weight": (8, size), f"{tower}.fc.bias": (8,)}
        expected |= {f"{tower}.cg.fc.weight": (8, 8), f"{tower}.cg.fc.bias": (8,)}
        for name in ("weight", "bias", "running_mean", "running_var"):
            expected[f"{tower}.cg.batch_norm.{name}"] = (8,)
        expected[f"{tower}.cg.batch_norm.num_batches_tracked"] = ()
    assert {name: tuple(value.shape) for name, value in net().state_dict().items()} == expected


def test_gated_unit_by_hand():
    unit = net().GU_video
    x = torch.randn(2, 7)
    y = x @ unit.fc.weight.T + unit.fc.bias
    z = y * torch.sigmoid(y @ unit.cg.fc.weight.T + unit.cg.fc.bias)
    assert torch.allclose(unit(x), z / z.norm(dim=1, keepdim=True), atol=1e-6)


def test_padding_takes_part_in_the_maximum():
    """A sentence of nothing but padding is the ReLU of the bias, not zero."""
    pooled = net().text_pooling(torch.zeros(1, 3, 5))
    assert torch.equal(pooled[0], net().text_pooling.fc.bias.relu())


def test_published_normalisation_goes_over_the_candidates():
    objects = torch.randn(2, 4, 6)
    published = net(normalise="candidate_axis").GU_obj(objects)
    mended = net().GU_obj(objects)
    assert torch.allclose(published.norm(dim=1), torch.ones(2, 8)) and torch.allclose(
        mended.norm(dim=2), torch.ones(2, 4)
    )
    assert not torch.allclose(published.norm(dim=2), torch.ones(2, 4))


def test_howto100m_loads_all_but_the_object_tower(tmp_path):
    other = net()
    state = {name: value + 1 for name, value in other.state_dict().items() if not name.startswith("GU_obj")}
    report = load_matching(other, {**state, "GU_video.fc.bias": torch.zeros(3), "extra": torch.zeros(1)})
    assert report.unused == ["extra"] and report.misshapen == ["GU_video.fc.bias"]
    assert all(name.startswith("GU_obj") for name in report.missing)
    assert torch.equal(other.state_dict()["GU_text.fc.bias"], state["GU_text.fc.bias"])
    torch.save({"nothing": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="no entry fits"):
        initial_network(CorefModel(dimension=8, pretrained=str(tmp_path / "x.pth")), SIZES, 0)


def test_pretrained_weights_that_are_not_there(tmp_path):
    options = CorefModel(dimension=8, pretrained=str(tmp_path / "howto100m_pt_model.pth"))
    with pytest.raises(UserError, match=r"howto100m_pt_model\.pth are missing.*put it there, or set the key to null"):
        initial_network(options, SIZES, 0)
    assert initial_network(options.model_copy(update={"pretrained": None}), SIZES, 0)[1] is None


def test_initial_network_is_a_function_of_the_seed():
    options = CorefModel(dimension=8)
    one, two, three = (initial_network(options, SIZES, seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["GU_obj.fc.weight"], three["GU_obj.fc.weight"])
