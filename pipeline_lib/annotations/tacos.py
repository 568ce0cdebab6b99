"""TACoS: {video: {timestamps in frames, sentences, fps, num_frames}} per split → moments in seconds.

Regneri et al., "Grounding action descriptions in videos" (TACL 2013), in the files of 2D-TAN. Sentences whose frames are
in the wrong order are left out, and not numbered; the others are numbered from 1, in file order.
"""

from pathlib import Path

from pydantic import Field

from pipeline_lib.annotations import reading
from pipeline_lib.annotations.moment import Moment

SPLITS = {"train": "train.json", "val": "val.json", "test": "test.json"}
_EXPECTED = "{timestamps: [[first frame, last frame]], sentences: [text], fps, num_frames}"


class _Video(reading.Grouped):
    fps: float = Field(gt=0, allow_inf_nan=False)
    num_frames: int = Field(gt=0)


def read(folder: Path, split: str) -> list[Moment]:
    """The sentences of a split, in the order of the file."""
    return read_file(folder / SPLITS[split], split)


def read_file(path: Path, split: str) -> list[Moment]:
    """The same of a file of any name."""
    moments: list[Moment] = []
    left_out = 0
    for video_id, video in reading.grouped(path, _Video, _EXPECTED):
        duration = video.num_frames / video.fps
        for (first, last), sentence in zip(video.timestamps, video.sentences, strict=True):
            if first > last:
                left_out += 1
                continue
            window = max(first / video.fps, 0.0), min(last / video.fps, duration)
            moments.append(Moment(video_id, len(moments) + 1, sentence, (window,), duration, split))
    reading.report(path, len(moments), left_out, "they end before they start")
    return moments
