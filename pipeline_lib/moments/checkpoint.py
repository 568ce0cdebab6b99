"""A trained MESM with what it was trained with ↔ one safetensors file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline_lib.config.moments_model import Model
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.moments.model import Net

_ROW, _WORD, _CLASS = (
    "input_vid_proj.0.LayerNorm.weight",
    "input_txt_proj.0.LayerNorm.weight",
    "output_txt_proj.1.weight",
)


@dataclass(frozen=True)
class Checkpoint:
    """A network's entries and their story.

    Attributes:
        about: plain values, among them `options`: the section `moments` with `model`.
    """

    state: dict[str, Tensor]
    about: dict[str, Any]

    @property
    def options(self) -> Model:
        """Of the network."""
        return Model.model_validate(self.about["options"]["model"])

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Length of a row, length of a word, classes of words."""
        return len(self.state[_ROW]), len(self.state[_WORD]), len(self.state.get(_CLASS, ()))

    def save(self, path: Path) -> None:
        """Write the file; equal content gives equal bytes."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state.items()}
        with files.atomic_for_all(path) as temporary:
            save_file(tensors, temporary, metadata={"about": json.dumps(self.about, sort_keys=True)})

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a file that `save` wrote.

        Raises:
            UserError: it isn't one.
        """
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
                found = cls(tensors, json.loads(file.metadata()["about"]))
            _ = found.options, found.sizes
        except Exception as error:
            raise UserError(
                one_line(f"{path} is no checkpoint of moments.train ({error}); train again, or correct the path")
            ) from None
        return found

    def network(self) -> Net:
        """The network with this state, in evaluation mode."""
        with torch.random.fork_rng(devices=[]):
            net = Net(self.options.model_copy(update={"pretrained": None}), *self.sizes)
        net.load_state_dict(self.state)
        return net.eval()
