"""CSV of video_path,feature_path → a .npy of features at each feature_path: video_feature_extractor's command line.

python -m pipeline_lib.features.from_csv --csv list.csv --type 3d --resnext101-model-path model/resnext101.pth

The options are those of antoine77340/video_feature_extractor (extract.py), with underscores too. Several processes may
share a list, as there: each begins at another place and leaves alone what is done. Unlike there, a video without
features is reported with a reason, one of a single frame gets its row, and files are whole or absent.
"""

import csv
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from pipeline_lib.core import arguments, checkpoint, cli, files
from pipeline_lib.core.errors import ItemError, Reason, UserError, one_line
from pipeline_lib.features import resnet152, resnext101
from pipeline_lib.features.batching import Batches
from pipeline_lib.features.embed import finish
from pipeline_lib.features.extract import prepared
from pipeline_lib.features.nets import resnet2d, resnet_fast, resnext3d
from pipeline_lib.features.parallel import Decoder, side_by_side
from pipeline_lib.video.probe import VideoInfo
from pipeline_lib.video.sampling import Sampling
from pipeline_lib.video.worker import Worker

log = logging.getLogger(__name__)

HEADER = ["video_path", "feature_path"]
Store = Callable[[list[Any]], np.ndarray]  # the rows of a video → what its file holds
WRITTEN, PRESENT = "written", "already there"


@dataclass(frozen=True)
class Row:
    """A line of the list."""

    video: Path
    features: Path


@dataclass(frozen=True)
class Extractor:
    """What --type chooses, with its default options bound."""

    build: Callable[[], nn.Module]
    sampling: Callable[[VideoInfo], Sampling]
    units: Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]]
    forward: Callable[[nn.Module, Tensor], Tensor]
    faster: Callable[[Any], nn.Module]


def extractor(kind: str) -> Extractor:
    """The extractor of --type."""
    if kind == "2d":
        flat = resnet152.Options()
        return Extractor(
            resnet2d.build,
            partial(resnet152.sampling, options=flat),
            partial(resnet152.units, options=flat),
            resnet152.forward,
            resnet_fast.optimise,
        )
    if kind == "3d":
        deep = resnext101.Options()
        return Extractor(
            resnext3d.ResNeXt3D,
            partial(resnext101.sampling, options=deep),
            partial(resnext101.units, options=deep),
            resnext101.forward,
            resnet_fast.fold_norms,
        )
    raise UserError(f"--type {kind!r}: choose 2d or 3d")


