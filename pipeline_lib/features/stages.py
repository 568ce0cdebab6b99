"""Command line shared by the stages that make features of whole videos: a shard's list → a feature file per video."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from pipeline_lib.config.base import Section, as_dict
from pipeline_lib.config.video import Video
from pipeline_lib.core import arguments, cli
from pipeline_lib.features.extract import Extractor, Work, prepared, run

Options = TypeVar("Options", bound=Section)

SetUp = Callable[[Any, Path, torch.device, str], Work]  # options, weights file, device, decoder → what is to be done


def video_stage(stage: str, model: type[Options], set_up: SetUp) -> None:
    """Run the command line of a stage named like its module, `pipeline_lib.features.<stage>`.

    Args:
        model: of its options, which have `batch` and `precision`.
    """

    def main(
        shard: arguments.Shard,
        videos: arguments.Videos,
        due_diligence: arguments.DueDiligence,
        weights: arguments.Weights,
        out: arguments.Out,
        options: arguments.Options = "{}",
        video: arguments.Video = "{}",
        where: arguments.Device = "auto",
        decoders: arguments.Decoders = 1,
        id_pattern: arguments.IdPattern = ".*",
        max_failed_fraction: arguments.MaxFailed = 0.5,
    ) -> None:
        wanted: Any = cli.parse_options(model, options)
        decoding = cli.parse_options(Video, video, "--video")
        target = prepared(where, wanted.precision)
        extractor = Extractor(
            stage,
            f"pipeline_lib.features.{stage}",
            decisive={"decoder": decoding.decoder, **as_dict(wanted)},
            batch=wanted.batch,
            work=set_up(wanted, weights, target, decoding.decoder),
        )
        run(
            extractor,
            shard,
            out,
            weights=weights,
            source=videos,
            gates=[due_diligence],
            where=target,
            limits=decoding.limits,
            decoders=decoders,
            id_pattern=id_pattern,
            max_failed_fraction=max_failed_fraction,
        )

    main.__doc__ = f"Make the {stage} features of every usable video of a shard, then write the ledger."
    cli.run(main)
