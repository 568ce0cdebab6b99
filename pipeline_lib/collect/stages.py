"""Command line shared by the stages that ask a source: a shard's list → artefacts fetched from it."""

import functools
from collections import Counter, deque
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline_lib.collect.limiter import Limiter, Refused
from pipeline_lib.collect.sources import open_source
from pipeline_lib.collect.sources.base import Source
from pipeline_lib.config.base import as_dict
from pipeline_lib.config.collect import SourceOptions
from pipeline_lib.core import arguments, cli, ledger
from pipeline_lib.core.errors import Later
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, Make, Produce, Write, one_by_one, run_stage

Fetch = Callable[[Source, SourceOptions, Item, Path], int]

#: Raise it when artefacts of a site are to be fetched anew; a change of code alone must not cost weeks of politeness.
EDITION = "1"

REFUSALS = 3  # of one video, in one run


def source_stage(stage: str, module: str, fetch: Fetch, suffix: str, decides: tuple[str, ...] = ()) -> None:
    """Run the command line of a stage that fetches one artefact per video from the configured source.

    Args:
        fetch: writes the artefact of one item to a path and returns its number of rows.
        decides: keys of the source's options that decide what the artefacts are, beside the source itself; `youtube/videos/audio`
            counts with that source only.
    """

    def main(
        shard: arguments.Shard,
        out: arguments.Out,
        options: arguments.Options = "{}",
        seed: arguments.Seed = 0,
        max_failed_fraction: arguments.MaxFailed = 0.5,
    ) -> None:
        wanted = cli.parse_options(SourceOptions, options)
        source = open_source(wanted, seed, ledger.root(out))

        def make(item: Item, to: Path) -> int:
            return fetch(source, wanted, item, to)

        limiter = getattr(source, "limiter", None)
        run_stage(
            spec_of(stage, module, wanted, decides),
            shard,
            out,
            produce=politely(make, limiter) if limiter else one_by_one(make),
            suffix=suffix,
            version=source.version,
            id_pattern=wanted.id_pattern,
            max_failed_fraction=max_failed_fraction,
        )

    main.__doc__ = f"Bring every video of a shard to its artefact of stage {stage}, then write the ledger."
    cli.run(main)


def spec_of(stage: str, module: str, options: SourceOptions, decides: tuple[str, ...]) -> Spec:
    """What the artefacts are: the source, the options that decide, and the code unless a site would be asked again for it."""
    values = as_dict(options)
    named: dict[str, Any] = {"kind": options.kind}
    for key in decides:
        path = key.split("/")
        if len(path) == 1 or path[0] == options.kind:
            named[path[-1]] = functools.reduce(lambda part, word: part[word], path, values)
    return Spec(stage, named, code=EDITION) if options.kind == "youtube" else Spec.of(stage, module, named)


def politely(make: Make, limiter: Limiter) -> Produce:
    """The producer of a stage whose source refuses now and then: a refused video waits for others and is tried once more.

    Refused `REFUSALS` times although others were served in between, or with none left that wasn't refused too, it gets the
    refusal as its reason. While nobody is served, nobody is charged: refusals add up until the limiter stops the stage.
    """

    def produce(items: list[Item]) -> Generator[tuple[Item, Write], None, None]:
        queue = deque(items)
        refused: Counter[str] = Counter()
        answers: dict[str, int] = {}  # good ones that there had been when a video was refused first

        def write(item: Item, to: Path) -> int:
            try:
                return make(item, to)
            except Refused:
                refused[item.video_id] += 1
                before = answers.setdefault(item.video_id, limiter.answers())
                fresh = next((i for i, other in enumerate(queue) if other.video_id not in refused), None)
                if refused[item.video_id] >= REFUSALS and (limiter.answers() > before or fresh is None):
                    raise
                queue.insert(len(queue) if fresh is None else fresh + 1, item)
                raise Later from None

        while queue:
            item = queue.popleft()
            yield item, partial(write, item)

    return produce
