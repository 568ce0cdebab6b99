"""Command line shared by the stages that ask a source: a shard's list → artefacts fetched from it."""

from collections.abc import Callable
from pathlib import Path

from pipeline_lib.collect.sources import open_source
from pipeline_lib.collect.sources.base import Source
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core import arguments, cli
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage

Fetch = Callable[[Source, SourceOptions, Item, Path], int]


def source_stage(stage: str, module: str, fetch: Fetch, suffix: str, decides: tuple[str, ...] = ()) -> None:
    """Run the command line of a stage that fetches one artefact per video from the configured source.

    Args:
        fetch: writes the artefact of one item to a path and returns its number of rows.
        decides: keys of the source's options that decide what the artefacts are, beside the source itself.
    """

    def main(
        shard: arguments.Shard,
        out: arguments.Out,
        options: arguments.Options = "{}",
        seed: arguments.Seed = 0,
        max_failed_fraction: arguments.MaxFailed = 0.5,
    ) -> None:
        wanted = cli.parse_options(SourceOptions, options)
        source = open_source(wanted, seed)
        values = as_dict(wanted)
        named = {key: values[key] for key in ("kind", *decides)}
        run_stage(
            Spec.of(stage, module, named),
            shard,
            out,
            lambda item, to: fetch(source, wanted, item, to),
            suffix=suffix,
            version=source.version,
            id_pattern=wanted.id_pattern,
            max_failed_fraction=max_failed_fraction,
        )

    main.__doc__ = f"Bring every video of a shard to its artefact of stage {stage}, then write the ledger."
    cli.run(main)
