"""Video file → S3D clip features (n_clips, 1024), one row per window of frames."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from pipeline_lib.config import S3D as Options
from pipeline_lib.config import as_dict
from pipeline_lib.core import arguments, cli, device, files
from pipeline_lib.core.checkpoint import load
from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage
from pipeline_lib.features.nets.s3d import S3D
from pipeline_lib.video.decode import sample

NOT_DECISIVE = {"batch"}  # how many windows go through at once changes no window's result


def features(video: Path, net: S3D, options: Options, where: torch.device) -> np.ndarray:
    """Features of one video, (n_clips, 1024) float32: `mixed_5c` before the joint layer.

    Row i covers frames i·stride … i·stride + frames - 1 of the video sampled at fps.
    """
    rows = []
    for batch in batches(windows(video, options), options.batch):
        clips = torch.from_numpy(np.stack(batch)).to(where)  # (B, T, H, W, 3) uint8
        clips = clips.permute(0, 4, 1, 2, 3).float().div_(255.0)
        with torch.inference_mode():
            rows.append(net(clips)["mixed_5c"].cpu().numpy())
    return np.concatenate(rows)


def windows(video: Path, options: Options) -> Iterator[np.ndarray]:
    """Windows of (frames, size, size, 3) uint8 RGB frames at `fps`, one every `stride` frames.

    A window past the end is filled with black (MIL-NCE's loader pads with zeros) and kept when at least half of the
    frames it adds exist; a video shorter than one window gives one. Memory holds one window.
    """
    held: deque[np.ndarray] = deque()
    start = seen = 0  # frame number of held[0]; frames decoded so far
    for frame in sample(video, 1.0 / options.fps):
        seen += 1
        if seen > start:
            held.append(
                square(frame.rgb(*_scaled(frame.picture.width, frame.picture.height, options.size)), options.size)
            )
        if len(held) == options.frames:
            yield np.stack(held)
            start += options.stride
            for _ in range(min(options.stride, len(held))):
                held.popleft()
    covered = start - options.stride + options.frames if start else 0
    if start == 0 or seen - covered >= options.stride / 2:
        window = np.zeros((options.frames, options.size, options.size, 3), np.uint8)
        window[: len(held)] = np.stack(held) if held else 0
        yield window


def _scaled(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height with the short side at `size`."""
    scale = size / min(width, height)
    return max(size, round(width * scale)), max(size, round(height * scale))


def square(picture: np.ndarray, size: int) -> np.ndarray:
    """The central size × size of a picture (H, W, 3)."""
    top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
    return picture[top : top + size, left : left + size]


def batches(items: Iterator[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """Lists of up to `size` items."""
    batch: list[np.ndarray] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def main(
    shard: arguments.Shard,
    videos: arguments.Videos,
    due_diligence: arguments.DueDiligence,
    weights: arguments.Weights,
    out: arguments.Out,
    options: arguments.Options = "{}",
    where: arguments.Device = "auto",
    id_pattern: arguments.IdPattern = ".*",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Extract the features of every usable video of a shard, then write the ledger."""
    wanted = cli.parse_options(Options, options)
    device.deterministic()
    target = device.choose(where)
    net = load(S3D(None), weights).to(target)

    def make(item: Item, to: Path) -> int:
        assert item.source is not None
        rows = features(item.source, net, wanted, target)
        if not np.isfinite(rows).all():
            raise ItemError(Reason.NOT_FINITE, "the network's output holds NaN or Inf")
        with open(to, "wb") as stream:
            np.save(stream, rows, allow_pickle=False)
        return len(rows)

    decisive = {key: value for key, value in as_dict(wanted).items() if key not in NOT_DECISIVE}
    run_stage(
        Spec.of("s3d", "pipeline_lib.features.s3d", decisive, files.sha256(weights)),
        shard,
        out,
        make,
        suffix=".npy",
        source=videos,
        gates=[due_diligence],
        id_pattern=id_pattern,
        max_failed_fraction=max_failed_fraction,
    )


if __name__ == "__main__":
    cli.run(main)
