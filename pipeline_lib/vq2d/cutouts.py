"""A clip, or the folder of its JPEGs, and boxes → the boxes' pixels as small pictures."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.video.worker import Worker
from pipeline_lib.vq2d.cutting import cut, from_clip
from pipeline_lib.vq2d.frames import image_path

Place = tuple[int, float, float, float, float]  # frame number, x1 y1 x2 y2 in original pixels


class Cutouts:
    """Boxes' pixels of any clip in a folder.

    Args:
        clips: holds <clip_uid>.mp4.
        images: holds <clip_uid>/color_0000000.jpg, …, used if there are no clips.
        naming: of the images, egoloc or official.
        side: of the pictures, in pixels at most.
    """

    def __init__(
        self,
        worker: Worker,
        clips: Path | None,
        images: Path | None = None,
        naming: Literal["egoloc", "official"] = "egoloc",
        side: int = 160,
    ) -> None:
        self._worker, self._clips, self._images = worker, clips, images
        self._naming, self._side = naming, side

    def has(self, clip_uid: str) -> bool:
        """Whether the folder holds the clip."""
        if self._clips is not None:
            return (self._clips / f"{clip_uid}.mp4").is_file()
        return self._images is not None and (self._images / clip_uid).is_dir()

    def of(self, clip_uid: str, places: Sequence[Place], size: tuple[int, int]) -> list[np.ndarray | None]:
        """(h, w, 3) uint8 RGB of each place; None where there is none.

        Args:
            size: width and height of the original frames, which boxes are in pixels of.

        Raises:
            ItemError: missing_file, or the clip can't be decoded.
        """
        if self._clips is not None:
            path = self._clips / f"{clip_uid}.mp4"
            if not self.has(clip_uid):
                raise ItemError(Reason.MISSING_FILE, f"{path} does not exist")
            drawn = self._worker.call(from_clip, path, places=places, width=size[0], height=size[1], side=self._side)
            return [None if one is None else _pixels(base64.b64decode(one)) for one in drawn]
        if self._images is None:
            return [None] * len(places)
        if not self.has(clip_uid):
            raise ItemError(Reason.MISSING_FILE, f"{self._images / clip_uid} does not exist")
        return [self._from_image(self._images, clip_uid, place, size) for place in places]

    def _from_image(self, folder: Path, clip_uid: str, place: Place, size: tuple[int, int]) -> np.ndarray | None:
        try:
            with Image.open(image_path(folder, clip_uid, int(place[0]), self._naming)) as picture:
                pixels = cut(picture.convert("RGB"), place[1:], *size, self._side)
        except OSError:  # no such frame, or no picture
            return None
        return None if pixels is None else np.asarray(pixels)


def _pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        return np.asarray(picture.convert("RGB"))
