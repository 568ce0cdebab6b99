"""A shard's video files → findings of each as JSON: what due diligence judges and near-duplicates are found by.

Decoding is the costly part of due diligence, so it is a stage of its own: changed limits don't decode again. A file that
is no video is a finding, too.
"""

from dataclasses import asdict
from pathlib import Path

from pipeline_lib.clean.findings import Findings, look
from pipeline_lib.config.video import Video
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import RETRIED, ItemError, Reason
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage
from pipeline_lib.video.worker import Worker


def inspect(video: Path, worker: Worker) -> Findings:
    """What `worker` finds in a file; why it can't be read if it can't.

    Raises:
        ItemError: for a reason that may pass, such as a missing file.
    """
    if not video.is_file():
        raise ItemError(Reason.MISSING_FILE, video.name)
    size = video.stat().st_size
    try:
        info = worker.probe(video)
        return Findings(**worker.call(look, video, allowance=info.duration * worker.limits.wall_per_second))
    except ItemError as error:
        if error.reason in RETRIED:
            raise
        return Findings(bytes=size, reason=str(error.reason), detail=error.detail)


def main(
    shard: arguments.Shard,
    videos: arguments.Videos,
    out: arguments.Out,
    video: arguments.Video = "{}",
    id_pattern: arguments.IdPattern = ".*",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Look into every video of a shard, then write the ledger."""
    decoding = cli.parse_options(Video, video, "--video")
    with Worker(decoding.limits) as worker:

        def make(item: Item, to: Path) -> int:
            assert item.source is not None
            files.write_json(to, asdict(inspect(item.source, worker)))
            return 1

        run_stage(
            Spec.of("inspection", "pipeline_lib.clean.inspection", {}),
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
