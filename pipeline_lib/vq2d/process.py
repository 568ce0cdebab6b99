"""vq_{train,val}.json or vq_test_unannotated.json → {split}_annot.json.gz, the list of queries that every later step reads."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.core import cli
from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import annotations, clip_lists, json_files

log = logging.getLogger(__name__)

_SHOWN = 20  # doubtful or malformed queries that are named; all are counted


class Split(StrEnum):
    """The splits of Ego4D."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def process(
    source: Path, split: str, out: Path, clips: set[str] | None = None, is_named_for: bool = False
) -> annotations.Flattened:
    """Write the queries of a split, print how many there are, and name what is wrong with them.

    Args:
        is_named_for: the split is taken from the file's name, as --annot-root does.
    """
    try:
        flattened = annotations.flatten(annotations.read(source), split, clips)
    except annotations.OtherSplit as error:
        fix = f"give --split {error.found}"
        if is_named_for:
            fix = f"--annot-root goes by names: rename the file, or {fix} with --annotations and --out in place of it"
        raise UserError(f"{source}: {error}; {fix}") from None
    except UserError as error:
        raise UserError(f"{source}: {error}" if str(source) not in str(error) else str(error)) from None
    for what, mistakes in (("left out", flattened.malformed), ("can't be searched", flattened.doubtful)):
        for mistake in mistakes[:_SHOWN]:
            log.warning("%s: %s", what, mistake)
        if len(mistakes) > _SHOWN:
            log.warning("%s: %d more", what, len(mistakes) - _SHOWN)
    if early := flattened.early:
        shown = ", ".join([*early[:_SHOWN], *(["…"] if len(early) > _SHOWN else [])])
        count = len(flattened.queries)
        log.info("%d of %d queries are before their crop, which is no mistake: %s", len(early), count, shown)
    if clips is not None:
        absent = clips - {query["clip_uid"] for query in flattened.queries}
        if absent:
            log.warning("%d of %d listed clips have no query in %s", len(absent), len(clips), source)
    if not flattened.queries:
        raise UserError(
            f"{source}: no valid query{' on the clips listed' if clips else ''}; check the file and --clips"
        )
    json_files.write(out, flattened.queries)
    for name, count in flattened.counts.items():
        print(f"# {name:<11}: {count}")
    if flattened.malformed or flattened.doubtful:
        print(f"# left out   : {len(flattened.malformed)} malformed")
        print(f"# doubtful   : {len(flattened.doubtful)}, kept")
    return flattened


def main(
    source: Annotated[Path | None, typer.Option("--annotations", help="one annotation file of Ego4D's VQ")] = None,
    split: Annotated[Split | None, typer.Option(help="that the file is of")] = None,
    out: Annotated[Path | None, typer.Option(help="list of queries to write; packed if it ends with .gz")] = None,
    annot_root: Annotated[
        Path | None, typer.Option(help="folder with vq_train.json and vq_val.json: does both")
    ] = None,
    save_root: Annotated[Path | None, typer.Option(help="folder for {train,val}_annot.json.gz [--annot-root]")] = None,
    clips: Annotated[
        Path | None, typer.Option(help="use only these: ids, a line each or JSON, or VQ3D's annotations or mapping")
    ] = None,
) -> None:
    """Flatten Ego4D's visual queries as process_vq_dataset.py does: one file, or train and val with --annot-root."""
    wanted = clip_lists.read(clips) if clips else None
    if annot_root is not None:
        if source or split or out:
            raise UserError("--annot-root does train and val; leave out --annotations, --split and --out")
        for one in (Split.TRAIN, Split.VAL):
            print(f"========> Processing {one} data")
            name = f"{one}_annot.json.gz"
            process(annot_root / f"vq_{one}.json", one, (save_root or annot_root) / name, wanted, is_named_for=True)
        return
    if source is None or split is None or out is None:
        raise UserError("give --annotations, --split and --out, or --annot-root alone")
    process(source, split, out, wanted)


if __name__ == "__main__":
    cli.run(main)
