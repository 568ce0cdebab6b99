"""Video file → what can be said of it without opinion: its container, its extent, its pictures, their perceptual hashes."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from PIL import Image

from pipeline_lib.video.probe import VideoInfo, probe
from pipeline_lib.video.survey import Extent, Picture, survey

PICTURES = 8  # hashed, in the middles of equal parts of the video
SIDE = 64  # pixels of the square they are looked at in
BLOCK = 4  # pixels of the square parts that change or don't
BLACK_LEVEL = 0.10 * 255  # up to which a pixel is black, as in ffmpeg's blackdetect
UNFINISHED = 0xFFFFFFF0  # sizes from here on stand for "not known yet"
FLAT = 5.0  # standard deviation below which a picture has nothing to hash


@dataclass(frozen=True)
class Findings:
    """What was found in a file.

    Attributes:
        bytes: of the file.
        reason, detail: why it can't be read as a video; "" if it can, and only then the rest says something.
        width, height, fps, duration, codec, streams, audio: what the container declares; duration 0 where it doesn't.
        seconds, packets: how long the frames go on that are really there, and their number.
        declared_bytes: that the file should have by its header; 0 where it doesn't say.
        faults: places where nothing could be decoded, with why; at most ten.
        black: least share of black pixels in any picture; 0 without pictures.
        change: most levels of 255 that any part of the picture changes by; 0 with fewer than two pictures.
        hashes: 64-bit perceptual hashes as hex, null for a picture that is missing or shows one colour.
    """

    bytes: int
    reason: str = ""
    detail: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration: float = 0.0
    codec: str = ""
    streams: int = 0
    audio: bool = False
    seconds: float = 0.0
    packets: int = 0
    declared_bytes: int = 0
    faults: list[str] = field(default_factory=list)
    black: float = 0.0
    change: float = 0.0
    hashes: list[str | None] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Frames per second, counted; as declared where there is only one."""
        return self.packets / self.seconds if self.packets > 1 and self.seconds > 0 else self.fps

    @property
    def length(self) -> float:
        """Seconds as declared, else as found."""
        return self.duration or self.seconds


def look(path: Path) -> dict[str, Any]:
    """The findings of a readable file, as a plain dictionary: this runs in the decoding process.

    Raises:
        ItemError: as probe.probe.
    """
    info: VideoInfo = probe(path)
    extent, pictures = Extent(0.0, 0), []
    for one in survey(path, PICTURES, SIDE):
        if isinstance(one, Extent):
            extent = one
        else:
            pictures.append(one)
    grey = [np.asarray(Image.fromarray(one.pixels).convert("L")) for one in pictures if one.pixels is not None]
    found = Findings(
        bytes=path.stat().st_size,
        **asdict(info),
        seconds=round(extent.seconds, 6),
        packets=extent.packets,
        declared_bytes=_declared_bytes(path),
        faults=[f"{_place(one)}: {one.fault}" for one in pictures if one.pixels is None],
        black=round(min((float((one <= BLACK_LEVEL).mean()) for one in grey), default=0.0), 4),
        change=round(_change(grey), 2),
        hashes=[_hash(one) for one in pictures[1:-1]],
    )
    return asdict(found)


def _declared_bytes(path: Path) -> int:
    """The size in the header of an AVI, from whose real size ffmpeg guesses the duration when it is cut off."""
    with open(path, "rb") as stream:
        head = stream.read(12)
    size = int.from_bytes(head[4:8], "little")
    return size + 8 if head[:4] == b"RIFF" and head[8:] == b"AVI " and size < UNFINISHED else 0


def _place(picture: Picture) -> str:
    name = {0: "first", PICTURES // 2 + 1: "middle", PICTURES + 1: "last"}.get(picture.place, "a")
    return f"{name} picture, at {picture.time:.1f} s"


def _change(pictures: list[np.ndarray]) -> float:
    """The largest difference over time of the mean level of any block."""
    if len(pictures) < 2:
        return 0.0
    parts = SIDE // BLOCK
    means = np.stack([one.reshape(parts, BLOCK, parts, BLOCK).mean((1, 3)) for one in pictures])
    return float(np.ptp(means, axis=0).max())


def _hash(picture: Picture) -> str | None:
    if picture.pixels is None:
        return None
    grey = Image.fromarray(picture.pixels).convert("L")
    return None if np.asarray(grey).std() < FLAT else str(imagehash.phash(grey))
