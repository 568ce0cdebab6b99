import argparse
import pickle

import pytest
import torch
from tiny import CLASSES, OPTIONS, VIDEO, WORD, batch

from pipeline_lib.config.moments_model import Model
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import model, published
from pipeline_lib.moments.checkpoint import Checkpoint


def net(seed=0, **options):
    return model.initial(OPTIONS.model_copy(update=options), VIDEO, WORD, CLASSES, seed)


@pytest.fixture
def released(tmp_path):
    """As upstream's train.py saves its best: state, optimiser, schedule, epoch and options, a Namespace with a device."""
    network = net(seed=1)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 400, gamma=0.5)
    path = tmp_path / "model_test_best.ckpt"
    content = {
        "model": network.state_dict(),
        "optimizer": optimiser.state_dict(),
        "lr_scheduler": schedule.state_dict(),
        "epoch": 76,
        "opt": argparse.Namespace(lr=2e-4, device=torch.device("cuda"), feat_files=["clip.hdf5"], start_epoch=None),
    }
    torch.save(content, path)
    return path, content


def test_released_checkpoint_loads_whole(released):
    path, content = released
    loaded = net(pretrained=str(path))
    assert all(torch.equal(value, content["model"][name]) for name, value in loaded.state_dict().items())
    example = batch()._replace(targets=None)
    assert torch.equal(loaded.eval()(example).spans, net(seed=1).eval()(example).spans)


def test_text_encoder_is_set_aside(released, caplog):
    path, content = released
    content["model"]["text_encoder.token_embedding.weight"] = torch.zeros(3, 2)
    torch.save(content, path)
    with caplog.at_level("INFO"):
        published.load(net(), path)
    assert "1 entries of the text encoder are set aside" in caplog.text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"share_mlp": False}, "lacks enhance_encoder.t2v_encoder.layers.0.linear1_1.bias"),
        ({"recss": False}, "also holds ss_reconstructor"),
        ({"queries": 5}, r"has query_embed.weight of \(3, 2\), not \(5, 2\)"),
        ({"max_words": 32}, "has txt_position_embed.position_embeddings.weight"),
    ],
)
def test_checkpoint_of_other_options(released, options, reason):
    with pytest.raises(UserError, match=f"doesn't fit MESM: it .*{reason}.*; compare moments.model"):
        net(pretrained=str(released[0]), **options)


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    path = tmp_path / "model.ckpt"
    torch.save({"model": net().state_dict(), "opt": Harmful()}, path)
    with pytest.raises(UserError, match="can't be read as a checkpoint of plain tensors"):
        published.load(net(), path)
    path.write_bytes(pickle.dumps({"model": Harmful()}))
    with pytest.raises(UserError, match="can't be read"):
        published.load(net(), path)
    assert not (tmp_path / "written").exists()


def test_missing_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r"none.ckpt are missing"):
        net(pretrained=str(tmp_path / "none.ckpt"))


def test_saved_and_loaded(tmp_path):
    network = net(seed=3)
    about = {"options": {"model": OPTIONS.model_dump(mode="json"), "data": {}}, "epoch": 4}
    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path in (one, other):
        Checkpoint(network.state_dict(), about).save(path)
    assert one.read_bytes() == other.read_bytes()
    found = Checkpoint.load(one)
    assert found.sizes == (VIDEO, WORD, CLASSES)
    assert found.about == about
    assert found.options == OPTIONS
    example = batch()._replace(targets=None)
    assert torch.equal(found.network()(example).spans, network.eval()(example).spans)


def test_without_words_to_reconstruct(tmp_path):
    options = OPTIONS.model_copy(update={"recfw": False})
    network = model.initial(options, VIDEO, WORD, 0, 0)
    path = tmp_path / "a.safetensors"
    Checkpoint(network.state_dict(), {"options": {"model": options.model_dump(mode="json")}}).save(path)
    assert Checkpoint.load(path).network().options == options


def test_broken_checkpoint(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"not tensors")
    with pytest.raises(UserError, match=r"is no checkpoint of moments.train"):
        Checkpoint.load(path)


def test_heads_must_divide_the_dimension():
    with pytest.raises(ValueError, match="can't be divided among 5 heads"):
        Model(dimension=256, heads=5)
