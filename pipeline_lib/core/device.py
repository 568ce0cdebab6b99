"""`auto | cpu | cuda[:i]` → the torch device to compute on, set up to give the same bytes every time."""

import os

import torch

from pipeline_lib.core.errors import UserError
from pipeline_lib.core.lease import folder, lease


def choose(device: str = "auto") -> torch.device:
    """The device named, or with `auto` a GPU if there is one, else the CPU. Asking for a missing GPU is an error.

    Of several visible GPUs `auto` takes the one that fewest processes of this user hold.
    """
    if device == "auto":
        device = _free_gpu() if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UserError(f"device = {device!r}: use auto, cpu, cuda or cuda:1") from None
    if chosen.type == "cuda" and (not torch.cuda.is_available() or (chosen.index or 0) >= torch.cuda.device_count()):
        raise UserError(f"device = {device!r}: {torch.cuda.device_count()} GPUs are visible here; use auto or cpu")
    if chosen.type not in ("cpu", "cuda"):
        raise UserError(f"device = {device!r}: use auto, cpu, cuda or cuda:1")
    return chosen


def _free_gpu() -> str:
    """A GPU leased for the life of this process; their UUIDs are the same in all processes, their numbers needn't be."""
    count = torch.cuda.device_count()
    if count < 2:
        return "cuda"
    properties = [torch.cuda.get_device_properties(i) for i in range(count)]
    return f"cuda:{lease([str(getattr(one, 'uuid', i)) for i, one in enumerate(properties)], folder())}"


def dtype(precision: str, device: torch.device) -> torch.dtype:
    """fp32 | bf16 | fp16 → torch's type. fp16 on a CPU is an error: it is neither fast nor complete there."""
    known = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in known:
        raise UserError(f"precision = {precision!r}: use {', '.join(known)}")
    if precision == "fp16" and device.type == "cpu":
        raise UserError("precision = 'fp16' needs a GPU; use bf16 or fp32 on a CPU")
    return known[precision]


def deterministic(threads: int = 1) -> None:
    """Make torch give the same bytes on every run: fixed number of CPU threads, deterministic kernels, no TF32.

    Sums over several CPU threads depend on how many there are, so parallel work is done by processes (one per shard).
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
