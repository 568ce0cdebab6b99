"""Charades-CD: {video: {timestamps, sentences, video_duration}} per split → moments.

Yuan et al., "A closer look at temporal sentence grounding in videos: dataset and metric" (HUMA 2021): Charades-STA, split so
that in `test_ood` moments lie elsewhere in the video than in training. Queries are numbered from 1, in file order.
"""

from pathlib import Path

from pydantic import Field

from pipeline_lib.annotations import charades
from pipeline_lib.annotations.moment import Moment

SPLITS = {
    "train": "charades_train.json",
    "val": "charades_val.json",
    "test_iid": "charades_test_iid.json",
    "test_ood": "charades_test_ood.json",
}
_EXPECTED = "{timestamps: [[start, end]], sentences: [text], video_duration}, in seconds"


class _Video(charades.Video):
    duration: float = Field(gt=0, allow_inf_nan=False, alias="video_duration")


def read(folder: Path, split: str) -> list[Moment]:
    """The sentences of a split, in the order of the file, without those that start after their video has ended."""
    return read_file(folder / SPLITS[split], split)


def read_file(path: Path, split: str) -> list[Moment]:
    """The same of a file of any name."""
    return charades.read(path, split, _Video, _EXPECTED)
