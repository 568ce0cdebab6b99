"""A checkpoint of MESM, upstream's .ckpt or ours → a network that has every entry of it; nothing in it is executed."""

import logging
from pathlib import Path

from torch import nn

from pipeline_lib.core import checkpoint
from pipeline_lib.core.errors import UserError, one_line

log = logging.getLogger(__name__)

_ELSEWHERE = "text_encoder."  # frozen: words are vectors before they come to the network


def load(net: nn.Module, path: Path) -> None:
    """Load every entry, none missing and none left over; the text encoder's are set aside.

    Raises:
        UserError: no such file, no checkpoint, or one of a network with other options.
    """
    state = checkpoint.read(path)
    own = {name: value for name, value in state.items() if not name.startswith(_ELSEWHERE)}
    if len(own) < len(state):
        log.info("%s: %d entries of the text encoder are set aside", path, len(state) - len(own))
    expected = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in own.items()}
    said = [
        f"{what} {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
        for what, names in (("lacks", sorted(expected.keys() - found)), ("also holds", sorted(found.keys() - expected)))
        if names
    ]
    said += [
        f"has {name} of {found[name]}, not {shape}"
        for name, shape in expected.items()
        if found.get(name, shape) != shape
    ][:3]
    if said:
        raise UserError(
            one_line(f"{path} doesn't fit MESM: it {' and '.join(said)}; compare moments.model with its options", 600)
        )
    net.load_state_dict(own)
