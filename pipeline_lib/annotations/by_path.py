"""One annotation file, wherever it lies and whatever its name → its moments; what dataset it is of is told from its content."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline_lib.annotations import charades_cd, charades_cg, charades_sta, qvhighlights, reading, tacos
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.core.errors import UserError

log = logging.getLogger(__name__)

_READERS: dict[Dataset, Callable[[Path, str], list[Moment]]] = {
    Dataset.CHARADES_CD: charades_cd.read_file,
    Dataset.CHARADES_CG: charades_cg.read_file,
    Dataset.TACOS: tacos.read_file,
    Dataset.QVHIGHLIGHTS: qvhighlights.read_file,
}
_TELLING = {  # keys of a video's entry
    Dataset.TACOS: {"timestamps", "sentences", "fps", "num_frames"},
    Dataset.CHARADES_CD: {"timestamps", "sentences", "video_duration"},
    Dataset.CHARADES_CG: {"timestamps", "sentences", "duration"},
}


def read(path: Path, dataset: Dataset | None = None, durations: Path | None = None) -> tuple[Dataset, list[Moment]]:
    """The dataset and the moments of a file, in its order; their split is called by the file's name.

    Args:
        dataset: None: told from the content.
        durations: Charades' CSV for Charades-STA; by default the one beside the file, if there is one.

    Raises:
        UserError: the file is missing or malformed, or nobody can tell what it is.
    """
    path = Path(path)
    if dataset is None:
        dataset = guess(path)
        log.info("%s: read as %s", path, dataset)
    if dataset == Dataset.CHARADES_STA:
        beside = durations or charades_sta.durations_beside(path)
        return dataset, charades_sta.read_file(path, beside, path.stem)
    if durations is not None:
        raise UserError(
            f"only {Dataset.CHARADES_STA} needs a file of durations, and {path} is of {dataset}; leave it out"
        )
    return dataset, _READERS[dataset](path, path.stem)


def guess(path: Path) -> Dataset:
    """What dataset a file is of, by its first line or its first entry."""
    content = reading.text(path)
    first = next((line for line in content.split("\n") if line.strip()), "")
    if "##" in first and not first.lstrip().startswith("{"):
        return Dataset.CHARADES_STA
    line = _json(first)
    if isinstance(line, dict) and "qid" in line:
        return Dataset.QVHIGHLIGHTS
    videos = _json(content)
    entry = next(iter(videos.values()), None) if isinstance(videos, dict) else None
    if isinstance(entry, dict):
        for dataset, keys in _TELLING.items():
            if keys <= entry.keys():
                return dataset
    raise UserError(
        f"{path} looks like no annotation file of {', '.join(Dataset)}; give the right file, or --dataset to be told what is "
        "wrong with it"
    )


def _json(content: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
