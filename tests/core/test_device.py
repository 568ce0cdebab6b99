import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from pipeline_lib.core import device
from pipeline_lib.core.errors import UserError


def test_choice(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert device.choose("auto") == device.choose("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="0 GPUs are visible"):
        device.choose("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=f"GPU-{i}"))
    monkeypatch.setattr(device, "folder", lambda: tmp_path)
    assert [device.choose("auto").index for _ in range(3)] == [0, 1, 0] and device.choose("cuda:1").index == 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device.choose("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="2 GPUs are visible"):
        device.choose("cuda:2")
    for wrong in ("gpu", "meta", ""):
        with pytest.raises(UserError, match="use auto, cpu, cuda"):
            device.choose(wrong)


def test_deterministic_fixes_the_threads():
    device.deterministic()
    assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()


HOLD = """
import sys, time
from pathlib import Path
from pipeline_lib.core.lease import lease
print(lease(["a", "b"], Path(sys.argv[1])), flush=True)
sys.stdin.readline()
"""


def test_processes_spread_over_gpus_and_a_killed_one_frees_its_own(tmp_path):
    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return process, int(process.stdout.readline())

    held = [start() for _ in range(5)]
    try:
        assert [gpu for _, gpu in held] == [0, 1, 0, 1, 0]
        held[1][0].kill()
        held[1][0].wait()
        held.append(start())
        assert held[-1][1] == 1
    finally:
        for process, _ in held:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def test_precisions():
    cpu = torch.device("cpu")
    assert device.dtype("bf16", cpu) is torch.bfloat16 and device.dtype("fp16", torch.device("cuda")) is torch.float16
    with pytest.raises(UserError, match="needs a GPU"):
        device.dtype("fp16", cpu)
    with pytest.raises(UserError, match="use fp32"):
        device.dtype("fp8", cpu)
