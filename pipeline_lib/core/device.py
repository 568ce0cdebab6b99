"""`auto | cpu | cuda[:i]` → the torch device to compute on, set up to give the same bytes every time."""

import logging
import os

import torch

from pipeline_lib.core.errors import UserError
from pipeline_lib.core.lease import folder, lease

log = logging.getLogger(__name__)


def choose(device: str = "auto") -> torch.device:
    """The device named: `auto` is a GPU if one is visible, else the CPU; `cuda` a GPU, and an error where there is none.

    Of several GPUs both take the one that fewest processes of this user hold, for the life of this process; `cuda:1` is
    taken at its word. CUDA_VISIBLE_DEVICES, by which SLURM says which GPUs a job may use, is respected by PyTorch itself.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = ("cuda" if count else "cpu") if device == "auto" else device
    try:
        chosen = torch.device(wanted)
    except RuntimeError:
        raise UserError(f"device = {device!r}: use auto, cpu, cuda or cuda:1") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= count:
        raise UserError(f"device = {device!r}: {count} GPUs are visible here; use auto or cpu")
    if chosen.type not in ("cpu", "cuda"):
        raise UserError(f"device = {device!r}: use auto, cpu, cuda or cuda:1")
    if wanted == "cuda":
        chosen = _free_gpu(count)
    if chosen.type == "cpu":
        log.info("computing on the CPU%s", ": PyTorch sees no GPU" if device == "auto" else "")
    else:
        log.info("computing on %s, %s", chosen, torch.cuda.get_device_properties(chosen).name)
    return chosen


def _free_gpu(count: int) -> torch.device:
    """A GPU leased for the life of this process; their UUIDs are the same in all processes, their numbers needn't be."""
    properties = [torch.cuda.get_device_properties(i) for i in range(count)]
    return torch.device("cuda", lease([str(getattr(one, "uuid", i)) for i, one in enumerate(properties)], folder()))


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
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # huge pages: else page faults are a fifth of a big step
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
