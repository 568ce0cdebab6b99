"""QVHighlights: a JSON object per line → moments with several windows and saliency scores.

Lei, Berg, Bansal, "QVHighlights: detecting moments and highlights in videos via natural language queries" (NeurIPS 2021).
The test split has no windows and no scores. Queries keep the dataset's own numbers.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from pipeline_lib.annotations import reading
from pipeline_lib.annotations.moment import Moment

SPLITS = {
    "train": "highlight_train_release.jsonl",
    "val": "highlight_val_release.jsonl",
    "test": "highlight_test_release.jsonl",
    "val_object": "highlight_val_object.jsonl",
}
_EXPECTED = "{qid, query, duration, vid}, outside test with relevant_clip_ids, saliency_scores and relevant_windows"
_LONGEST = 7 * 86_400.0  # seconds of a video whose clips are scored: each clip takes memory when it is measured
_Score = Annotated[int, Field(ge=0, le=4)]


class _Query(BaseModel):
    qid: int
    query: str
    duration: float = Field(gt=0, allow_inf_nan=False)
    vid: str
    relevant_clip_ids: list[Annotated[int, Field(ge=0)]] = []
    saliency_scores: list[Annotated[tuple[_Score, ...], Field(min_length=1)]] = []
    relevant_windows: list[tuple[FiniteFloat, FiniteFloat]] = []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.relevant_clip_ids) != len(self.saliency_scores):
            raise ValueError(f"{len(self.saliency_scores)} scores for {len(self.relevant_clip_ids)} clips")
        if len(people := {len(scores) for scores in self.saliency_scores}) > 1:
            raise ValueError(f"scores of {min(people)} people for one clip, of {max(people)} for another")
        if self.relevant_clip_ids and self.duration > _LONGEST:
            raise ValueError(f"scored clips of a video of {self.duration:g} s, which is more than a week")
        for start, end in self.relevant_windows:
            if not 0 <= start <= end <= self.duration:
                raise ValueError(f"window [{start:g}, {end:g}] outside the {self.duration:g} s of the video")
        return self


def read(folder: Path, split: str) -> list[Moment]:
    """The queries of a split, in the order of the file."""
    return read_file(folder / SPLITS[split], split, secret=split == "test")


def read_file(path: Path, split: str, secret: bool = True) -> list[Moment]:
    """The same of a file of any name; `secret`: a query may lack windows."""
    moments = []
    for number, line in reading.lines(path):
        query = reading.checked(_Query, reading.parsed(line, path, number, _EXPECTED), path, number, _EXPECTED)
        if not secret and not query.relevant_windows:
            raise reading.wrong(path, number, "no relevant_windows", _EXPECTED)
        moments.append(
            Moment(
                query.vid,
                query.qid,
                query.query,
                tuple(query.relevant_windows),
                query.duration,
                split,
                tuple(query.relevant_clip_ids),
                tuple(query.saliency_scores),
            )
        )
    reading.report(path, len(moments), 0, "")
    return moments
