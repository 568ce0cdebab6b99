import pytest
import torch

from pipeline_lib.core import device
from pipeline_lib.core.errors import UserError


def test_choice(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert device.choose("auto") == device.choose("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="0 GPUs are visible"):
        device.choose("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.choose("auto") == torch.device("cuda") and device.choose("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match="2 GPUs are visible"):
        device.choose("cuda:2")
    for wrong in ("gpu", "meta", ""):
        with pytest.raises(UserError, match="use auto, cpu, cuda"):
            device.choose(wrong)


def test_deterministic_fixes_the_threads():
    device.deterministic()
    assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
