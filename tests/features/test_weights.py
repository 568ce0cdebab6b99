import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline_lib.core import checkpoint, device
from pipeline_lib.core.errors import UserError
from pipeline_lib.features import weights


def test_untrained_weights_are_the_same_bytes_and_say_so(tmp_path):
    device.deterministic()
    about = [weights.prepare("s3d", "untrained", 0, tmp_path / name, tmp_path, tmp_path / "lock") for name in "ab"]
    assert about[0]["sha256"] == about[1]["sha256"] and about[0]["trained"] is False and "untrained" in about[0]["name"]
    other = weights.prepare("s3d", "untrained", 1, tmp_path / "c", tmp_path, tmp_path / "lock")
    assert other["sha256"] != about[0]["sha256"]
    path = tmp_path / "published.pth"
    torch.save({"state_dict": {f"module.{k}": v for k, v in load_file(tmp_path / "a").items()}}, path)
    again = weights.prepare("s3d", str(path), 0, tmp_path / "d", tmp_path, tmp_path / "lock")
    assert again["sha256"] == about[0]["sha256"] and again["trained"] is True and again["name"] == "published.pth"


def test_wrong_checkpoints_are_refused_with_their_name(tmp_path):
    net = nn.Linear(2, 1)
    with pytest.raises(UserError, match=r"a\.pth are missing"):
        checkpoint.load(net, tmp_path / "a.pth")
    save_file({"weight": torch.zeros(1, 2)}, tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=r"b\.safetensors doesn't fit Linear; give a checkpoint .*: .*bias"):
        checkpoint.load(net, tmp_path / "b.safetensors")
    torch.save([1, 2], tmp_path / "c.pth")
    with pytest.raises(UserError, match="holds a list"):
        checkpoint.load(net, tmp_path / "c.pth")
    (tmp_path / "d.pth").write_text("<html>")
    with pytest.raises(UserError, match=r"d\.pth can't be read"):
        checkpoint.load(net, tmp_path / "d.pth")


class Evil:
    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return (open, (str(self.sentinel), "w"))


def test_a_malicious_checkpoint_executes_nothing(tmp_path):
    sentinel = tmp_path / "executed"
    for name, write in (("plain.pth", pickle.dump), ("torch.pth", torch.save)):
        with open(tmp_path / name, "wb") as stream:
            write({"weight": Evil(sentinel)}, stream)
        with pytest.raises(UserError, match="can't be read"):
            checkpoint.read(tmp_path / name)
    assert not sentinel.exists()
