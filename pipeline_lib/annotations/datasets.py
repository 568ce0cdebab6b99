"""A dataset's name, its folder and a split → its moments: the one way into the readers of this package."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from pipeline_lib.annotations import charades_cd, charades_cg, charades_sta, qvhighlights, tacos
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.core.errors import UserError


class Dataset(StrEnum):
    """The datasets of moment retrieval that can be read."""

    CHARADES_STA = "charades_sta"
    CHARADES_CD = "charades_cd"
    CHARADES_CG = "charades_cg"
    TACOS = "tacos"
    QVHIGHLIGHTS = "qvhighlights"


_Reader = tuple[dict[str, str], Callable[[Path, str], list[Moment]]]
_READERS: dict[Dataset, _Reader] = {
    Dataset.CHARADES_STA: (charades_sta.SPLITS, charades_sta.read),
    Dataset.CHARADES_CD: (charades_cd.SPLITS, charades_cd.read),
    Dataset.CHARADES_CG: (charades_cg.SPLITS, charades_cg.read),
    Dataset.TACOS: (tacos.SPLITS, tacos.read),
    Dataset.QVHIGHLIGHTS: (qvhighlights.SPLITS, qvhighlights.read),
}


def splits(dataset: Dataset) -> dict[str, str]:
    """Each split's name and the file that holds it."""
    return _READERS[dataset][0]


def files(dataset: Dataset, folder: Path, split: str) -> list[Path]:
    """What a split is read from; nothing if the dataset has no such split."""
    durations = charades_sta.DURATIONS if dataset == Dataset.CHARADES_STA else {}
    return [Path(folder, names[split]) for names in (splits(dataset), durations) if split in names]


def read(dataset: Dataset, folder: Path, split: str) -> list[Moment]:
    """The moments of a split, in the order of its file.

    Raises:
        UserError: no such split, no such file, or a malformed line.
    """
    names, reader = _READERS[dataset]
    if split not in names:
        raise UserError(f"{dataset} has no split {split!r}; choose from {', '.join(names)}")
    return reader(Path(folder), split)
