"""Full Ego4D videos and visual-query annotations → OUT/<clip_uid>.mp4, the annotated clips at 5 frames a second.

The frames are those of the official convert_videos_to_clips.py: every (video's rate / clip's rate)-th from video_start_frame
to video_end_frame, both included. Clips that are there already are kept if they are whole, whoever made them.
"""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, FiniteFloat, NonNegativeInt, ValidationError

from pipeline_lib.config.base import as_dict
from pipeline_lib.config.video import Video
from pipeline_lib.config.vq2d import Clips
from pipeline_lib.core import arguments, cli, files, ids
from pipeline_lib.core.errors import ItemError, Reason, UserError, explain
from pipeline_lib.core.spec import Spec
from pipeline_lib.video import transcode
from pipeline_lib.video.worker import Worker
from pipeline_lib.vq2d import annotations, clip_loop

log = logging.getLogger(__name__)

SLACK = 1.0  # seconds that a clip may be shorter than its annotation, as in the official script


class Clip(BaseModel):
    """What an annotation file says of a clip; frames are the video's."""

    video_uid: str
    video_start_frame: NonNegativeInt
    video_end_frame: NonNegativeInt
    video_start_sec: FiniteFloat
    video_end_sec: FiniteFloat
    clip_fps: FiniteFloat

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.video_end_sec - self.video_start_sec

    def step(self, fps: float) -> int:
        """Frames of a video of that rate from one frame of the clip to the next.

        Rates lose their fraction, as in the official script: its 29.97 is 29, which no clip of 5 fits in.

        Raises:
            ItemError: frame_rate.
        """
        ours, clips = int(round(fps, 2)), int(self.clip_fps)
        if clips < 1 or ours < clips or ours % clips:
            raise ItemError(
                Reason.FRAME_RATE,
                f"{fps:.2f} frames a second are no multiple of the clip's {self.clip_fps:g};"
                " convert the video to a multiple (Ego4D's full_scale videos have 30)",
            )
        return ours // clips


