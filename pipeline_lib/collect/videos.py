"""A shard's videos → their files, <video_id>.mp4."""

from pathlib import Path

from pipeline_lib.collect.sources.base import Source
from pipeline_lib.collect.stages import source_stage
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core.stage import Item


def fetch(source: Source, options: SourceOptions, item: Item, to: Path) -> int:
    """Write one video's file."""
    source.video(item.video_id, to)
    return 1


if __name__ == "__main__":
    source_stage(
        "videos",
        "pipeline_lib.collect.videos",
        fetch,
        ".mp4",
        decides=("youtube/videos/max_height", "youtube/videos/audio"),
    )
