"""What decides a feature's values → the eight hex digits that name it in folders, ledgers and HDF5 files."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from pipeline_lib.core.fingerprint import fingerprint


@dataclass(frozen=True)
class Spec:
    """Sampling, preprocessing and weights of one stage, and the code that applies them."""

    stage: str
    options: dict[str, Any] = field(default_factory=dict)
    weights: str = ""  # sha256 of the weights file, "" when the stage has none
    code: str = ""

    @classmethod
    def of(cls, stage: str, module: str, options: dict[str, Any], weights: str = "") -> "Spec":
        """The spec of `stage` as implemented by `module` (dotted name) with these options."""
        return cls(stage, options, weights, fingerprint(module))

    def json(self) -> str:
        """The spec as canonical JSON: what is hashed, and what HDF5 files carry."""
        content = {"stage": self.stage, "options": self.options, "weights": self.weights, "code": self.code}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def id(self) -> str:
        """First eight hex digits of the sha256 of the canonical JSON."""
        return hashlib.sha256(self.json().encode()).hexdigest()[:8]
