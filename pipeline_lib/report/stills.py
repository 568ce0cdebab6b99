"""Ledgers of stored frames, ledgers of videos, or a folder of video files → small pictures of a video at a few times."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from PIL import Image

from pipeline_lib.config.video import Frames, Video
from pipeline_lib.core import ledger
from pipeline_lib.core.errors import ItemError, UserError, one_line
from pipeline_lib.core.ledger import OK, Row
from pipeline_lib.report.pictures import jpeg
from pipeline_lib.video.decode import Frame
from pipeline_lib.video.frames import INDEX, sampling
from pipeline_lib.video.worker import Worker

SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v")  # of video files in a plain folder


class Still(NamedTuple):
    """A picture of a video. time: of the frame, in seconds; size: of the upright video in pixels; content: a JPEG."""

    time: float
    size: tuple[int, int]
    content: bytes


class Stills:
    """Pictures from stored frames where there are any, else decoded from the videos.

    Args:
        frames: folder of ledgers; None where there is none.
        videos: the same, or a folder of video files that are called by their ids.
        every: seconds between the frames to choose from when a video is decoded.
        max_side: of the pictures, in pixels.
    """

    def __init__(
        self, frames: Path | None, videos: Path | None, video: Video, every: float = 3.0, max_side: int = 320
    ) -> None:
        self._frames = _rows(frames)
        plain = _files(videos)
        self._videos = _rows(videos) if plain is None else plain
        self._sampling = sampling(Frames(every=every, max_side=max(max_side, 32)), video.decoder)
        self._worker = Worker(video.limits)
        self._max_side = max_side

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()

    def of(self, video_id: str, times: Iterable[float]) -> tuple[dict[float, Still], str]:
        """The frame nearest to each time, and why there is none (or "")."""
        wanted = sorted(set(times))
        reasons = []
        for rows, read in ((self._frames, self._stored), (self._videos, self._decoded)):
            path, reason = _artefact(rows, video_id)
            if path is not None:
                try:
                    return read(path, wanted), ""
                except ItemError as error:
                    reason = str(error)
                except (
                    OSError,
                    KeyError,
                    ValueError,
                    TypeError,
                    tarfile.TarError,
                    Image.DecompressionBombError,
                ) as error:
                    reason = one_line(f"{path.name} can't be read: {error}")
            reasons.append(reason)
        named = [reason for reason in reasons if reason]
        return {}, one_line("; ".join(dict.fromkeys(named))) or "neither stored frames nor the video are at hand"

    def _stored(self, path: Path, wanted: list[float]) -> dict[float, Still]:
        with tarfile.open(path) as tar:
            about = json.loads(_member(tar, INDEX))
            size = int(about["width"]), int(about["height"])
            found: dict[float, Still] = {}
            for time, number in zip(wanted, _nearest(about["times"], wanted), strict=True):
                picture = Image.open(io.BytesIO(_member(tar, f"{number:06d}.jpg")))
                picture.draft("RGB", (self._max_side, self._max_side))
                pixels = np.asarray(picture.convert("RGB"))
                found[time] = Still(float(about["times"][number]), size, jpeg(pixels, self._max_side))
        return found

    def _decoded(self, path: Path, wanted: list[float]) -> dict[float, Still]:
        if not wanted:
            return {}
        every = self._sampling.every
        rows = {0, *(round(time / every) for time in wanted)}
        kept: list[Frame] = []
        last = None
        for last in self._worker.frames(path, self._sampling):
            if last.index in rows:
                kept.append(last)
        if last is not None and last.index not in rows:
            kept.append(last)  # the nearest to a time after it
        nearest = _nearest([frame.wanted for frame in kept], wanted)
        return {
            time: Still(kept[number].time, kept[number].size, jpeg(kept[number].pixels, self._max_side))
            for time, number in zip(wanted, nearest, strict=True)
        }


def _nearest(times: list[float], wanted: list[float]) -> list[int]:
    """For each wanted time the place of the nearest of `times`, of two the earlier."""
    if not times:
        raise ValueError("there are no frames")
    return [int(np.abs(np.asarray(times) - time).argmin()) for time in wanted]


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    stream = tar.extractfile(name)
    if stream is None:
        raise KeyError(f"{name} is no file")
    return stream.read()


def _rows(folder: Path | None) -> dict[str, tuple[Path, Row]]:
    """{video id: (work folder, row)} over all ledgers of a stage."""
    if folder is None:
        return {}
    paths = _ledgers(folder)
    if not paths:
        raise UserError(
            f"{folder} holds no ledgers (0000.parquet, …); give the folder of the stage, <work>/frames or <work>/videos, "
            "or for videos a folder of their files (.mp4, …)"
        )
    return {video_id: (ledger.root(path), row) for path in paths for video_id, row in ledger.read(path).items()}


def _ledgers(folder: Path) -> list[Path]:
    return sorted(path for path in Path(folder).glob("*.parquet") if path.stem.isdigit())


def _files(folder: Path | None) -> dict[str, tuple[Path, Row]] | None:
    """{video id: (folder, row)} of a folder of video files, by name with and without suffix; None if it has none."""
    if folder is None or _ledgers(folder):
        return None
    found = {}
    for path in sorted(Path(folder).glob("*"), reverse=True):  # of several with one stem the first
        if path.suffix.lower() in SUFFIXES and path.is_file():
            for name in (path.stem, path.name):
                found[name] = Path(folder), Row(name, OK, artefact=path.name)
    return found or None


def _artefact(rows: dict[str, tuple[Path, Row]], video_id: str) -> tuple[Path | None, str]:
    """The artefact of a video, or None and why not."""
    if video_id not in rows:
        return None, ""
    root, row = rows[video_id]
    if not row.ok or row.artefact is None:
        return None, one_line(f"{row.reason}: {row.detail or ''}".strip(": "))
    path = root / row.artefact
    return (path, "") if path.is_file() else (None, f"{path.name} is gone")
