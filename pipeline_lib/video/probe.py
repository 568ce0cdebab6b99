"""Video file → its size, rate, duration and codec, decoding a frame at most; anything else → a reason."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline_lib.core.errors import ItemError, Reason, one_line
from pipeline_lib.video.filters import rotation, upright_size

#: Containers that are opened. Playlists (HLS, concat, DASH) are not among them: they could name local files or hosts.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo"
MAX_STREAMS = 64
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "max_streams": str(MAX_STREAMS)}
MAX_PIXELS = 8192 * 8192  # refused by the decoder itself, before memory is taken


@dataclass(frozen=True)
class VideoInfo:
    """What a container says of its first video stream; seconds, and pixels of the upright picture."""

    width: int
    height: int
    fps: float
    duration: float
    codec: str
    streams: int
    audio: bool


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[InputContainer]:
    """Open a local video file for reading, with playlists and network protocols shut out.

    Raises:
        ItemError: missing_file, empty_file, not_a_video or no_video_stream.
    """
    if not path.is_file():
        raise ItemError(Reason.MISSING_FILE, path.name)
    if path.stat().st_size == 0:
        raise ItemError(Reason.EMPTY_FILE, path.name)
    try:
        # The file: prefix keeps a name such as "concat:x" or "a:b.mp4" from being read as a protocol.
        container = av.open(f"file:{path.absolute()}", options=dict(OPTIONS), metadata_errors="replace")
    except (av.FFmpegError, ValueError, OSError) as error:
        raise ItemError(Reason.NOT_A_VIDEO, f"{_kind(path)} ({complaint(error)})") from None
    with container:
        if not container.streams.video:
            raise ItemError(Reason.NO_VIDEO_STREAM, f"{len(container.streams)} other streams")
        yield container


def probe(path: Path) -> VideoInfo:
    """Size, rate and duration of a video file.

    Raises:
        ItemError: as open_video, or not_a_video when the stream has no picture size.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        if stream.width <= 0 or stream.height <= 0:
            raise ItemError(Reason.NOT_A_VIDEO, "the video stream has no picture size")
        duration = _duration(container)  # before decoding, which may end the stream
        width, height = upright_size(stream.width, stream.height, _rotation(container))
        return VideoInfo(
            width=width,
            height=height,
            fps=float(stream.average_rate or 0),
            duration=duration,
            codec=stream.codec_context.name,
            streams=len(container.streams),
            audio=bool(container.streams.audio),
        )


def complaint(error: Exception) -> str:
    """What ffmpeg says is wrong, without error numbers and paths."""
    return one_line(getattr(error, "strerror", None) or error)


def _rotation(container: InputContainer) -> int:
    """Degrees by which a QuickTime or MP4 video is to be turned, which only its decoded frames tell; 0 for others."""
    if "mov" not in container.format.name:
        return 0
    stream = container.streams.video[0]
    prepare(stream)
    try:
        return next((rotation(picture) for picture in container.decode(stream)), 0)
    except (av.FFmpegError, ValueError):
        return 0


def prepare(stream: VideoStream) -> None:
    """Set up a stream for decoding: bounded pictures, and one thread, since cores are taken by processes."""
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    stream.thread_count = 1


def _duration(container: InputContainer) -> float:
    """Seconds of the first video stream, else of the container, else 0."""
    stream = container.streams.video[0]
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float((container.duration or 0) / av.time_base)


def _kind(path: Path) -> str:
    """What a file that is no video looks like, for the reader of a ledger."""
    with open(path, "rb") as stream:
        head = stream.read(512).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "an HTML page"
    if head.startswith(b"#extm3u"):
        return "a playlist"
    return "no container that is read here"
