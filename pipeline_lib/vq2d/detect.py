"""Queries and clips → the official intermediate JSON: boxes and scores in every frame of each query's search window.

    D.json                             baseline_vq3d_detection_….json of EgoLoc
    D.queries/0000.parquet             what became of every query of a shard
    D.queries/items/<spec>/0000/…npz   one per query: a killed run goes on behind the last one

Clips are split into shards; a run with --shard does one of them and writes no D.json, one without does what is left.
"""

import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from pydantic import ValidationError

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.features import Objects
from pipeline_lib.config.video import Video
from pipeline_lib.config.vq2d import Detection
from pipeline_lib.core import arguments, cli, files, ids
from pipeline_lib.core.errors import ItemError, Reason, UserError, explain
from pipeline_lib.core.items import Item, Write
from pipeline_lib.core.ledger import Row
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import run_stage
from pipeline_lib.features.extract import NOT_DECISIVE, prepared
from pipeline_lib.video.worker import Worker
from pipeline_lib.vq2d import annotations, clip_loop, collect
from pipeline_lib.vq2d.annotations import Query
from pipeline_lib.vq2d.clip_reader import Images, Reader, Videos
from pipeline_lib.vq2d.detectors import Detector, build
from pipeline_lib.vq2d.searching import Search, search_clip

log = logging.getLogger(__name__)


def produce(
    items: list[Item], reader: Reader, detector: Callable[[], Detector], options: Detection, batch: int
) -> Generator[tuple[Item, Write], None, None]:
    """The stage loop's producer: the queries clip by clip."""
    by_name = {item.video_id: item for item in items}
    queries = []
    for item in items:
        try:
            query = Query.model_validate(item.entry)
            if query.clip_uid is None or not ids.is_valid(query.clip_uid):
                raise ItemError(Reason.BAD_ANNOTATION, f"clip_uid {query.clip_uid!r} is no clip's id")
        except ValidationError as error:
            yield item, partial(_write, ItemError(Reason.BAD_ANNOTATION, explain(error)))
        except ItemError as error:
            yield item, partial(_write, error)
        else:
            queries.append((item.video_id, query))
    queries.sort(key=lambda one: (str(one[1].clip_uid), one[0]))
    for _, group in groupby(queries, key=lambda one: one[1].clip_uid):
        with torch.inference_mode():
            for name, result in search_clip(list(group), reader, detector, options, batch):
                yield by_name[name], partial(_write, result)


def _write(result: Search | ItemError, to: Path) -> int:
    """Store a query's detections; returns the number of frames searched."""
    if isinstance(result, ItemError):
        raise result
    if not all(np.isfinite(scores).all() for scores in result.scores):
        raise ItemError(Reason.NOT_FINITE, "the network's output holds NaN or Inf")
    with open(to, "wb") as stream:
        np.savez(
            stream,
            allow_pickle=False,
            frames=np.array(result.window, np.int32),
            counts=np.array([len(scores) for scores in result.scores], np.int32),
            boxes=np.concatenate(result.boxes).astype(np.int32),
            scores=np.concatenate(result.scores).astype(np.float32),
            similarity=np.array([np.nan if one is None else one for one in result.similarity], np.float32),
        )
    return len(result.window)


def main(
    annotated: Annotated[
        Path, typer.Option("--annotations", help="list of queries, as pipeline_lib.vq2d.process makes it")
    ],
    out: Annotated[Path, typer.Option(help="detection file to write")],
    weights: Annotated[
        Path, typer.Option(help="of the object detector (pipeline_lib.features.weights), or Siam-RCNN's model.pth")
    ],
    clips: Annotated[Path | None, typer.Option(help="folder of CLIP_UID.mp4")] = None,
    images: Annotated[
        Path | None, typer.Option("--frames", help="folder of a folder of JPEGs per clip, instead")
    ] = None,
    naming: Annotated[Literal["egoloc", "official"], typer.Option(help="of these JPEGs")] = "egoloc",
    shard: clip_loop.Shard = None,
    shards: clip_loop.Shards = 1,
    options: arguments.Options = "{}",
    objects: Annotated[str, typer.Option(help="the features.objects section of the configuration, as JSON")] = "{}",
    video: arguments.Video = "{}",
    where: arguments.Device = "auto",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Search every query's crop in its clip. Run it again to go on after a stop; what can't be searched is named and left out."""
    wanted, regions = cli.parse_options(Detection, options), cli.parse_options(Objects, objects, "--objects")
    if (clips is None) == (images is None):
        raise UserError("give either --clips or --frames")
    numbers = clip_loop.numbers(shard, shards)
    if not weights.is_file():
        raise UserError(
            f"--weights {weights} does not exist; make it with pipeline_lib.features.weights, or download it"
        )
    queries = collect.named(annotations.read_flat(annotated))
    ledgers = out.parent / f"{out.name.removesuffix('.gz').removesuffix('.json')}.queries"
    target = prepared(where, wanted.precision)
    batch = wanted.batch if target.type == "cuda" else 1  # as every stage: on a CPU larger ones gain nothing
    decisive = {key: value for key, value in as_dict(wanted).items() if key not in NOT_DECISIVE}
    spec = Spec.of(
        "vq2d_detect",
        "pipeline_lib.vq2d.detect",
        {**decisive, "network": regions.network, "naming": naming if images else None},
        files.sha256(weights),
    )
    detector = cache(lambda: build(weights, wanted, regions, target))
    rows: dict[str, Row] = {}
    with ExitStack() as closing:
        worker = closing.enter_context(Worker(cli.parse_options(Video, video, "--video").limits))
        reader: Reader = Images(images, naming) if images else Videos(clips or Path(), worker)
        folder = images or clips or Path()
        uids = [] if clip_loop.is_filling(folder, shard) else [str(query.get("clip_uid")) for query in queries.values()]
        what = "frames" if images else "clips"
        fix = f"give --{what} the folder that pipeline_lib.vq2d.{what} fills for these queries"
        clip_loop.require(folder, uids, reader.version, fix)
        if not ledgers.exists():
            detector()  # wrong weights are to be told before a folder is made; later it is built when it is needed

        def version(name: str) -> str:
            query = queries[name]
            return f"{collect.digest(query)} in {reader.version(str(query.get('clip_uid')))}"

        for number in numbers:
            ledger = ledgers / f"{ids.shard_name(number)}.parquet"
            mine = {
                name: query
                for name, query in queries.items()
                if ids.shard_of(str(query.get("clip_uid")), shards) == number
            }
            files.write_json(ledger.with_suffix(".json"), mine)
            rows |= run_stage(
                spec,
                ledger.with_suffix(".json"),
                ledger,
                produce=partial(produce, reader=reader, detector=detector, options=wanted, batch=batch),
                suffix=".npz",
                version=version,
                max_failed_fraction=max_failed_fraction,
            )
    if shard is None:
        collect.write(out, queries, rows, ledgers.absolute().parent)
    else:
        collect.report(rows)


if __name__ == "__main__":
    cli.run(main)
