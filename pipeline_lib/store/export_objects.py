"""Merged objects.hdf5 → files that other people's code opens: bottom-up-attention TSV or .npz, or MILO's JSON.

    python -m pipeline_lib.store.export_objects work/objects.hdf5 --format tsv --out objects.tsv --sizes work/frames

What each format holds: export_tsv.py, export_npz.py, export_milo.py, and docs/exports.md for users.
"""

import logging
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.core import cli
from pipeline_lib.core.errors import UserError
from pipeline_lib.store import export_milo, export_npz, export_tsv
from pipeline_lib.store.export_source import Names, Source, sizes_from

log = logging.getLogger(__name__)


class Format(StrEnum):
    TSV = "tsv"
    NPZ = "npz"
    MILO = "milo"


#: Options that only some formats have a use for.
_USED_BY = {
    "--sizes": (Format.TSV, Format.NPZ),
    "--integer-ids": (Format.TSV,),
    "--strict-base64": (Format.TSV,),
    "--vocabulary": (Format.MILO,),
    "--np-save-dir": (Format.MILO,),
    "--bbox-save-dir": (Format.MILO,),
}


def main(
    objects: Annotated[Path, typer.Argument(help="merged objects, work/objects.hdf5")],
    kind: Annotated[
        Format,
        typer.Option(
            "--format",
            help="tsv: bottom-up attention, a line per frame; npz: bottom-up-attention.pytorch, a file per frame; "
            "milo: videoID2obj JSON and .npy files per video",
        ),
    ],
    out: Annotated[Path, typer.Option(help="file to write; with npz a folder, new or empty")],
    sizes: Annotated[
        Path | None,
        typer.Option(
            help="tsv, npz: width and height of videos whose group in OBJECTS doesn't say them: "
            "folder of the stored frames (work/frames), or a JSON file {video_id: [width, height]}"
        ),
    ] = None,
    integer_ids: Annotated[
        Path | None,
        typer.Option(
            help="tsv: number the frames 0, 1, 2 …, for readers that call int(image_id), and write "
            "{number: <video_id>_<frame index>} to this JSON file"
        ),
    ] = None,
    strict_base64: Annotated[
        bool,
        typer.Option(
            "--strict-base64",
            help="tsv: no blank before base64 text, for decoders that refuse one; "
            "convert_data.py of the PyTorch port can't read that",
        ),
    ] = False,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="milo: objects_vocab.txt, a line per class; without it a class is called class_17"),
    ] = None,
    np_save_dir: Annotated[
        Path | None, typer.Option(help="milo: new or empty folder for features  [default: objects_npy beside OUT]")
    ] = None,
    bbox_save_dir: Annotated[
        Path | None, typer.Option(help="milo: new or empty folder for boxes  [default: boxes_npy beside OUT]")
    ] = None,
) -> None:
    """Write the object features of all videos in a format that other people's code reads."""
    given = {
        "--sizes": sizes,
        "--integer-ids": integer_ids,
        "--strict-base64": strict_base64,
        "--vocabulary": vocabulary,
        "--np-save-dir": np_save_dir,
        "--bbox-save-dir": bbox_save_dir,
    }
    for option, value in given.items():
        if value and kind not in _USED_BY[option]:
            raise UserError(f"{option} has no use with --format {kind}; leave it out")
    began = time.monotonic()
    with Source(objects) as source:
        if kind is Format.MILO:
            export_milo.require_step(source.step, source.start)
            arrays = np_save_dir or out.parent / "objects_npy", bbox_save_dir or out.parent / "boxes_npy"
            written = export_milo.write(source.videos(), out, Names(vocabulary), *arrays)
        elif kind is Format.NPZ:
            written = export_npz.write(source.videos(sizes_from(sizes)), out)
        else:
            videos = source.videos(sizes_from(sizes))
            written = export_tsv.write(videos, out, integer_ids=integer_ids, blank=not strict_base64)
        log.info("%s: %d videos, %d frames in %.1f s; of %s", out, *written, time.monotonic() - began, source.spec)


if __name__ == "__main__":
    cli.run(main)
