"""Video file → a tar of JPEGs, one every few seconds, and an index with their times and the video's size.

The tar holds 000000.jpg, 000001.jpg … and index.json {width, height, every, mode, times}: width and height of the upright
video in pixels (pictures may be stored smaller), times in seconds. Picture i is the first frame at or after i·every
seconds, or the keyframe nearest to it.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.video import Frames, Video
from pipeline_lib.core import arguments, cli
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage
from pipeline_lib.video.decode import Frame
from pipeline_lib.video.sampling import Sampling
from pipeline_lib.video.worker import Worker

INDEX = "index.json"


def sampling(options: Frames, decoder: str = "auto") -> Sampling:
    """The frames of a video that are stored; larger ones are scaled so that their long side is `max_side`."""
    fit = f"min(1,{options.max_side}/max(iw,ih))"
    filters = f"scale='max(1,round(iw*{fit}))':'max(1,round(ih*{fit}))'"
    return Sampling(options.every, "keyframe" if options.mode == "keyframe" else "at_or_after", filters, decoder)


def store(shown: Iterable[Frame], to: Path, options: Frames) -> int:
    """Write the frames of one video; returns how many. Equal frames give equal bytes."""
    index: dict[str, Any] = {"width": 0, "height": 0, "every": options.every, "mode": options.mode, "times": []}
    with tarfile.open(to, "w", format=tarfile.USTAR_FORMAT) as tar:
        for frame in shown:
            index["width"], index["height"] = frame.size
            index["times"].append(round(frame.time, 6))
            _add(tar, f"{frame.index:06d}.jpg", _jpeg(frame.pixels, options.quality))
        _add(tar, INDEX, json.dumps(index, sort_keys=True).encode())
    return len(index["times"])


def read(path: Path) -> tuple[dict[str, Any], Iterator[np.ndarray]]:
    """The index of a stored tar and its pictures in order, each (height, width, 3) uint8 RGB."""
    with tarfile.open(path) as tar:
        stream = tar.extractfile(INDEX)
        assert stream is not None
        index = json.loads(stream.read())
    return index, _pictures(path)


def _pictures(path: Path) -> Iterator[np.ndarray]:
    with tarfile.open(path) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            if stream is not None and member.name.endswith(".jpg"):
                yield np.asarray(Image.open(stream).convert("RGB"))


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality, subsampling=0)
    return content.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def main(
    shard: arguments.Shard,
    videos: arguments.Videos,
    due_diligence: arguments.DueDiligence,
    out: arguments.Out,
    options: arguments.Options = "{}",
    video: arguments.Video = "{}",
    id_pattern: arguments.IdPattern = ".*",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Store the frames of every usable video of a shard, then write the ledger."""
    wanted, decoding = cli.parse_options(Frames, options), cli.parse_options(Video, video, "--video")

    with Worker(decoding.limits) as worker:

        def make(item: Item, to: Path) -> int:
            assert item.source is not None
            return store(worker.frames(item.source, sampling(wanted, decoding.decoder)), to, wanted)

        decisive = {"decoder": decoding.decoder, **as_dict(wanted)}
        decisive.pop("store")
        run_stage(
            Spec.of("frames", "pipeline_lib.video.frames", decisive),
            shard,
            out,
            make,
            suffix=".tar",
            source=videos,
            gates=[due_diligence],
            id_pattern=id_pattern,
            max_failed_fraction=max_failed_fraction,
        )


if __name__ == "__main__":
    cli.run(main)
