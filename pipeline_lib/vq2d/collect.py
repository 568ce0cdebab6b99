"""Ledgers of searched queries → the official intermediate JSON of all of them, in the order of the list of queries."""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pipeline_lib.core import cli, ledger
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import Row
from pipeline_lib.vq2d import annotations, detections
from pipeline_lib.vq2d.annotations import Json
from pipeline_lib.vq2d.clip_loop import summary

log = logging.getLogger(__name__)

SHOWN = 20  # queries that are named when they are left out; all are counted


def named(queries: list[Json]) -> dict[str, Json]:
    """The queries by their dataset_uid, or, where they have none, by their place in the list."""
    return annotations.unique(
        (str(query.get("dataset_uid") or f"test_{i:010d}"), query) for i, query in enumerate(queries)
    )


def digest(query: Json) -> str:
    """Of everything that is annotated, so that a search can be told from one of another query of that name."""
    text = json.dumps(query, sort_keys=True)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]


def collected(queries: dict[str, Json], rows: dict[str, Row], root: Path) -> Iterator[detections.QueryDetections]:
    """The detections of the queries that have some, in the order of the list."""
    for name, query in queries.items():
        row = rows[name]
        if not row.ok:
            continue
        if row.source_sha256.partition(" ")[0] != digest(query):
            raise UserError(
                f"query {name} is not what was searched under that name; run pipeline_lib.vq2d.detect again"
            )
        try:
            with np.load(root / str(row.artefact), allow_pickle=False) as stored:
                frames, counts, similarity = stored["frames"], stored["counts"], stored["similarity"]
                ends = np.cumsum(counts)[:-1]
                boxes, scores = np.split(stored["boxes"], ends), np.split(stored["scores"], ends)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(
                f"the detections of query {name} are gone or damaged ({error}); run pipeline_lib.vq2d.detect again,"
                " in the workflow after pipeline_lib.core.check"
            ) from None
        plain = bool((frames == np.arange(len(frames))).all())
        known = not np.isnan(similarity).all()
        yield detections.QueryDetections(
            dataset_uid=query.get("dataset_uid") or query,
            clip_uid=query["clip_uid"],
            query_frame=query["query_frame"],
            visual_crop=query["visual_crop"],
            boxes=boxes,
            scores=scores,
            response_track=query.get("response_track"),
            metadata=None if query.get("dataset_uid") else query["metadata"],
            frames=None if plain else frames.tolist(),
            clip_similarity=[None if np.isnan(one) else float(one) for one in similarity] if known else None,
        )


def write(out: Path, queries: dict[str, Json], rows: dict[str, Row], root: Path) -> None:
    """Write the detection file, name what is left out, and count.

    Args:
        rows: of all queries, made from these.
        root: folder that the ledgers' artefacts are relative to.
    """
    missing = next((name for name in queries if name not in rows), None)
    if missing is not None:
        raise UserError(
            f"no ledger has query {missing}; give the ledgers of all shards, made from this list of queries"
        )
    report({name: rows[name] for name in queries})
    written = detections.write(out, collected(queries, rows, root))
    if written:
        log.info("%s: %d of %d queries", out, written, len(queries))
    else:
        log.warning("%s is empty: none of %d queries could be searched, for the reasons above", out, len(queries))


def report(rows: dict[str, Row]) -> None:
    """Name and count the queries that are left out."""
    failed = [(name, row) for name, row in rows.items() if not row.ok]
    for name, row in failed[:SHOWN]:
        log.warning("left out: %s: %s: %s", name, row.reason, row.detail)
    log.info("queries: %s", summary(rows))


def main(
    ledgers: Annotated[list[Path], typer.Argument(help="of pipeline_lib.vq2d.detect, one per shard")],
    annotated: Annotated[Path, typer.Option("--annotations", help="the list of queries that they are made from")],
    out: Annotated[Path, typer.Option(help="detection file to write; packed if it ends with .gz")],
) -> None:
    """Write the detections of all shards as one file."""
    rows: dict[str, Row] = {}
    for path in ledgers:
        rows |= ledger.read(path)
    if len({row.spec for row in rows.values()}) > 1:
        raise UserError("the ledgers are of different options, weights or code; run pipeline_lib.vq2d.detect again")
    roots = {ledger.root(path) for path in ledgers}
    if len(roots) > 1:
        raise UserError("the ledgers lie in different folders; give those of one, with the items beside them")
    write(out, named(annotations.read_flat(annotated)), rows, roots.pop())


if __name__ == "__main__":
    cli.run(main)
