"""Configuration, weights and this machine → the record that every result carries of how it was made."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import pipeline_lib

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "av",
    "h5py",
    "pyarrow",
    "open_clip_torch",
    "scikit-learn",
    "snakemake",
)


def record(config: Any, *, specs: dict[str, Any], weights: dict[str, Any], device: str) -> dict[str, Any]:
    """Provenance of a result: hash of the configuration, code version, specs, weights, package versions, device."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return {
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "code": {"version": pipeline_lib.__version__, "commit": commit()},
        "specs": specs,
        "weights": weights,
        "packages": versions(),
        "device": device,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide numbers."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def commit() -> str | None:
    """Git commit of the checkout this package runs from, with `+` when files differ from it; None outside a checkout."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout.strip()
