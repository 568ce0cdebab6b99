"""A split, its role graphs and its features → batches of pairs, and of videos and of captions (specs: ranp §3, §4)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.config.retrieval import RetrievalData
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval import corpus, iou, names, texts
from pipeline_lib.retrieval.alignment import align
from pipeline_lib.retrieval.corpus import Corpus
from pipeline_lib.retrieval.encoders import Words
from pipeline_lib.retrieval.frames import Frames
from pipeline_lib.retrieval.iou import Sets
from pipeline_lib.retrieval.matrices import Matrix
from pipeline_lib.retrieval.role_graphs import RoleGraph
from pipeline_lib.retrieval.texts import Encoded, Vocabulary

log = logging.getLogger(__name__)


class Clips(NamedTuple):
    """Frames of some videos: (V, F, dim) float32, zeros behind the end of each, and (V,) their numbers of frames."""

    frames: Tensor
    lengths: Tensor


class Batch(NamedTuple):
    """Pairs; video i and caption i belong together.

    Attributes:
        relevance: (B, B) float32 of `both`, `verbs` and `nouns`.
    """

    clips: Clips
    words: Words
    relevance: dict[str, Tensor]


class Part:
    """One split, opened.

    Attributes:
        videos: numbers of the videos that have features; the others are in `left_out`, with why.
        pairs: those of these videos.
    """

    def __init__(
        self, split: Corpus, encoded: Encoded, frames: Frames, classes: Mapping[str, tuple[Sets, Sets]], name: str = ""
    ) -> None:
        self.corpus, self.encoded, self.frames, self.name = split, encoded, frames, name
        reasons = {video.video_id: frames.why_not(video) for video in split.videos}
        self.left_out = {video_id: reason for video_id, reason in reasons.items() if reason is not None}
        kept = [i for i, video in enumerate(split.videos) if video.video_id not in self.left_out]
        self.videos = np.array(kept, np.int64)
        self.pairs = split.pairs[np.isin(split.pairs[:, 0], self.videos)]
        self._classes = classes
        self._report()

    def _report(self) -> None:
        """Name ids that are on one side only; no pair at all is an error."""
        described = set(self.corpus.videos[i].video_id for i in np.unique(self.corpus.pairs[:, 0]).tolist())
        silent = [video.video_id for video in self.corpus.videos if video.video_id not in described]
        if silent:
            log.warning("%s: %d videos have no caption: %s", self.name, len(silent), _first(silent))
        if self.left_out:
            named = [f"{video_id} ({reason})" for video_id, reason in self.left_out.items()]
            log.warning(
                one_line(
                    f"{self.name}: {len(named)} of {len(self.corpus.videos)} videos are left out: {_first(named)}", 600
                )
            )
        if not len(self.pairs):
            some = self.corpus.videos[0].feature
            raise UserError(
                one_line(
                    f"{self.name}: no video with a caption has features; looked for {some!r} and {len(self.left_out) - 1} "
                    f"others ({next(iter(self.left_out.values()))}); give features of the same videos"
                )
            )

    @property
    def columns(self) -> int:
        """Length of a frame's features."""
        return int(self.frames[self.corpus.videos[self.videos[0]]].shape[1])

    def clips(self, videos: Sequence[int] | np.ndarray) -> Clips:
        """Frames of some videos, padded to the longest."""
        rows = [self.frames[self.corpus.videos[i]] for i in videos]
        lengths = np.array([len(one) for one in rows], np.int64)
        padded = np.zeros((len(rows), int(lengths.max()), rows[0].shape[1]), np.float32)
        for place, one in zip(padded, rows, strict=True):
            place[: len(one)] = one
        return Clips(torch.from_numpy(padded), torch.from_numpy(lengths))

    def batch(self, chosen: np.ndarray) -> Batch:
        """Some of the pairs, by number."""
        videos, captions = self.pairs[chosen].T
        return Batch(self.clips(videos), self.encoded.take(captions), self.relevance(videos, captions))

    def relevance(self, videos: np.ndarray, captions: np.ndarray) -> dict[str, Tensor]:
        """Relevance of some captions to some videos; of verbs or nouns alone their IoU (upstream: the mean of it and 1)."""
        found = {part: iou.iou(rows[videos], columns[captions]) for part, (rows, columns) in self._classes.items()}
        found["both"] = np.mean(list(found.values()), axis=0)
        return {part: torch.from_numpy(values.astype(np.float32)) for part, values in found.items()}

    def blocks(self, size: int) -> Iterator[Clips]:
        """Frames of all videos that have features, some at a time."""
        for start in range(0, len(self.videos), size):
            yield self.clips(self.videos[start : start + size])

    def matrix(self, values: np.ndarray) -> Matrix:
        """Similarities of the videos that have features and of all captions, with ids and pairs."""
        place = np.full(len(self.corpus.videos), -1)
        place[self.videos] = np.arange(len(self.videos))
        pairs = np.stack([place[self.pairs[:, 0]], self.pairs[:, 1]], axis=1)
        ids = [self.corpus.videos[i].video_id for i in self.videos.tolist()]
        return Matrix(values, ids, [caption.caption_id for caption in self.corpus.captions], pairs)

    def gold(self, matrix: Matrix | None = None) -> np.ndarray:
        """Relevance (videos with features, captions): of the classes, or of a matrix of the whole split.

        Rows and columns of a matrix that says what they are called are matched by name, those of published ones by place.
        """
        if matrix is None:
            rows, columns = zip(*self._classes.values(), strict=True)
            return iou.mean_iou([one[self.videos] for one in rows], list(columns))
        wanted = (len(self.corpus.videos), len(self.corpus.captions))
        if matrix.values.shape != wanted:
            raise UserError(
                f"{self.name}: the relevance is {matrix.values.shape[0]} × {matrix.values.shape[1]}, but the split has "
                f"{wanted[0]} videos and {wanted[1]} captions; give the matrix of this split, or none"
            )
        split = Matrix(matrix.values, *self.corpus.ids())
        return np.asarray(align(split, matrix, to=self.name).values[self.videos])


def _first(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")


def open_part(
    path: Path,
    features: Sequence[Path],
    graphs: Mapping[str, RoleGraph],
    known: Vocabulary | None,
    options: RetrievalData,
    videos: Path | None = None,
) -> tuple[Part, Vocabulary]:
    """A split with its features, and the vocabulary: `known`, or that of its captions.

    Args:
        videos: names of the rows of HGR's .npy features.
    """
    split = corpus.read(path)
    sentences = [caption.text for caption in split.captions]
    known = texts.vocabulary(sentences) if known is None else known
    encoded = texts.encode(sentences, graphs, known, options)
    frames = Frames(features, options, names.read(videos) if videos else None)
    return Part(split, encoded, frames, split.classes(), path.name), known
