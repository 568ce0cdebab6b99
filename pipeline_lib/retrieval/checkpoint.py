"""A trained HGR with its vocabulary and the moments of its features ↔ one safetensors file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline_lib.config.retrieval import Retrieval
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, explain, one_line
from pipeline_lib.retrieval import texts
from pipeline_lib.retrieval.frames import Moments
from pipeline_lib.retrieval.model import HGR
from pipeline_lib.retrieval.texts import Vocabulary

_MOMENTS = "moments."  # prefix of the statistics among the entries; the others are the network's
_FEATURES = "video_encoder.level_embeds.0.weight"


@dataclass(frozen=True)
class Checkpoint:
    """A network and what it reads with.

    Attributes:
        moments: by which features are standardised; None: they go in as they are.
        about: epoch, scores on val, options of the section `retrieval`.
    """

    state: dict[str, Tensor]
    vocabulary: Vocabulary
    moments: Moments | None
    about: dict[str, Any]

    @property
    def options(self) -> Retrieval:
        """The section it was trained with."""
        return Retrieval.model_validate(self.about["options"])

    @property
    def columns(self) -> int:
        """Length of a frame's features."""
        return int(self.state[_FEATURES].shape[1])

    def require(self, columns: int, name: str) -> None:
        """Features of so many columns are what this network, which is called `name`, was trained with; or else a UserError."""
        if columns != self.columns:
            raise UserError(
                f"the features have {columns} columns, {name} was trained with {self.columns}; give --features as in training"
            )

    def save(self, path: Path) -> None:
        """Write the file; equal content gives equal bytes."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state.items()}
        if self.moments is not None:
            tensors |= {_MOMENTS + name: torch.from_numpy(value) for name, value in self.moments._asdict().items()}
        metadata = {
            "about": json.dumps(self.about, sort_keys=True),
            "vocabulary": json.dumps(self.vocabulary, ensure_ascii=True, separators=(",", ":")),
        }
        with files.atomic_for_all(path) as temporary:
            save_file(tensors, temporary, metadata=metadata)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a file that `save` wrote."""
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
                about, vocabulary = (json.loads(file.metadata()[name]) for name in ("about", "vocabulary"))
            parts = {name: tensors.pop(_MOMENTS + name, None) for name in Moments._fields}
            moments = None if None in parts.values() else Moments(*(value.numpy() for value in parts.values()))
            found = cls(tensors, vocabulary, moments, about)
            found.options, found.columns  # noqa: B018 (another task's file has none)
        except Exception as error:
            why = explain(error) if isinstance(error, ValidationError) else error
            raise UserError(
                one_line(f"{path} is no checkpoint of retrieval.train ({why}); train again, or correct the path")
            ) from None
        return found

    def network(self) -> HGR:
        """The network with this state, in evaluation mode."""
        net = HGR(self.columns, texts.size(self.vocabulary), self.options.model)
        net.load_state_dict(self.state)
        return net.eval()
