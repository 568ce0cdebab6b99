"""Where videos come from: one small interface (base.py), one file or folder per source."""

from pathlib import Path

from pipeline_lib.collect.sources.base import Source
from pipeline_lib.config.collect import SourceOptions


def open_source(options: SourceOptions, seed: int, work: Path) -> Source:
    """The source that the configuration names.

    Args:
        seed: of the demo.
        work: the work folder, where a source may keep what it has to remember.
    """
    if options.kind == "local":
        from pipeline_lib.collect.sources.local import LocalSource

        return LocalSource(Path(options.local.csv or options.local.folder))
    if options.kind == "youtube":
        from pipeline_lib.collect.sources.youtube.source import YouTubeSource

        return YouTubeSource(options.youtube, work)
    from pipeline_lib.collect.sources.demo import DemoSource

    return DemoSource(seed=seed, **options.demo.model_dump())