def wanted(exports: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every clip of some annotation files by its id, once; clips without an id have no queries that can be asked."""
    clips: dict[str, dict[str, Any]] = {}
    for export in exports:
        for video, clip in annotations.clips(export):
            if clip["clip_uid"] is None:
                continue
            uid = clip["clip_uid"]
            entry = {key: clip.get(key) for key in Clip.model_fields} | {"video_uid": video["video_uid"]}
            if clips.setdefault(uid, entry) != entry:
                raise UserError(f"clip {uid} is annotated twice, with different times; repair the files")
    return clips


@dataclass(frozen=True)
class ClipFiles:
    """The clips as products of clip_loop."""

    videos: Path
    out: Path
    options: Clips
    clips: dict[str, dict[str, Any]]
    suffix: str = ".mp4"

    def version(self, clip_uid: str) -> str:
        """The video's state and the clip's place in it."""
        entry = self.clips[clip_uid]
        return f"{_place(entry)} of {clip_loop.stamp(self.video(entry))}"

    def whole(self, clip_uid: str, receipt: clip_loop.Receipt) -> bool:
        """By its size."""
        return (self.out / f"{clip_uid}.mp4").stat().st_size == receipt["bytes"]

    def make(self, worker: Worker, clip_uid: str, entry: dict[str, Any]) -> clip_loop.Receipt:
        """Keep a whole clip, else cut it out of its video."""
        path = self.out / f"{clip_uid}.mp4"
        try:
            clip = Clip.model_validate(entry)
        except ValidationError as error:
            raise ItemError(Reason.BAD_ANNOTATION, explain(error)) from None
        if clip.video_end_frame < clip.video_start_frame:
            raise ItemError(
                Reason.BAD_ANNOTATION, f"frames {clip.video_start_frame} to {clip.video_end_frame} are not ascending"
            )
        video = self.video(entry)
        place = f"{_place(entry)} of {video.stem}"
        old = self.out / f"{clip_uid}.mp4.old"
        if path.exists() and self._is_moved(clip_uid, place):
            log.info("%s is of another place in the video: it is %s until it is made again", path.name, old.name)
            path.replace(old)  # under its own name it would be searched
        there = self._there(worker, path, clip)
        if not video.is_file():
            if there is not None:
                return {**there, "kept": True, "place": place}
            raise ItemError(Reason.MISSING_FILE, f"{video.name} is not among the videos; download it or leave it out")
        info = worker.probe(video)
        step = clip.step(info.fps)
        expected = (clip.video_end_frame - clip.video_start_frame) // step + 1
        if there is not None and there["frames"] >= expected and there["height"] == self._height(info.height):
            return {**there, "kept": True, "place": place}
        if path.exists():
            log.info("%s is not the whole clip: making it again", path.name)
        with files.atomic(path) as temporary:
            made = worker.call(
                transcode.h264,
                video,
                allowance=info.duration * worker.limits.wall_per_second,
                to=str(temporary),
                first=clip.video_start_frame,
                last=clip.video_end_frame,
                step=step,
                fps=int(clip.clip_fps),
                height=self.options.downscale_height,
                crf=self.options.crf,
            )
            missing = expected - made["frames"]
            if not made["frames"] or missing / clip.clip_fps >= SLACK:
                raise ItemError(
                    Reason.TRUNCATED,
                    f"the video ends after {made['frames']} of the clip's {expected} frames; download it again",
                )
        old.unlink(missing_ok=True)
        return {**made, "missing": missing, "bytes": path.stat().st_size, "kept": False, "place": place}

    def video(self, entry: dict[str, Any]) -> Path:
        """The file that a clip is cut out of."""
        return self.videos / f"{Path(str(entry['video_uid'])).name}.mp4"

    def _height(self, height: int) -> int:
        """That of a clip of a video of `height` pixels."""
        tall = self.options.downscale_height or height
        return tall + tall % 2

    def _is_moved(self, clip_uid: str, place: str) -> bool:
        """Whether the newest receipt says that the clip that is there is of another place; then its length says nothing."""
        try:
            receipts = self.out.glob(f"ledger/items/*/*/{clip_uid}.json")
            newest = max(receipts, key=lambda path: path.stat().st_mtime_ns)
            return bool(json.loads(newest.read_text(encoding="utf-8"))["place"] != place)
        except (OSError, ValueError, KeyError):  # no receipt, or one without a place
            return False

    def _there(self, worker: Worker, path: Path, clip: Clip) -> clip_loop.Receipt | None:
        """What is known of a clip that exists and isn't much shorter than it should be."""
        if not path.is_file():
            return None
        try:
            found: clip_loop.Receipt = worker.call(transcode.examine, path)
        except ItemError as error:
            log.info("%s can't be read (%s)", path.name, error)
            return None
        rate = math.isclose(found["fps"], clip.clip_fps, rel_tol=0.01)
        if not rate or abs(found["frames"] / clip.clip_fps - clip.seconds) >= SLACK:
            return None
        return {**found, "bytes": path.stat().st_size}


def _place(entry: dict[str, Any]) -> str:
    return "-".join(str(entry[key]) for key in ("video_start_frame", "video_end_frame", "clip_fps"))


def main(
    annotated: Annotated[list[Path], typer.Option("--annotations", help="vq_val.json and the like; may be repeated")],
    videos: Annotated[Path, typer.Option(help="folder of VIDEO_UID.mp4")],
    out: Annotated[Path, typer.Option(help="folder of clips, CLIP_UID.mp4, to fill up")],
    downscale_height: Annotated[
        int | None, typer.Option(help="pixels; newer official clips have 700, EgoLoc's the video's")
    ] = None,
    jobs: clip_loop.Jobs = 1,
    shard: clip_loop.Shard = None,
    shards: clip_loop.Shards = 1,
    options: arguments.Options = "{}",
    video: arguments.Video = "{}",
    max_failed_fraction: arguments.MaxFailed = 0.5,
) -> None:
    """Cut the annotated clips out of full videos. Run it again to go on after a stop, or when more videos are there."""
    chosen = cli.parse_options(Clips, options)
    if downscale_height is not None:
        chosen = cli.parse_options(
            Clips, chosen.model_copy(update={"downscale_height": downscale_height}).model_dump_json()
        )
    clips = wanted([annotations.read(path) for path in annotated])
    product = ClipFiles(videos, out, chosen, clips)
    named = {uid: product.video(entry) for uid, entry in clips.items() if ids.is_valid(uid)}
    some_are_there = any((out / f"{uid}.mp4").is_file() for uid in named)  # clips may stay without their videos
    needed = [] if some_are_there else [path.name for path in named.values()]
    fix = "give --videos the folder of VIDEO_UID.mp4, Ego4D's full_scale"
    clip_loop.require(videos, needed, lambda name: (videos / name).is_file(), fix)
    clip_loop.bring(
        product,
        Spec.of("vq2d_clips", "pipeline_lib.video.transcode", as_dict(chosen)),
        clips,
        shard,
        shards,
        jobs,
        cli.parse_options(Video, video, "--video").limits,
        max_failed_fraction,
    )


if __name__ == "__main__":
    cli.run(main)
