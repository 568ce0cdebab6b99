"""What every dataset's reader returns: a sentence and the windows of a video that it describes."""

from dataclasses import dataclass

Window = tuple[float, float]  # start and end in seconds


@dataclass(frozen=True, slots=True)
class Moment:
    """A sentence about a part of a video.

    Attributes:
        video_id: as the annotation file spells it, which is the key of the feature files too.
        query_id: unique within the split; numbered as MESM numbers the queries that it evaluates (specs: mesm §4).
        sentence: as annotated.
        windows: where it happens, within [0, duration]; none where the split keeps them secret.
        duration: of the video, in seconds.
        split: the dataset's own name of it.
        clips: indices of the 2 s clips that have been scored, QVHighlights only.
        saliency: per clip of `clips` how salient it is to each of the people asked (three, as published), 0 … 4.
    """

    video_id: str
    query_id: int
    sentence: str
    windows: tuple[Window, ...]
    duration: float
    split: str
    clips: tuple[int, ...] = ()
    saliency: tuple[tuple[int, ...], ...] = ()
