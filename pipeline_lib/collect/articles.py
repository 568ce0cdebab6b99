"""A shard's videos → title, description (the article), channel, date and duration of each, as JSON."""

from pathlib import Path

from pipeline_lib.collect.sources.base import Source
from pipeline_lib.collect.stages import source_stage
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core import files
from pipeline_lib.core.stage import Item


def fetch(source: Source, options: SourceOptions, item: Item, to: Path) -> int:
    """Write one video's article."""
    files.write_json(to, source.article(item.video_id))
    return 1


if __name__ == "__main__":
    source_stage("articles", "pipeline_lib.collect.articles", fetch, ".json")
