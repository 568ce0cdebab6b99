"""CLIPS/<clip_uid>.mp4 → OUT/<clip_uid>/color_0000000.jpg, …, a JPEG per frame, numbered as EgoLoc or the official code do."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.video import Video
from pipeline_lib.config.vq2d import Images
from pipeline_lib.core import arguments, cli, files
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.spec import Spec
from pipeline_lib.video.jpegs import jpegs
from pipeline_lib.video.worker import Worker
from pipeline_lib.vq2d import clip_lists, clip_loop

#: Pattern of the file names, and the number of the first frame.
NAMING = {"egoloc": ("color_{:07d}.jpg", 0), "official": ("frame_{:07d}.jpg", 1)}


def image_path(folder: Path, clip_uid: str, number: int, naming: str = "egoloc") -> Path:
    """The file of the frame `number` of a clip, counted from 0 whatever the naming."""
    pattern, first = NAMING[naming]
    return folder / clip_uid / pattern.format(first + number)


@dataclass(frozen=True)
class FrameFolders:
    """Folders of JPEGs as products of clip_loop."""

    clips: Path
    out: Path
    options: Images
    suffix: str = ""

    def version(self, clip_uid: str) -> str:
        """The clip's state."""
        return clip_loop.stamp(self._clip(clip_uid))

    def whole(self, clip_uid: str, receipt: clip_loop.Receipt) -> bool:
        """By number and bytes of the files, and the name of the last."""
        last = image_path(self.out, clip_uid, receipt["frames"] - 1, self.options.naming)
        sizes = [entry.stat().st_size for entry in os.scandir(last.parent)]
        return last.exists() and len(sizes) == receipt["frames"] and sum(sizes) == receipt["bytes"]

    def make(self, worker: Worker, clip_uid: str, entry: dict[str, Any]) -> clip_loop.Receipt:
        """Write the folder under another name, then put it in place of the one that may be there."""
        clip, folder = self._clip(clip_uid), self.out / clip_uid
        seconds = worker.probe(clip).duration
        pattern, first = NAMING[self.options.naming]
        temporary = files.partial_name(self.out / clip_uid)
        temporary.mkdir(parents=True)
        try:
            receipt: clip_loop.Receipt = worker.call(
                jpegs,
                clip,
                allowance=seconds * worker.limits.wall_per_second,
                folder=str(temporary),
                pattern=pattern,
                first=first,
                quality=self.options.quality,
            )
            _remove(folder, pattern)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return receipt

    def _clip(self, clip_uid: str) -> Path:
        return self.clips / f"{clip_uid}.mp4"


def _remove(folder: Path, pattern: str) -> None:
    """Delete a folder of older frames, if there is one.

    Raises:
        UserError: it holds something else as well.
    """
    prefix = pattern.partition("{")[0]
    if folder.exists():
        other = next((path for path in folder.iterdir() if not path.name.startswith(prefix)), None)
        if other is not None:
            raise UserError(f"{other} is none of the frames to be replaced; move it away or give another --out")
        shutil.rmtree(folder)


def main(
    clips: Annotated[Path, typer.Option(help="folder of CLIP_UID.mp4")],
    out: Annotated[Path, typer.Option(help="folder to fill up with a folder of JPEGs per clip")],
    naming: Annotated[
        Literal["egoloc", "official"] | None,
        typer.Option(help="egoloc: color_0000000.jpg is the first frame; official: frame_0000001.jpg is"),
    ] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", help="only these: ids, a line each or JSON, or an annotation file")
    ] = None,
    jobs: clip_loop.Jobs = 1,
    shard: clip_loop.Shard = None,
    shards: clip_loop.Shards = 1,
    options: arguments.Options = "{}",
    video: arguments.Video = "{}",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Write every frame of every clip as a JPEG. Run it again to go on after a stop, or when clips are new or changed."""
    chosen = cli.parse_options(Images, options)
    chosen = chosen.model_copy(update={"naming": naming or chosen.naming})
    product = FrameFolders(clips, out, chosen)
    names = sorted(clip_lists.read(listed)) if listed else [path.stem for path in clips.glob("[!.]*.mp4")]
    fix = "give --clips the folder of CLIP_UID.mp4 that pipeline_lib.vq2d.clips makes"
    clip_loop.require(clips, [] if clip_loop.is_filling(clips, shard) else names, product.version, fix)
    if not names and not clip_loop.is_filling(clips, shard):
        raise UserError(f"{clips} holds no clips; {fix}")
    clip_loop.bring(
        product,
        Spec.of("vq2d_frames", "pipeline_lib.video.jpegs", as_dict(chosen)),
        {name: {} for name in names},
        shard,
        shards,
        jobs,
        cli.parse_options(Video, video, "--video").limits,
        max_failed_fraction,
    )


if __name__ == "__main__":
    cli.run(main)
