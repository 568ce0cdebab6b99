"""A weights name or path of the configuration → the checkpoint file it stands for, its licence and its sha256.

A sha256 that its publisher doesn't give is pinned in `weights.lock` (JSON {name: sha256}) at first use and enforced after.
"""

from dataclasses import dataclass
from pathlib import Path

import pooch
from filelock import FileLock

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, one_line

UNTRAINED = "untrained"


@dataclass(frozen=True)
class Published:
    """Weights that others have published; `url` None means that the user supplies the file by its path."""

    network: str
    name: str
    file: str
    licence: str
    url: str | None = None
    sha256: str | None = None


REGISTRY = {
    (known.network, known.name): known
    for known in (
        Published(
            "s3d",
            "howto100m",
            "s3d_howto100m.pth",
            "Apache-2.0",
            "https://www.rocq.inria.fr/cluster-willow/amiech/howto100m/s3d_howto100m.pth",
        ),
        Published("objects", "visual_genome", "faster_rcnn_res101_vg.pth", "MIT"),
        Published(
            "resnet152",
            "imagenet",
            "resnet152-394f9c45.pth",
            "BSD-3-Clause",
            "https://download.pytorch.org/models/resnet152-394f9c45.pth",
        ),
        Published(
            "resnext101",
            "kinetics",
            "resnext101.pth",
            "Apache-2.0",
            "https://www.rocq.inria.fr/cluster-willow/amiech/howto100m/models/resnext101.pth",
        ),
        Published("clip", "openai", "open_clip_model.safetensors of timm/vit_base_patch32_clip_224.openai", "MIT"),
    )
}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk, verified."""

    path: Path
    name: str
    licence: str
    sha256: str


def locate(network: str, wanted: str, cache: Path, lock: Path) -> Checkpoint:
    """The checkpoint behind `wanted`, a path or a name of the registry; downloaded to `cache` when it is not there.

    Raises:
        UserError: unknown name, missing file, failed download, wrong sha256.
    """
    known = REGISTRY.get((network, wanted))
    if known and known.url:
        path = _fetched(known, known.url, cache)
        return Checkpoint(path, known.name, known.licence, _pinned(f"{network}/{known.name}", path, lock))
    path = Path(wanted)
    if known or not path.is_file():
        names = [name for net, name in REGISTRY if net == network and REGISTRY[net, name].url]
        supplied = f" ({known.file} is not offered for download: set its path)" if known else ""
        raise UserError(
            f"weights.{network} = {wanted!r}: no such file{supplied}; give the path of a checkpoint, "
            f"{' or '.join([UNTRAINED, *names])}"
        )
    return Checkpoint(path, path.name, "as its owner says", files.sha256(path))


def _fetched(known: Published, url: str, cache: Path) -> Path:
    """The file in `cache`, downloaded if it is not there."""
    try:
        return Path(pooch.retrieve(url, known_hash=known.sha256, fname=known.file, path=cache, progressbar=False))
    except (OSError, ValueError) as error:  # the latter of another sha256 than the known one
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not the network's (requests)
            raise
        raise UserError(
            f"{url} can't be downloaded; try again later, put the file at {cache / known.file}, or set "
            f"weights.{known.network} to the path of a copy ({one_line(error)})"
        ) from None


def _pinned(name: str, path: Path, lock: Path) -> str:
    digest = files.sha256(path)
    with FileLock(path.parent / ".pins.lock"):  # jobs of several networks pin at once
        pins: dict[str, str] = files.read_json(lock) if lock.exists() else {}
        if name not in pins:
            files.write_json(lock, {**pins, name: digest})
    if pins.get(name, digest) != digest:
        raise UserError(
            f"{path} has sha256 {digest}, but {lock} pins {pins[name]} for {name}; "
            "delete the file to fetch it again, or the pin if the new weights are wanted"
        )
    return digest
