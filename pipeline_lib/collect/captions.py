"""A shard's videos → timed captions of each, as JSON {captions: [{start, duration, text}], caption_kind, language}."""

from pathlib import Path

from pipeline_lib.collect.sources.base import Source
from pipeline_lib.collect.stages import source_stage
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core import files
from pipeline_lib.core.stage import Item


def fetch(source: Source, options: SourceOptions, item: Item, to: Path) -> int:
    """Write one video's captions; rows = segments, 0 for a video that has none."""
    captions = source.captions(item.video_id, options.languages)
    files.write_json(to, captions)
    return len(captions["captions"])


if __name__ == "__main__":
    source_stage(
        "captions", "pipeline_lib.collect.captions", fetch, ".json", decides=("languages", "youtube/captions/automatic")
    )
