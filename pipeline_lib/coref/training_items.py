"""Captions and features of a video → pairs of clip, sentence and objects to train on (§3)."""

from typing import NamedTuple

import numpy as np

from pipeline_lib.coref.inputs import Inputs, Moments
from pipeline_lib.coref.rows import interval
from pipeline_lib.coref.running import Running


class Pairs(NamedTuple):
    """Training pairs of one video; row i of each belongs to pair i."""

    clips: np.ndarray  # (n, clip dim)
    words: np.ndarray  # (n, max_words, word dim)
    objects: np.ndarray  # (n, candidates, object dim)


def draw(inputs: Inputs, video_id: str, moments: Moments, rng: np.random.Generator) -> Pairs:
    """Draw `n_pair` distinct caption segments of a video, each as one pair.

    The clip is that of the segment; the sentence is that of a random segment among those at most `look_window` away; so
    are the objects (see `candidates`). A video with fewer segments gives all it has, where upstream stops with an error.
    """
    segments = inputs.captions[video_id]["captions"]
    count = min(inputs.options.n_pair, len(segments))
    chosen = rng.choice(len(segments), count, replace=False)
    clips, words, objects = [], [], []
    for index in chosen:
        window = neighbours(int(index), len(segments), inputs.options.look_window)
        start, end = interval(segments[index])
        clips.append(moments.clip(inputs.clip(video_id, start, end)))
        words.append(inputs.sentence(segments[int(rng.choice(window))]["text"]))
        objects.append(moments.objects(candidates(inputs, video_id, int(index), window, rng)))
    return Pairs(np.stack(clips), np.stack(words), np.stack(objects).astype(np.float32))


def neighbours(index: int, count: int, look_window: int) -> list[int]:
    """Positions at most `look_window` before or after `index`."""
    return list(range(max(0, index - look_window), min(count - 1, index + look_window) + 1))


def candidates(inputs: Inputs, video_id: str, index: int, window: list[int], rng: np.random.Generator) -> np.ndarray:
    """Objects of a pair, (candidates, dim).

    From the middle frames of the window's segments, those with a confidence of at least `min_confidence`; when they are
    enough, a random choice of them, else the first of the segment's own frame, whatever their confidence (§3).
    """
    found = inputs.objects(video_id)
    wanted = inputs.options.candidates
    frames = [inputs.middle(video_id, position) for position in window]
    features, scores = np.concatenate(found.features[frames]), np.concatenate(found.scores[frames])
    confident = np.flatnonzero(scores >= inputs.options.min_confidence)
    if len(confident) >= wanted:
        return features[rng.choice(confident, wanted, replace=False)]
    own = found.features[inputs.middle(video_id, index), :wanted]
    return np.concatenate(
        [own, np.zeros((wanted - len(own), own.shape[1]), own.dtype)]
    )  # data of others may have fewer


def without_padding(words: np.ndarray) -> np.ndarray:
    """Sentences (n, max_words, dim) cut after the padding row that follows the longest of them.

    Their embeddings stay the same, because the network takes the maximum over words and all padding is alike.
    """
    longest = np.flatnonzero(words.any(axis=(0, 2)))
    return words[:, : longest[-1] + 2 if len(longest) else 1]


def distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows without repetition, in the order in which they come first, and for each row where it stands among them.

    Windows overlap, so that a third of the objects that a video's pairs draw, and some sentences, are drawn twice.
    """
    places: dict[bytes, int] = {}
    where = np.array([places.setdefault(row.tobytes(), len(places)) for row in rows], dtype=np.int64)
    first = np.unique(where, return_index=True)[1]
    return rows[first], where


def statistics(inputs: Inputs, videos: list[str]) -> Moments:
    """Moments of the clips of all caption segments and of all objects of some videos, which are read one by one."""
    clips, objects = Running(), Running()
    for video_id in videos:
        segments = inputs.captions[video_id]["captions"]
        clips.add(np.stack([inputs.clip(video_id, *interval(segment)) for segment in segments]))
        features = inputs.objects(video_id).features
        objects.add(features.reshape(-1, features.shape[-1]))
    return Moments(clips.mean.astype("f4"), clips.deviation(), objects.mean.astype("f4"), objects.deviation())
