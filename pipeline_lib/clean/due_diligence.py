"""Video file → what its container says, as JSON, if the file is whole and within the limits; else the reason it is not."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.collect import DueDiligence
from pipeline_lib.config.video import Video
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.worker import Worker

PLACES = (0.0, 0.5, 0.95)  # of the duration: first, middle and last picture


def check(video: Path, options: DueDiligence, worker: Worker) -> VideoInfo:
    """Pass a video through every check, cheapest first; `worker` decodes it.

    Raises:
        ItemError: the first check that fails, with its reason.
    """
    within_bytes(video, options)
    info = worker.probe(video)
    for test in CHECKS:
        test(video, info, options, worker)
    return info


def within_bytes(video: Path, options: DueDiligence) -> None:
    """The file is not larger than max_bytes."""
    size = video.stat().st_size if video.is_file() else 0
    if size > options.max_bytes:
        raise ItemError(Reason.TOO_LARGE, f"{size} bytes; due_diligence.max_bytes is {options.max_bytes}")


def within_pixels(video: Path, info: VideoInfo, options: DueDiligence, worker: Worker) -> None:
    """The picture is not larger than max_pixels."""
    if info.width * info.height > options.max_pixels:
        raise ItemError(
            Reason.TOO_LARGE, f"{info.width}×{info.height}; due_diligence.max_pixels is {options.max_pixels}"
        )


def within_duration(video: Path, info: VideoInfo, options: DueDiligence, worker: Worker) -> None:
    """The declared duration lies between min_seconds and max_seconds."""
    if info.duration > options.max_seconds:
        raise ItemError(Reason.TOO_LONG, f"{info.duration:.1f} s; due_diligence.max_seconds is {options.max_seconds}")
    if info.duration < options.min_seconds:
        raise ItemError(Reason.TOO_SHORT, f"{info.duration:.1f} s; due_diligence.min_seconds is {options.min_seconds}")


def decodes(video: Path, info: VideoInfo, options: DueDiligence, worker: Worker) -> None:
    """Pictures come out at three places, and the last of them is about where the container says."""
    last = 0.0
    for fraction in PLACES:
        last = worker.decodes_at(video, fraction, info.duration)
    missing = PLACES[-1] * info.duration - last
    if missing > options.duration_tolerance * info.duration + 1.0 / max(info.fps, 1.0):
        raise ItemError(Reason.TRUNCATED, f"pictures end at {last:.1f} s of {info.duration:.1f} s")


Check = Callable[[Path, VideoInfo, DueDiligence, Worker], None]
CHECKS: tuple[Check, ...] = (within_pixels, within_duration, decodes)


def main(
    shard: arguments.Shard,
    videos: arguments.Videos,
    out: arguments.Out,
    options: arguments.Options = "{}",
    video: arguments.Video = "{}",
    id_pattern: arguments.IdPattern = ".*",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Check every video of a shard, then write the ledger."""
    wanted, decoding = cli.parse_options(DueDiligence, options), cli.parse_options(Video, video)

    with Worker(decoding.limits) as worker:

        def make(item: Item, to: Path) -> int:
            assert item.source is not None
            files.write_json(to, asdict(check(item.source, wanted, worker)))
            return 1

        run_stage(
            Spec.of("due_diligence", "pipeline_lib.clean.due_diligence", as_dict(wanted)),
            shard,
            out,
            make,
            suffix=".json",
            source=videos,
            id_pattern=id_pattern,
            max_failed_fraction=max_failed_fraction,
        )


if __name__ == "__main__":
    cli.run(main)
