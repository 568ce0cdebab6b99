"""The pipeline's files → what items are made of: captions, gold labels, clip features, objects, sentences as vectors."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline_lib.config.coref import CorefData
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import entries, rows
from pipeline_lib.coref.stop_words import STOP_WORDS
from pipeline_lib.store.reader import FeatureFile, ObjectFile
from pipeline_lib.text import vectors

_WORD = re.compile(r"[\w']+")


class Objects(NamedTuple):
    """Detected objects of a video, one row of K per stored frame."""

    features: np.ndarray  # (n_frames, K, dim) float32
    scores: np.ndarray  # (n_frames, K)
    boxes: np.ndarray  # (n_frames, K, 4) x1 y1 x2 y2 in pixels of the video
    labels: np.ndarray  # (n_frames, K)


class Inputs:
    """Everything that training and evaluation read; a context manager that holds the feature files open.

    Args:
        captions: vid2article_master_filtered.json.
        annotations: annotations.json.
        objects: objects.hdf5.
        features: one or more HDF5 files of clip features; clips are pooled in each and concatenated.
        words: word vectors.

    Attributes:
        captions, annotations: entries by video id.
        malformed: of annotations that are not of their form, the reason.
    """

    def __init__(
        self,
        captions: Path,
        annotations: Path,
        objects: Path,
        features: Sequence[Path],
        words: Path,
        options: CorefData,
    ) -> None:
        self.options = options
        self.captions = entries.read_captions(captions)
        self.annotations, self.malformed = entries.read_annotations(annotations)
        self.words = vectors.load(words)
        self._stack = ExitStack()
        self._objects = self._stack.enter_context(ObjectFile(objects))
        self._features = [self._stack.enter_context(FeatureFile(path)) for path in features]
        self._paths = [str(path) for path in (objects, *features)]
        self.objects = lru_cache(options.cache_videos)(self._read_objects)
        self._rows = lru_cache(options.cache_videos)(self._read_rows)

    def __enter__(self) -> "Inputs":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def specs(self) -> dict[str, str]:
        """The spec of each feature file, by its name."""
        names = (Path(path).name for path in self._paths)
        return {name: file.spec for name, file in zip(names, (self._objects, *self._features), strict=True)}

    def videos(self, split: str) -> list[str]:
        """Ids of a split, sorted."""
        return entries.of_split(self.captions, self.annotations, split)

    def why_not(self, video_id: str) -> str | None:
        """Why a video can't be used, or None."""
        if video_id not in self.captions:
            return "not in the filtered master file (see the ledgers of due diligence)"
        for path, file in zip(self._paths, (self._objects, *self._features), strict=True):
            if video_id not in file:
                return f"no features in {Path(path).name}"
        for path, features in zip(self._paths[1:], self._features, strict=True):
            if not features.kind(video_id)[1][0]:
                return f"no rows in {Path(path).name}"
        return None

    def clip(self, video_id: str, start: float, end: float) -> np.ndarray:
        """Clip feature (dim,): per file the maximum over the rows of the clip, of unit length; files concatenated (§1.2)."""
        parts = []
        for file, found in zip(self._features, self._rows(video_id), strict=True):
            pooled = found[rows.clip(start, end, file.step, file.start, len(found))].max(axis=0)
            parts.append(pooled / max(float(np.linalg.norm(pooled)), 1e-12))
        return np.concatenate(parts).astype(np.float32)

    def frame(self, seconds: float) -> int:
        """Row of the object features at a time."""
        return rows.frame(seconds, self._objects.step)

    def time(self, row: int) -> float:
        """Seconds that a row of the object features is at."""
        return self._objects.start + row * self._objects.step

    def middle(self, video_id: str, position: int) -> int:
        """Row of the objects that are shown in the middle of a caption segment."""
        segment = self.captions[video_id]["captions"][position]
        return rows.middle(segment, self._objects.step, len(self.objects(video_id).features))

    def _read_rows(self, video_id: str) -> list[np.ndarray]:
        read = [file.rows(video_id).astype(np.float32) for file in self._features]
        for path, found in zip(self._paths[1:], read, strict=True):
            _require_finite(found, video_id, path)
        return read

    def _read_objects(self, video_id: str) -> Objects:
        found = self._objects.read(video_id)
        _require_finite(found["features"], video_id, self._paths[0])
        return Objects(found["features"].astype(np.float32), found["scores"], found["boxes"], found["labels"])

    def sentence(self, text: str) -> np.ndarray:
        """A sentence as (max_words, word dim): known words that are no stop words, cut or padded with zeros (§1.6).

        Words keep their case, as upstream; with `fold_case` an unknown word is looked up in lower case too.
        """
        matrix = np.zeros((self.options.max_words, self.words.matrix.shape[1]), np.float32)
        known = [row for word in _WORD.findall(text) if (row := self._row(word)) is not None]
        for place, row in enumerate(known[: self.options.max_words]):
            matrix[place] = self.words.matrix[row]
        return matrix

    def _row(self, word: str) -> int | None:
        if word in STOP_WORDS:
            return None
        row = self.words.index.get(word)
        if row is None and self.options.fold_case and word.lower() not in STOP_WORDS:
            row = self.words.index.get(word.lower())
        return row


def _require_finite(array: np.ndarray, video_id: str, path: str) -> None:
    if not np.isfinite(array).all():
        raise UserError(f"{path}: features of {video_id} hold NaN or Inf; delete its artefact and run its stage again")


def _require_length(features: np.ndarray, mean: np.ndarray, kind: str) -> None:
    if features.shape[-1] != len(mean):
        raise UserError(
            f"{kind} features have {features.shape[-1]} numbers, the network was made for {len(mean)}; give those that it "
            "was trained with, several in the same order"
        )


class Moments(NamedTuple):
    """Mean and deviation per dimension of clip and object features over the training videos."""

    clip_mean: np.ndarray
    clip_std: np.ndarray
    object_mean: np.ndarray
    object_std: np.ndarray

    @classmethod
    def identity(cls, clip: int, objects: int) -> "Moments":
        """Statistics that change nothing."""
        return cls(np.zeros(clip, "f4"), np.ones(clip, "f4"), np.zeros(objects, "f4"), np.ones(objects, "f4"))

    def clip(self, clip: np.ndarray) -> np.ndarray:
        """Standardised clip features."""
        _require_length(clip, self.clip_mean, "clip")
        return (clip - self.clip_mean) / self.clip_std

    def objects(self, objects: np.ndarray) -> np.ndarray:
        """Standardised object features."""
        _require_length(objects, self.object_mean, "object")
        return (objects - self.object_mean) / self.object_std
