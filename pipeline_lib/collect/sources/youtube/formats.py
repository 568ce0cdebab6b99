"""Formats that a page offers → the files to download: H.264 in mp4 first, else the best that the decoder reads."""

from collections.abc import Sequence
from typing import Any

from pipeline_lib.config.youtube import VideoChoice
from pipeline_lib.core.errors import ItemError, Reason

Format = dict[str, Any]

#: What a file may be called, whatever a site says (CVE-2024-38519); also what the decoder reads.
VIDEO_EXTENSIONS, AUDIO_EXTENSIONS = ("mp4", "webm"), ("m4a", "mp4", "webm")
_CODECS = ("avc1", "vp9", "vp09", "av01", "h264")


def choose(formats: Sequence[Format], options: VideoChoice) -> list[Format]:
    """One format with picture and sound, or one of the picture followed by one of the sound.

    Args:
        formats: as yt-dlp sorts them, the worst first.

    Raises:
        ItemError: no_video_stream, drm_protected, or too_large for the smallest one.
    """
    pictures = [one for one in formats if _is_direct(one, VIDEO_EXTENSIONS) and _codec(one, "vcodec")]
    pictures = [one for one in pictures if str(one["vcodec"]).startswith(_CODECS)]
    if not pictures:
        drm = any(one.get("has_drm") for one in formats)
        raise ItemError(
            Reason.DRM_PROTECTED if drm else Reason.NO_VIDEO_STREAM,
            f"none of {len(formats)} formats is a file with a picture that can be decoded",
        )
    ranked = sorted(enumerate(pictures), key=lambda one: (_rank(one[1], options), one[0]), reverse=True)
    sounds = [one for one in formats if _is_sound(one)]
    for _, picture in ranked:
        files = [picture]
        if options.audio and not _codec(picture, "acodec") and sounds:
            fitting = [one for one in sounds if one["ext"] in ("m4a", "mp4")] if picture["ext"] == "mp4" else sounds
            files.append((fitting or sounds)[-1])
        if _bytes(files) <= options.max_bytes:
            return files
    raise ItemError(
        Reason.TOO_LARGE,
        f"the smallest format has {_bytes([ranked[-1][1]])} bytes; videos.max_bytes is {options.max_bytes}",
    )


def sound(formats: Sequence[Format], max_bytes: int) -> Format:
    """The format to recognise speech in: the smallest sound alone, else the smallest file that has sound."""
    alone = [one for one in formats if _is_sound(one)]
    heard = alone or [one for one in formats if _is_direct(one, VIDEO_EXTENSIONS) and _codec(one, "acodec")]
    if not heard:
        raise ItemError(Reason.NO_CAPTIONS, "no captions, and no sound to recognise speech in")
    smallest = min(heard, key=lambda one: _bytes([one]))
    if _bytes([smallest]) > max_bytes:
        raise ItemError(Reason.TOO_LARGE, f"the sound has {_bytes([smallest])} bytes; videos.max_bytes is {max_bytes}")
    return smallest


def _rank(one: Format, options: VideoChoice) -> tuple[bool, bool, int, bool]:
    """What makes a picture better: not too high, H.264 in mp4, then height, then sound in the same file."""
    height = one.get("height") or 0
    low = 0 < height <= options.max_height
    return low, low and _is_h264(one), height if low else -height, options.audio and _codec(one, "acodec")


def _is_h264(one: Format) -> bool:
    return one["ext"] == "mp4" and str(one["vcodec"]).startswith(("avc1", "h264"))


def _is_sound(one: Format) -> bool:
    return _is_direct(one, AUDIO_EXTENSIONS) and _codec(one, "acodec") and not _codec(one, "vcodec")


def _is_direct(one: Format, extensions: tuple[str, ...]) -> bool:
    """Whether a format is one file behind an https address, without copy protection."""
    return one.get("protocol") == "https" and one.get("ext") in extensions and not one.get("has_drm")


def _codec(one: Format, key: str) -> bool:
    return one.get(key) not in (None, "none")


def _bytes(files: Sequence[Format]) -> int:
    """Bytes of some formats as far as declared; what isn't is checked while it comes."""
    return sum(int(one.get("filesize") or one.get("filesize_approx") or 0) for one in files)
