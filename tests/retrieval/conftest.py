"""Published relevance judgements with many positives, out of a package of the index."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline_lib.collect import films
from pipeline_lib.core.errors import UserError

CACHE = Path(__file__).parents[2] / ".cache" / "oracles"
WHEEL = "eccv_caption-0.1.0-py3-none-any.whl"
SHA256 = "c043cb27df5bca26d1870bba0363fe722ef8eaddf72590c1b7598a6d24eb1351"


@pytest.fixture(scope="session")
def many_positives() -> np.ndarray:
    """ECCV Caption (Chun et al., ECCV 2022): (1332 texts, images) of 0 and 1, some eight images for a text, judged by people."""
    try:
        path = films.download(films.Package("eccv-caption==0.1.0", WHEEL), CACHE)
    except UserError as error:
        pytest.skip(str(error))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, f"{path} is another file; delete it"
    with zipfile.ZipFile(path) as wheel:
        relevant = json.loads(wheel.read("eccv_caption/data/eccv_caption_to_image.json"))
    images = sorted({image for found in relevant.values() for image in found})
    place = {image: j for j, image in enumerate(images)}
    relevance = np.zeros((len(relevant), len(images)))
    for row, found in zip(relevance, relevant.values(), strict=True):
        row[[place[image] for image in found]] = 1
    return relevance
