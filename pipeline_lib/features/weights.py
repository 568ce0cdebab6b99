"""untrained | registry name | checkpoint path → one safetensors file of a network, and a JSON that says what it is."""

import importlib
import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from safetensors.torch import save_file
from torch import nn

from pipeline_lib.core import arguments, checkpoint, cli, device, files, weights
from pipeline_lib.core.errors import UserError
from pipeline_lib.features.networks import NETWORKS

log = logging.getLogger(__name__)


def prepare(
    network: str,
    wanted: str,
    seed: int,
    out: Path,
    cache: Path,
    lock: Path,
    architecture: str | None = None,
    variant: str | None = None,
) -> dict[str, Any]:
    """Write the weights of `network` to `out` and return what they are.

    Args:
        architecture: key of NETWORKS where it isn't `network`.
        variant: what its module builds, where it can build several things.
    """
    module = importlib.import_module(NETWORKS[architecture or network])
    which = [variant] if variant else []
    about: dict[str, Any]
    net: nn.Module
    if wanted == weights.UNTRAINED:
        net = module.untrained(seed, *which)
        about = {"name": f"untrained (seed {seed})", "licence": "none"}
    else:
        found = weights.locate(network, wanted, cache, lock)
        net = checkpoint.load(module.build(*which), found.path)
        about = {"name": found.name, "licence": found.licence, "origin": found.path.name, "origin_sha256": found.sha256}
    with files.atomic_for_all(out) as temporary:
        save_file({key: value.contiguous() for key, value in net.state_dict().items()}, temporary)
    return {"network": network, "trained": wanted != weights.UNTRAINED, "sha256": files.sha256(out), **about}


def main(
    network: Annotated[str, typer.Option(help=" | ".join(NETWORKS))],
    out: Annotated[Path, typer.Option(help="safetensors file to write; a .json beside it says what it is")],
    wanted: Annotated[str, typer.Option("--weights", help="untrained | registry name | path")] = weights.UNTRAINED,
    architecture: Annotated[str | None, typer.Option(help="where it isn't the network's only one: objects_d2")] = None,
    variant: Annotated[str | None, typer.Option(help="of clip: a model of open_clip")] = None,
    seed: arguments.Seed = 0,
    cache: Annotated[Path, typer.Option(help="folder for downloads")] = Path(".cache/weights"),
    lock: Annotated[Path, typer.Option(help="file of pinned sha256")] = Path("weights.lock"),
) -> None:
    """Make a network's weights ready: build and calibrate untrained ones, or verify and convert a checkpoint."""
    if network not in NETWORKS:
        raise UserError(f"--network {network!r}: choose one of {', '.join(NETWORKS)}")
    if (architecture or network) not in NETWORKS:
        raise UserError(f"--architecture {architecture!r}: choose one of {', '.join(NETWORKS)}")
    device.deterministic()
    about = prepare(network, wanted, seed, out, cache, lock, architecture, variant)
    files.write_json(out.with_suffix(".json"), about)
    log.info("%s", json.dumps(about))


if __name__ == "__main__":
    cli.run(main)
