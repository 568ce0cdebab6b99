"""An extractor (how to decode, what to run) and a shard → a feature file per video: what all feature stages share.

Videos are decoded by processes of their own, ahead of the network; batches run across videos.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline_lib.config.video import Limits
from pipeline_lib.core import device, files
from pipeline_lib.core.errors import ItemError, Reason, UserError, one_line
from pipeline_lib.core.items import Item, Write
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import run_stage
from pipeline_lib.features.batching import Batches
from pipeline_lib.features.parallel import Decoder, side_by_side
from pipeline_lib.video.worker import Worker

log = logging.getLogger(__name__)

NOT_DECISIVE = {"batch"}  # how many units go through at once changes no row

Arrays = np.ndarray | dict[str, np.ndarray]


@dataclass(frozen=True)
class Work:
    """What an extractor does to a video.

    Attributes:
        units: a video's file and a decoder → what gets a row each, arrays of any shape.
        forward: a batch of units (B, …) on the device → rows: a tensor (B, d), or a list of B of anything.
        finish: the video's file and its rows → what is stored; float32 (n, d) as they are by default.
    """

    units: Callable[[Path, Decoder], Iterator[np.ndarray]]
    forward: Callable[[Tensor], Tensor | Sequence[Any]]
    finish: Callable[[Path, list[Any]], Arrays] = lambda _, rows: np.stack(rows)


@dataclass(frozen=True)
class Extractor:
    """A feature stage.

    Attributes:
        stage, module: its name, and the dotted name of the module whose code decides the values.
        decisive: the options; those that change no value are left out of the spec.
        batch: units per batch.
        suffix: ".npy" where `work.finish` gives an array, ".npz" where it gives named ones.
    """

    stage: str
    module: str
    decisive: dict[str, Any]
    batch: int
    work: Work
    suffix: str = ".npy"


def prepared(where: str, precision: str) -> torch.device:
    """The device, set up for equal bytes every time, after a look at whether it can do `precision`.

    Raises:
        UserError: it can't, or the GPU is full, taken by a process that shares it with nobody, or too old for this PyTorch.
    """
    device.deterministic()
    target = device.choose(where)
    device.dtype(precision, target)
    if target.index is not None:
        try:
            torch.cuda.set_device(target)
            torch.zeros(1, device=target)
        except RuntimeError as error:
            problem = one_line(str(error).partition("\n")[0])  # behind it, advice for CUDA's programmers
            raise UserError(f"{target} can't be used ({problem}); free it, or take another device") from None
    return target


def run(
    extractor: Extractor,
    shard: Path,
    out: Path,
    *,
    weights: Path,
    source: Path,
    gates: Iterable[Path] = (),
    where: torch.device,
    limits: Limits | None = None,
    decoders: int = 1,
    id_pattern: str = ".*",
    max_failed_fraction: float = 0.5,
) -> None:
    """Bring every video of a shard to a feature file or a reason, then write the ledger `out`.

    Args:
        source: ledger of what is decoded, videos or stored frames.
        where: device; a CPU takes units one by one, which is as fast there and needs the least memory.
        decoders: processes that decode, each a video at a time.
    """
    decisive = {key: value for key, value in extractor.decisive.items() if key not in NOT_DECISIVE}
    run_stage(
        Spec.of(extractor.stage, extractor.module, decisive, files.sha256(weights)),
        shard,
        out,
        produce=partial(produce, extractor=extractor, where=where, limits=limits or Limits(), decoders=decoders),
        suffix=extractor.suffix,
        source=source,
        gates=gates,
        id_pattern=id_pattern,
        max_failed_fraction=max_failed_fraction,
    )


def produce(
    items: list[Item], extractor: Extractor, where: torch.device, limits: Limits, decoders: int
) -> Generator[tuple[Item, Write], None, None]:
    """The stage loop's producer: (video, what writes its features), as they are finished."""
    by_id = {item.video_id: item for item in items}

    def units(video_id: str, decoder: Decoder) -> Iterator[np.ndarray]:
        source = by_id[video_id].source
        assert source is not None
        return extractor.work.units(source, decoder)

    def forward(batch: np.ndarray) -> Sequence[Any]:
        with torch.inference_mode():
            rows = extractor.work.forward(torch.from_numpy(batch).to(where))
        return list(rows.cpu().numpy()) if isinstance(rows, Tensor) else rows

    gpu = where.type == "cuda"
    batches: Batches[str] = Batches(forward, extractor.batch if gpu else 1, fill=gpu)
    began = monotonic()
    with closing(side_by_side(list(by_id), units, decoders, partial(Worker, limits))) as parts:
        for video_id, rows in batches.across(parts):
            item = by_id[video_id]
            yield item, partial(_write, item, rows, extractor)
    seconds = monotonic() - began
    if batches.units:
        busy = batches.busy / seconds
        log.info(
            "%s: %d units, %.2f a second; the network worked %.0f %% of the time and waited for decoding in the rest%s",
            extractor.stage,
            batches.units,
            batches.units / seconds,
            100 * busy,
            "; raise features.decoders" if gpu and busy < 0.7 else "",
        )


def _write(item: Item, rows: list[Any] | ItemError, extractor: Extractor, to: Path) -> int:
    """Store the rows of one video; returns how many."""
    if isinstance(rows, ItemError):
        raise rows
    if not rows:
        raise ItemError(Reason.UNDECODABLE, "no frame is left to make a feature of")
    assert item.source is not None
    found = extractor.work.finish(item.source, rows)
    arrays = found if isinstance(found, dict) else {"": found}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ItemError(Reason.NOT_FINITE, "the network's output holds NaN or Inf")
    with open(to, "wb") as stream:
        if isinstance(found, dict):
            np.savez(stream, allow_pickle=False, **found)
        else:
            np.save(stream, found, allow_pickle=False)
    return len(rows)
