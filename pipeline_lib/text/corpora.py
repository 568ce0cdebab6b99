"""The name of a dataset, or captions → the sentences that token counts and vocabularies are made of, in their order.

Which splits these are, and how many tokens of a sentence a model reads, is MESM's choice (specs: mesm §2): TACoS without
val, QVHighlights without test. Charades-CD and -CG are Charades-STA split anew, and upstream links its files for them.
"""

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from pipeline_lib.annotations import datasets
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.core.errors import UserError
from pipeline_lib.text import sentences


class Corpus(StrEnum):
    """What can be counted: the moment-retrieval datasets, and the captions of this pipeline."""

    CHARADES_STA = "charades_sta"
    CHARADES_CD = "charades_cd"
    CHARADES_CG = "charades_cg"
    TACOS = "tacos"
    QVHIGHLIGHTS = "qvhighlights"
    CAPTIONS = "captions"


CONTEXT = {Corpus.QVHIGHLIGHTS: 32, Corpus.CAPTIONS: 32}  # CLIP tokens with start and end; 16 for the others
_SPLITS = {Dataset.CHARADES_STA: "train,test", Dataset.TACOS: "train,test", Dataset.QVHIGHLIGHTS: "train,val"}
_MASTERS = ("vid2article_master_filtered.json", "vid2article.json")
_CHARADES = ("", "../charades_sta", "../charades/annotations")  # here, beside it as ../shared/data has it, upstream


def texts(corpus: Corpus, annotations: Path, splits: str | None = None) -> Iterator[str]:
    """Sentences in the order that decides between equal counts.

    Args:
        corpus: whose.
        annotations: the dataset's folder; of captions a vid2article file, or a folder that holds one.
        splits: names with commas between them, to count other splits than upstream does.

    Raises:
        UserError: no such split, a file is missing or malformed, or nothing in it has captions.
    """
    if corpus == Corpus.CAPTIONS:
        if splits is not None:
            raise UserError("captions have no splits; leave --splits out")
        return _captions(_master(annotations))
    dataset = Dataset(corpus)
    if splits is None and dataset not in _SPLITS:
        annotations, dataset = _charades_sta(dataset, annotations), Dataset.CHARADES_STA
    names = [name.strip() for name in (_SPLITS[dataset] if splits is None else splits).split(",")]
    if len(set(names)) < len(names):
        raise UserError(f"--splits {splits} names a split twice; give each once")
    return (moment.sentence for name in names for moment in datasets.read(dataset, annotations, name))


def _master(path: Path) -> Path:
    """The vid2article file in a folder; a path that is no folder is the file itself."""
    if not path.is_dir():
        return path
    found = [path / name for name in _MASTERS if (path / name).is_file()]
    if not found:
        raise UserError(f"{path} holds no {' or '.join(_MASTERS)}; give the file itself")
    return found[0]


def _captions(path: Path) -> Iterator[str]:
    entries = sentences.read(path)
    if entries and all(entry.captions is None for entry in entries.values()):
        raise UserError(f"no entry of {path} has captions; give a vid2article file, such as {_MASTERS[0]}")
    return sentences.captions(entries)


def _charades_sta(dataset: Dataset, folder: Path) -> Path:
    """The folder of Charades-STA that belongs to one of -CD or -CG."""
    for place in _CHARADES:
        # Of a link the system's .. is the folder of its target, so what lies beside the link itself comes first.
        for found in (Path(os.path.normpath(folder / place)), folder / place):
            if all((found / name).is_file() for name in datasets.splits(Dataset.CHARADES_STA).values()):
                return found
    raise UserError(
        f"{dataset} is counted over Charades-STA, as MESM does, but its files are neither in {folder} nor in "
        f"{' or '.join(_CHARADES[1:])} from there; put them there, or count the dataset's own sentences with "
        f"--splits {','.join(datasets.splits(dataset))}"
    )
