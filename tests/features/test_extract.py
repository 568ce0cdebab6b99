from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_lib.core import device
from pipeline_lib.core.errors import ItemError, Reason, UserError
from pipeline_lib.core.items import Item
from pipeline_lib.features.extract import Extractor, Work, _write, prepared

ITEM = Item("v", {}, Path("v.mp4"), "")


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


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_no_numbers_are_a_reason_and_never_a_file(tmp_path, bad):
    plain = Extractor("x", "x", {}, 1, Work(units=lambda *_: iter(()), forward=lambda batch: batch))
    rows = [np.float32([1, 2]), np.float32([bad, 4])]
    with pytest.raises(ItemError) as error:
        _write(ITEM, rows, plain, tmp_path / "v.npy")
    assert error.value.reason == Reason.NOT_FINITE and not (tmp_path / "v.npy").exists()
    assert _write(ITEM, rows[:1], plain, tmp_path / "v.npy") == 1
    assert np.load(tmp_path / "v.npy").tolist() == [[1, 2]]
    with pytest.raises(ItemError, match="no frame"):
        _write(ITEM, [], plain, tmp_path / "v.npy")
