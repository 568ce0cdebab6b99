import pytest
import torch

from pipeline_lib.core import device
from pipeline_lib.core.errors import UserError
from pipeline_lib.features.extract import prepared


def test_a_gpu_that_cant_be_used_is_one_line(monkeypatch):
    """As CUDA says it, less the advice that follows."""

    def taken(_):
        raise RuntimeError(
            "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might be …"
        )

    monkeypatch.setattr(device, "choose", lambda _: torch.device("cuda", 1))
    monkeypatch.setattr(torch.cuda, "set_device", taken)
    with pytest.raises(UserError) as error:
        prepared("auto", "fp16")
    assert str(error.value) == (
        "cuda:1 can't be used (CUDA error: CUDA-capable device(s) is/are busy or unavailable); "
        "free it, or take another device"
    )


def test_a_cpu_needs_no_look():
    assert prepared("cpu", "bf16") == torch.device("cpu")
    with pytest.raises(UserError, match="needs a GPU"):
        prepared("cpu", "fp16")
