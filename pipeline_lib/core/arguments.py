"""Command-line arguments that several stages take, declared once."""

from pathlib import Path
from typing import Annotated

import typer

Shard = Annotated[Path, typer.Argument(help="list of videos, shards/0000.json")]
Out = Annotated[Path, typer.Option(help="ledger to write, <work>/<stage>/0000.parquet")]
Videos = Annotated[Path, typer.Option(help="ledger of the videos")]
DueDiligence = Annotated[Path, typer.Option(help="ledger of due diligence: only videos that are ok in it are used")]
Options = Annotated[
    str, typer.Option(help="this stage's section of the configuration, as JSON; keys left out keep defaults")
]
Video = Annotated[
    str,
    typer.Option(
        help="the video section of the configuration, as JSON: decoder and limits; keys left out keep defaults"
    ),
]
Decoders = Annotated[int, typer.Option(min=1, help="processes that decode, each a video at a time")]
IdPattern = Annotated[str, typer.Option(help="regular expression that a whole video id must match")]
MaxFailed = Annotated[float, typer.Option(help="share of the shard that may fail for one transient reason")]
Seed = Annotated[int, typer.Option(help="of generated videos and untrained weights")]
Weights = Annotated[Path, typer.Option(help="weights file, as made by pipeline_lib.features.weights")]
Device = Annotated[str, typer.Option("--device", help="auto | cpu | cuda | cuda:1")]
Shards = Annotated[int, typer.Option(help="number of shards")]
Frames = Annotated[Path, typer.Option("--frames", help="ledger of the stored frames")]
