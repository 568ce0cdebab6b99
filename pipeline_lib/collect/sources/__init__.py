"""Where videos come from: one small interface (base.py), one file or folder per source."""

from pathlib import Path

from pipeline_lib.collect.sources.base import Source
from pipeline_lib.config.collect import SourceOptions


def open_source(options: SourceOptions, seed: int) -> Source:
    """The source that the configuration names; `seed` is the demo's."""
    if options.kind == "local":
        from pipeline_lib.collect.sources.local import LocalSource

        return LocalSource(Path(options.local.folder))
    from pipeline_lib.collect.sources.demo import DemoSource

    return DemoSource(seed=seed, **options.demo.model_dump())
