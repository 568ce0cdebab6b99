"""Published relevance judgements with many positives, out of a package of the index."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

CACHE = Path(__file__).parents[2] / ".cache" / "oracles"
WHEEL = "eccv_caption-0.1.0-py3-none-any.whl"
SHA256 = "c043cb27df5bca26d1870bba0363fe722ef8eaddf72590c1b7598a6d24eb1351"


@pytest.fixture(scope="session")
def many_positives() -> np.ndarray:
    """ECCV Caption (Chun et al., ECCV 2022): (1332 texts, images) of 0 and 1, some eight images for a text, judged by people."""
    path = CACHE / WHEEL
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "-q",
            "--disable-pip-version-check",
            "download",
            "--no-deps",
            "--retries",
            "0",
        ]
        result = subprocess.run(
            [*pip, "--dest", str(CACHE), "eccv-caption==0.1.0"], capture_output=True, text=True, check=False
        )
        if not path.exists():
            pytest.skip(f"eccv-caption can't be downloaded: {result.stderr.strip().splitlines()[-1:]}")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, f"{path} is another file; delete it"
    with zipfile.ZipFile(path) as wheel:
        relevant = json.loads(wheel.read("eccv_caption/data/eccv_caption_to_image.json"))
    images = sorted({image for found in relevant.values() for image in found})
    place = {image: j for j, image in enumerate(images)}
    relevance = np.zeros((len(relevant), len(images)))
    for row, found in zip(relevance, relevant.values(), strict=True):
        row[[place[image] for image in found]] = 1
    return relevance
