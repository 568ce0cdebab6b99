"""Charades-CG: {video: {timestamps, sentences, duration}} per split → moments.

Li et al., "Compositional temporal grounding with structured variational cross-graph correspondence learning" (CVPR
2022): Charades-STA, split so that `novel_composition` combines known words anew and `novel_word` has unknown ones.
Queries are numbered from 1, in file order.
"""

from pathlib import Path

from pipeline_lib.annotations import charades
from pipeline_lib.annotations.moment import Moment

SPLITS = {
    "train": "train.json",
    "novel_composition": "novel_composition.json",
    "novel_word": "novel_word.json",
    "test_trivial": "test_trivial.json",
}
_EXPECTED = "{timestamps: [[start, end]], sentences: [text], duration}, in seconds"


def read(folder: Path, split: str) -> list[Moment]:
    """The sentences of a split, in the order of the file, without those that start after their video has ended."""
    return read_file(folder / SPLITS[split], split)


def read_file(path: Path, split: str) -> list[Moment]:
    """The same of a file of any name."""
    return charades.read(path, split, charades.Video, _EXPECTED)
