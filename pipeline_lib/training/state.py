"""Training in progress ↔ files that a killed run resumes from."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline_lib.core import files

log = logging.getLogger(__name__)

LAST = "last.pt"


@dataclass
class Progress:
    """How far training is: `step` optimiser steps of `epoch` are done.

    Attributes:
        sums, batches: losses added up over the epoch's batches so far, and the number of those.
        rows: a log row per finished epoch.
        best, best_value: epoch with the best validation, and its value; -1 before there is one.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    batches: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    best: int = -1
    best_value: float = float("-inf")


def digest(key: Mapping[str, Any]) -> str:
    """What a state belongs to, as a hash: a state of other options, inputs or code is not resumed from."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


class States:
    """The folder of one training's state: `last.pt` (everything) and `best_<epoch>.pt` (the chosen network)."""

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        self.folder, self.key = folder, digest(key)

    def save(self, progress: Progress, parts: Mapping[str, Any]) -> None:
        """Write `last.pt`, then forget networks that it doesn't name as the best."""
        self._write(self.folder / LAST, {"key": self.key, "progress": asdict(progress), **parts})
        for path in self.folder.glob("best_*.pt"):
            if path.name != f"best_{progress.best}.pt":
                path.unlink()

    def save_best(self, epoch: int, state: Mapping[str, Tensor]) -> None:
        """Write the network of an epoch that is better than those before; it counts once `save` names it."""
        self._write(self.folder / f"best_{epoch}.pt", {"key": self.key, "state": dict(state)})

    def best(self, epoch: int) -> dict[str, Tensor]:
        """The network that `save_best` wrote."""
        content = self._read(self.folder / f"best_{epoch}.pt")
        if content is None:
            raise FileNotFoundError(self.folder / f"best_{epoch}.pt")
        return content["state"]

    def load(self) -> tuple[Progress, dict[str, Any]] | None:
        """What `save` wrote, or None where there is nothing of this key, or nothing whole."""
        content = self._read(self.folder / LAST)
        if content is None:
            return None
        progress = Progress(**content.pop("progress"))
        if progress.best >= 0 and self._read(self.folder / f"best_{progress.best}.pt") is None:
            return None
        return progress, content

    def clear(self) -> None:
        """Delete all state, and what killed writers left."""
        if self.folder.is_dir():
            files.remove_partials(self.folder)
            for path in (self.folder / LAST, *self.folder.glob("best_*.pt")):
                path.unlink(missing_ok=True)

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        with files.atomic(path) as temporary:
            torch.save(content, temporary)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception as error:
            log.warning("%s can't be read (%s); training starts again", path, error)
            return None
        if content.get("key") != self.key:
            log.info("%s is of other options, inputs or code; training starts again", path)
            return None
        return content
