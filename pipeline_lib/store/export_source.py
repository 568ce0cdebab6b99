"""Merged objects.hdf5 → checked arrays of one video after the other, with picture sizes and class names."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.core import files, ids, ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track
from pipeline_lib.store.reader import ObjectFile
from pipeline_lib.video import frames

BACKGROUND = "__background__"  # upstream's class 0; here the label of rows that hold no region

Size = tuple[int, int]  # width, height in pixels
Sizes = Callable[[str], Size | None]


@dataclass(frozen=True)
class Video:
    """The regions of a video, row i of each array from frame i, little-endian and C-ordered as all three formats want.

    A frame with fewer than K regions is filled up with rows of zeros, label 0.
    """

    video_id: str
    features: np.ndarray  # (n, K, 2048) float32
    boxes: np.ndarray  # (n, K, 4) float32, x1 y1 x2 y2 in pixels of the video
    scores: np.ndarray  # (n, K) float32
    labels: np.ndarray  # (n, K) int64, 1 is the first line of the vocabulary
    width: int = 0  # 0 unless sizes were asked for
    height: int = 0

    def __len__(self) -> int:
        return len(self.features)

    def image_ids(self) -> list[str]:
        """`<video_id>_<frame index>` of each frame; what stands after the last `_` is always the index."""
        return [f"{self.video_id}_{index}" for index in range(len(self))]


class Source(ObjectFile):
    """objects.hdf5, and what else an export has to know of its videos."""

    def videos(self, sizes: Sizes | None = None) -> Iterator[Video]:
        """All videos, sorted by id, one in memory at a time.

        Args:
            sizes: asked for the size of a video whose group doesn't say it; None if the format holds no sizes.

        Raises:
            UserError: an id that can't be a file name, arrays of wrong shapes or not finite, an unknown or wrong size.
        """
        for video_id in self.ids:
            if not ids.is_valid(video_id):
                raise UserError(f"{self.path}: {video_id!r} is not usable as a file name; merge the stage again")
        for video_id in track(self.ids, "export"):
            width, height = self._size(video_id, sizes) if sizes else (0, 0)
            read = self.read(video_id)
            video = Video(
                video_id,
                features=np.ascontiguousarray(read["features"], "<f4"),
                boxes=np.ascontiguousarray(read["boxes"], "<f4"),
                scores=np.ascontiguousarray(read["scores"], "<f4"),
                labels=np.ascontiguousarray(read["labels"], "<i8"),
                width=width,
                height=height,
            )
            fault = _fault(video)
            if fault:
                raise UserError(f"{self.path}: video {video_id} {fault}")
            yield video

    def _size(self, video_id: str, sizes: Sizes) -> Size:
        attributes = self._at(video_id).attrs
        if "width" in attributes and "height" in attributes:
            return int(attributes["width"]), int(attributes["height"])
        size = sizes(video_id)
        if size is None:
            raise UserError(
                f"{self.path}: width and height of video {video_id} are unknown; give --sizes work/frames "
                "(folder of the stored frames) or a JSON file {video_id: [width, height]} that has it"
            )
        return size


def _fault(video: Video) -> str | None:
    rows = video.features.shape[:2]
    shapes = (video.features.shape, video.boxes.shape, video.scores.shape, video.labels.shape)
    if len(shapes[0]) != 3 or shapes[1:] != ((*rows, 4), rows, rows):
        return f"has arrays of shapes {shapes}, not (n, K, dim), (n, K, 4), (n, K), (n, K); merge the stage again"
    if not all(np.isfinite(array).all() for array in (video.features, video.boxes, video.scores)):
        return "holds NaN or Inf; delete its artefact and run its stage again"
    if (video.labels < 0).any():
        return "holds negative labels; delete its artefact and run its stage again"
    # Rounding of stored frames can move an edge by a pixel or two; a swapped or foreign size moves it much further.
    right, bottom = video.boxes[..., 2:].max(axis=(0, 1), initial=0)
    if video.width and (right > 1.01 * video.width + 1 or bottom > 1.01 * video.height + 1):
        size = f"{video.width}×{video.height}"
        return f"has boxes up to ({right:.0f}, {bottom:.0f}) in pictures of {size}; correct --sizes ([width, height])"
    return None


def sizes_from(path: Path | None) -> Sizes:
    """Where the size of a video is looked up.

    Args:
        path: a JSON file {video_id: [width, height]}, the folder of the stage that stores frames, or None.
    """
    if path is None:
        return lambda video_id: None
    return _sizes_of_frames(path) if path.is_dir() else _sizes_of_json(path)


def _sizes_of_frames(folder: Path) -> Sizes:
    tars: dict[str, Path] = {}
    for one in sorted(
        folder.glob("*.parquet")
    ):  # ledgers of an older, larger number of shards come last and don't count
        for video_id, row in ledger.read(one).items():
            if row.ok:
                tars.setdefault(video_id, ledger.root(one) / str(row.artefact))
    if not tars:
        raise UserError(f"{folder} has no ledger with stored frames; give the folder of that stage, e.g. work/frames")

    def find(video_id: str) -> Size | None:
        tar = tars.get(video_id)
        if tar is None or not tar.is_file():
            return None
        index = frames.read(tar)[0]
        return index["width"], index["height"]

    return find


def _sizes_of_json(path: Path) -> Sizes:
    content = files.read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not {{video_id: [width, height]}}; correct it")

    def find(video_id: str) -> Size | None:
        return _as_size(content[video_id], f"{path}: {video_id}") if video_id in content else None

    return find


def _as_size(value: Any, where: str) -> Size:
    match value:
        case [int(width), int(height)] if width > 0 and height > 0:
            return width, height
    raise UserError(f"{where} = {value!r} is not [width, height] in pixels; correct it")


class Names:
    """Class names by label, as upstream makes them of objects_vocab.txt: first synonym, lower case, no blanks around.

    Args:
        path: a line per class, the first is label 1; None names a class by its number, class_17.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._names: list[str] | None = None
        if path is None:
            return
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"{path} does not exist; correct --vocabulary") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is no list of class names ({error}); correct --vocabulary") from None
        # Not splitlines(): it also breaks at characters that upstream leaves inside a line.
        lines = re.split(r"\r?\n", text.removesuffix("\n"))
        self._names = [BACKGROUND, *(line.split(",")[0].strip().lower() for line in lines)]
        if "" in self._names:
            raise UserError(f"{path}, line {self._names.index('')} names no class; a line per class is needed")

    def __getitem__(self, label: int) -> str:
        if label == 0:
            return BACKGROUND
        if self._names is None:
            return f"class_{label}"
        if label >= len(self._names):
            raise UserError(
                f"{self._path} names {len(self._names) - 1} classes but label {label} occurs; "
                "give the vocabulary that the detector's weights were trained with"
            )
        return self._names[label]
