"""Captions of a video → CLIP text embeddings (n_captions, d) float16 of unit length, a row per caption in its order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from torch import Tensor

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.features import CLIP as Options
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.features import clip
from pipeline_lib.features.embed import finish
from pipeline_lib.features.extract import Extractor, Work, prepared, run


def texts(captions: Path) -> list[str]:
    """The texts of a caption artefact, in order of their starts.

    Raises:
        ItemError: there are none.
    """
    content: dict[str, Any] = files.read_json(captions)
    found = [str(one["text"]) for one in sorted(content["captions"], key=lambda one: one["start"])]
    if not found:
        raise ItemError(Reason.NO_CAPTIONS, "nothing to embed")
    return found


def main(
    shard: arguments.Shard,
    captions: Annotated[Path, typer.Option(help="ledger of the captions")],
    weights: arguments.Weights,
    out: arguments.Out,
    options: arguments.Options = "{}",
    where: arguments.Device = "auto",
    id_pattern: arguments.IdPattern = ".*",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Embed the captions of every video of a shard, then write the ledger."""
    wanted = cli.parse_options(Options, options)
    target = prepared(where, wanted.precision)
    ready = clip.load(wanted, weights, target)

    def units(path: Path, _: object) -> Iterator[np.ndarray]:
        return iter(ready.tokenise(texts(path)).numpy())

    def forward(tokens: Tensor) -> Tensor:
        return clip.forward_text(ready, tokens, wanted.precision)

    run(
        Extractor(
            "clip_text",
            "pipeline_lib.features.clip_text",
            decisive=as_dict(wanted),
            batch=wanted.batch,
            work=Work(units, forward, finish=lambda _, rows: finish(rows)),
        ),
        shard,
        out,
        weights=weights,
        source=captions,
        where=target,
        id_pattern=id_pattern,
        max_failed_fraction=max_failed_fraction,
    )


if __name__ == "__main__":
    cli.run(main)
