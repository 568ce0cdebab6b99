"""A trained MILO network with the statistics of its inputs ↔ one safetensors file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.coref import Coref
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref.inputs import Inputs, Moments
from pipeline_lib.coref.model import Dimensions, Net, load_matching

_MOMENTS = "moments."  # prefix of the statistics among the entries; the others are the network's


@dataclass(frozen=True)
class Checkpoint:
    """A network's state, the moments its inputs are standardised with, and what it was chosen by."""

    state: dict[str, Tensor]
    moments: Moments
    about: dict[str, Any]  # epoch, thresholds per protocol, options

    def save(self, path: Path) -> None:
        """Write the file; equal content gives equal bytes."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state.items()}
        tensors |= {_MOMENTS + name: torch.from_numpy(value) for name, value in self.moments._asdict().items()}
        with files.atomic_for_all(path) as temporary:
            save_file(tensors, temporary, metadata={"about": json.dumps(self.about, sort_keys=True)})

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a file that `save` wrote."""
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
                about = json.loads(file.metadata()["about"])
            moments = Moments(**{name: tensors.pop(_MOMENTS + name).numpy() for name in Moments._fields})
        except Exception as error:
            raise UserError(f"{path} is no checkpoint of coref.train ({error}); train again") from None
        return cls(tensors, moments, about)

    def network(self, options: Coref, inputs: Dimensions) -> Net:
        """The network with this state, in evaluation mode.

        Raises:
            UserError: it was trained as another network, or with other inputs.
        """
        trained = self.about.get("options", {}).get("model", {})
        for name in ("dimension", "normalise"):
            wanted = getattr(options.model, name)
            if trained.get(name, wanted) != wanted:
                raise UserError(
                    f"the checkpoint was trained with coref.model.{name} {trained[name]}, not {wanted}; evaluate it with "
                    "the configuration that it was trained with"
                )
        net = Net(inputs, options.model.dimension, options.model.normalise)
        report = load_matching(net, self.state)
        if report.missing or report.misshapen:
            raise UserError(
                f"the checkpoint doesn't fit its inputs ({report}); give the features and words that it was trained with"
            )
        return net.eval()


def dimensions(inputs: Inputs, video_id: str) -> Dimensions:
    """Lengths of the network's inputs, as found in the features of a video."""
    clip = inputs.clip(video_id, 0.0, 0.0)
    return Dimensions(len(clip), inputs.words.matrix.shape[1], inputs.objects(video_id).features.shape[-1])


def options_of(options: Coref) -> dict[str, Any]:
    """The options a checkpoint records."""
    return as_dict(options)
