"""`auto | cpu | cuda[:i]` → the torch device to compute on, set up to give the same bytes every time."""

import os

import torch

from pipeline_lib.core.errors import UserError


def choose(device: str = "auto") -> torch.device:
    """The device named, or with `auto` the first GPU if there is one, else the CPU. Asking for a missing GPU is an error."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UserError(f"device = {device!r}: use auto, cpu, cuda or cuda:1") from None
    if chosen.type == "cuda" and (not torch.cuda.is_available() or (chosen.index or 0) >= torch.cuda.device_count()):
        raise UserError(f"device = {device!r}: {torch.cuda.device_count()} GPUs are visible here; use auto or cpu")
    if chosen.type not in ("cpu", "cuda"):
        raise UserError(f"device = {device!r}: use auto, cpu, cuda or cuda:1")
    return chosen


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