def read(path: Path) -> list[Row]:
    """The rows of a list, repeated ones once.

    Raises:
        UserError: missing or unreadable file, another header, a line without two values, or two videos for one file.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            header = next(lines, [])
            if header != HEADER:
                raise UserError(f"{path} begins with {','.join(header)!r}; its first line has to be {','.join(HEADER)}")
            rows: dict[Path, Row] = {}
            for values in lines:
                if not values:
                    continue
                if len(values) != len(HEADER) or not all(value.strip() for value in values):
                    raise UserError(f"{path}, line {lines.line_num}: {','.join(HEADER)} expected, found {values}")
                row = Row(Path(values[0]), Path(values[1]))
                if rows.setdefault(row.features, row) != row:
                    raise UserError(
                        f"{path}, line {lines.line_num}: {row.features} is the feature_path of another video too"
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"--csv {path} can't be read ({one_line(error)}); give a CSV file with the header {','.join(HEADER)}"
        ) from None
    return list(rows.values())


def units(row: Row, kind: Extractor, decoder: Decoder) -> Iterator[np.ndarray]:
    """What goes into the network for one video; nothing when its features are there.

    Raises:
        ItemError: the video isn't there or can't be decoded.
    """
    if not row.features.is_file():
        if not row.video.exists():
            raise ItemError(Reason.MISSING_FILE, f"{row.video} does not exist; correct its path in the list")
        shown = decoder.frames(row.video, kind.sampling(decoder.probe(row.video)))
        yield from kind.units(frame.pixels for frame in shown)


def write(row: Row, rows: list[Any] | ItemError, store: Store) -> str:
    """Store the rows of one video, at its feature_path and nowhere else; returns what became of it.

    Raises:
        ItemError: there are no rows to store.
        UserError: the path can't be written.
    """
    if isinstance(rows, ItemError):
        raise rows
    if not rows:
        if row.features.is_file():
            return PRESENT
        raise ItemError(Reason.UNDECODABLE, "no frame")
    stored = store(rows)
    if not np.isfinite(stored).all():
        raise ItemError(Reason.NOT_FINITE, "the network's output holds NaN or Inf")
    try:
        with files.atomic(row.features) as temporary, open(temporary, "wb") as stream:
            np.save(stream, stored, allow_pickle=False)
    except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        raise UserError(f"feature_path {row.features} can't be written ({one_line(error)})") from None
    return WRITTEN


def extract(
    rows: list[Row],
    kind: Extractor,
    batches: Batches[Row],
    store: Store,
    decoders: int,
    decoder: Callable[[], AbstractContextManager[Decoder]],
) -> Counter[str]:
    """Bring every row to a file or a reason; returns how many came to what.

    Args:
        decoders: videos decoded side by side.
        decoder: opens a context that gives a Decoder.
    """
    outcomes: Counter[str] = Counter()
    with closing(side_by_side(rows, lambda row, one: units(row, kind, one), decoders, decoder)) as parts:
        for row, found in batches.across(parts):
            try:
                outcome = write(row, found, store)
                log.info("%d/%d %s: %s", outcomes.total() + 1, len(rows), row.features, outcome)
            except ItemError as error:
                outcome = error.reason
                log.warning("%d/%d %s: %s", outcomes.total() + 1, len(rows), row.video, error)
            outcomes[outcome] += 1
    return outcomes


def summary(outcomes: Counter[str]) -> str:
    """One line: 5 videos: 2 written, 1 already there, 2 without features (missing_file 1, undecodable 1)."""
    line = f"{outcomes.total()} videos: {outcomes[WRITTEN]} {WRITTEN}, {outcomes[PRESENT]} {PRESENT}"
    bad = {what: n for what, n in sorted(outcomes.items()) if what not in (WRITTEN, PRESENT)}
    if bad:
        line += f", {sum(bad.values())} without features ({', '.join(f'{what} {n}' for what, n in bad.items())})"
    return line


def main(
    listed: Annotated[Path, typer.Option("--csv", help="list with the header video_path,feature_path")],
    kind: Annotated[str, typer.Option("--type", help="2d: ResNet-152 | 3d: ResNeXt-101")] = "2d",
    batch: Annotated[int, typer.Option("--batch-size", "--batch_size", min=1)] = 64,
    half: Annotated[int, typer.Option("--half-precision", "--half_precision", min=0, max=1, help="float16 rows")] = 1,
    threads: Annotated[int, typer.Option("--num-decoding-thread", "--num_decoding_thread", min=0)] = 4,
    unit: Annotated[int, typer.Option("--l2-normalize", "--l2_normalize", min=0, max=1, help="rows of length 1")] = 1,
    resnext: Annotated[
        Path, typer.Option("--resnext101-model-path", "--resnext101_model_path", help="checkpoint for --type 3d")
    ] = Path("model/resnext101.pth"),
    weights: Annotated[Path | None, typer.Option(help="checkpoint for either type; goes before the other")] = None,
    where: arguments.Device = "auto",
) -> None:
    """Extract the features of every video of a list."""
    chosen = extractor(kind)
    rows = read(listed)
    if weights is None and kind == "2d":
        raise UserError(
            "--type 2d needs --weights: resnet152-394f9c45.pth of torchvision, or a file of features.weights"
        )
    target = prepared(where, "fp32")
    net = chosen.faster(checkpoint.load(chosen.build(), weights or resnext).to(target))
    gpu = target.type == "cuda"

    def forward(units: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return list(chosen.forward(net, torch.from_numpy(units).to(target)).cpu().numpy())

    random.shuffle(rows)  # processes that share a list meet less; the files don't depend on the order
    outcomes = extract(
        rows,
        chosen,
        Batches(forward, batch if gpu else 1, fill=gpu),  # one by one is as fast on a CPU
        partial(finish, l2_normalize=bool(unit), half_precision=bool(half)),
        max(1, threads),
        Worker,
    )
    log.info("%s", summary(outcomes))


if __name__ == "__main__":
    cli.run(main)
