"""Clips with their objects → which frames of a video to show, and how much each object matters."""

from collections.abc import Sequence

import numpy as np

from pipeline_lib.coref.predictions import Clip, Similarity, Video

PER_CLIP = 3  # key frames of a clip, where the video's share allows as many


def chosen(video: Video, clip: int, similarity: Similarity) -> int:
    """The sentence that fits a clip best: the highest score of this kind, of equal ones the first."""
    return int(video.by(similarity)[clip].argmax())


def strengths(scores: Sequence[float]) -> list[float]:
    """How much each object of a clip speaks for a sentence, from 0 to 1: its text · object as a share of the largest.

    The regional score grows with the mean of text · object, so a negative product speaks against: 0.
    """
    top = max(scores, default=0.0)
    return [max(score, 0.0) / top if top > 0 else 0.0 for score in scores]


def driver(scores: Sequence[float]) -> int | None:
    """The object that speaks loudest for a sentence; None for a clip without objects."""
    return int(np.argmax(scores)) if len(scores) else None


def key_times(video: Video, most: int, similarity: Similarity) -> list[list[float]]:
    """Per clip the times of the frames to show, in order; `most` is how many a video gets in all.

    Frames of a clip are those its objects come from; with more than its share, those whose objects speak loudest for its
    chosen sentence. Without objects it is the frame in its middle. In a video of more clips than `most`, clips with
    the highest scores get one.
    """
    share = min(max(most // len(video.clips), 1), PER_CLIP)
    best = np.argsort(-video.by(similarity).max(axis=1), kind="stable")[:most]
    wanted: list[list[float]] = [[] for _ in video.clips]
    for clip in sorted(int(one) for one in best):
        loudness = _loudness(video.clips[clip], video.object_scores[clip][chosen(video, clip, similarity)])
        wanted[clip] = sorted(sorted(loudness, key=lambda time: (-loudness[time], time))[:share])
    return wanted


def _loudness(clip: Clip, scores: Sequence[float]) -> dict[float, float]:
    """{time of a frame: the largest product of its objects}."""
    found: dict[float, float] = {}
    for one, score in zip(clip.objects, scores, strict=True):
        found[one.time] = max(score, found.get(one.time, -np.inf))
    return found or {(clip.start + clip.end) / 2: 0.0}
