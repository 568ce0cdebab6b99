"""Merged features → a file per video again, or the shards of WebDataset, or Parquet.

    python -m pipeline_lib.store.split --in s3d.hdf5 --out s3d_npy --format npy

    npy         <id>.npy; merging them again gives the same datasets
    webdataset  00000.tar, 00001.tar …: <id>.npy and <id>.json (id, shape, start, step, spec) of each video
    parquet     00000.parquet …: a row per row of features, columns id, row, start (seconds), step (seconds), features
                (a list of fixed size); a video never lies in two files

The folder appears under its name when it is whole. Equal features give equal bytes. Some rows at a time are in memory.
"""

import logging
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.core import cli
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track
from pipeline_lib.store import split_formats
from pipeline_lib.store.export_files import whole_folder
from pipeline_lib.store.reader import FeatureFile

log = logging.getLogger(__name__)
_LONGEST = 250  # bytes of a file name


class Format(StrEnum):
    NPY = "npy"
    WEBDATASET = "webdataset"
    PARQUET = "parquet"


def split(path: Path, out: Path, kind: Format, *, shard_bytes: int = 256_000_000, escape_dots: bool = False) -> int:
    """Write the features of all videos of a merged file, in either layout, into a new or empty folder.

    Args:
        path: the merged file.
        out: the folder.
        kind: see the head of this module.
        shard_bytes: features in one tar or Parquet file; at least one video is.
        escape_dots: whether file names in a tar have %2E for the dots of an id.

    Returns:
        Number of videos.

    Raises:
        UserError: `path` is no file of features, an id can't be a file name, or `out` has content.
    """
    with FeatureFile(path) as file, whole_folder(out) as folder:
        if kind is not Format.PARQUET:
            _require_file_names(file)
        if kind is Format.WEBDATASET and not escape_dots and any("." in video_id for video_id in file.ids):
            log.warning("ids have dots, where loaders of WebDataset end the key of a sample; --escape-dots avoids that")
        videos = track(file.ids, "split")
        if kind is Format.NPY:
            for video_id in videos:
                with open(folder / f"{video_id}.npy", "wb") as stream:
                    stream.write(split_formats.npy_header(file, video_id))
                    stream.writelines(rows.data for rows in split_formats.blocks(file, video_id))
            return len(file)
        for number, names in enumerate(_shards(file, videos, shard_bytes)):
            if kind is Format.WEBDATASET:
                split_formats.tar(file, names, folder / f"{number:05d}.tar", escape_dots=escape_dots)
            else:
                split_formats.parquet(file, names, folder / f"{number:05d}.parquet")
        return len(file)


def _require_file_names(file: FeatureFile) -> None:
    for video_id in file.ids:
        if video_id.startswith(".") or "/" in video_id or len(video_id.encode()) > _LONGEST:
            raise UserError(f"{file.path}: {video_id!r} is not usable as a file name; use --format parquet")


def _shards(file: FeatureFile, videos: Iterator[str], most: int) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for video_id in videos:
        nbytes = split_formats.size_of(file, video_id)
        if names and size + nbytes > most:
            yield names
            names, size = [], 0
        names.append(video_id)
        size += nbytes
    if names:
        yield names


def main(
    source: Annotated[Path, typer.Option("--in", help="merged features, in either layout")],
    out: Annotated[Path, typer.Option(help="folder to write, new or empty")],
    kind: Annotated[Format, typer.Option("--format", help="npy | webdataset | parquet")] = Format.NPY,
    shard_mb: Annotated[int, typer.Option(min=1, help="MB of features in a tar or Parquet file")] = 256,
    escape_dots: Annotated[
        bool, typer.Option("--escape-dots", help="webdataset: %2E for the dots of ids, at which its loaders end a key")
    ] = False,
) -> None:
    """Write the features of all videos as .npy files, WebDataset shards or Parquet."""
    began = time.monotonic()
    videos = split(source, out, kind, shard_bytes=shard_mb * 1_000_000, escape_dots=escape_dots)
    log.info("%s: %d videos in %.1f s", out, videos, time.monotonic() - began)


if __name__ == "__main__":
    cli.run(main)
