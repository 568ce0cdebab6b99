"""Checkpoint file → tensors, and tensors → a network that has every one of them; nothing in a file is executed."""

from argparse import Namespace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from pipeline_lib.core import pickles
from pipeline_lib.core.errors import UserError, one_line

Net = TypeVar("Net", bound=nn.Module)

#: Keys under which published checkpoints keep the state, tried in order; bare states have none.
_WRAPPERS = ("model", "state_dict", "model_state_dict")


def read(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a .safetensors, .pkl or torch checkpoint, taken out of their wrapper, `module.` prefixes removed.

    Raises:
        UserError: the file is missing, is no checkpoint, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise UserError(
            f"weights {path} are missing; run the rule that makes them, or correct the path; if it is a file that the "
            "configuration names (pretrained), put it there, or set the key to null to train without"
        )
    try:
        content = _content(path)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{path} can't be read as a checkpoint of plain tensors ({one_line(error)}); fetch or make it again"
        ) from None
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors")
    tensors = {key: _tensor(value) for key, value in content.items() if isinstance(value, torch.Tensor | np.ndarray)}
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".pkl":  # detectron2's model zoo: numpy arrays, so not torch's own format
        return pickles.load(path)
    return torch_file(path)


def torch_file(path: Path) -> Any:
    """What torch.save wrote: tensors, plain values and containers of them.

    Raises:
        UserError: it is something else. What torch says of it is left out: it advises to execute what is in the file.
    """
    try:
        # Namespace: options of a command line, which many keep; plain attributes.
        with torch.serialization.safe_globals([Namespace]):
            return torch.load(path, "cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path} can't be read ({one_line(error)}); correct the path") from None
    except Exception:
        raise UserError(
            f"{path} can't be read as a checkpoint of plain tensors: it is no PyTorch checkpoint, is cut off, or holds "
            "other objects too, which are never executed; give the published file, or one with the tensors alone"
        ) from None


def _tensor(value: torch.Tensor | np.ndarray) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), order="C"))  # a copy: a pickle's are read-only


def load(net: Net, path: Path) -> Net:
    """Load every entry, none missing and none left over, and put the network into evaluation mode."""
    try:
        net.load_state_dict(read(path), strict=True)
    except RuntimeError as error:
        raise UserError(
            f"{path} doesn't fit {type(net).__name__}; give a checkpoint of this network and of the size that the options "
            f"say: {one_line(error)}"
        ) from None
    return net.eval()
