"""Findings of a video file and limits → the reasons that speak against it, a function per check."""

from collections.abc import Callable

from pipeline_lib.clean.findings import Findings
from pipeline_lib.config.clean import DueDiligence
from pipeline_lib.core.errors import ItemError, Reason

Check = Callable[[Findings, DueDiligence], None]


def readable(found: Findings, options: DueDiligence) -> None:
    """The decoder opened it and stayed within video.limits: not empty, not another kind of file, with a video stream."""
    if found.reason:
        raise ItemError(found.reason, found.detail)


def within_bytes(found: Findings, options: DueDiligence) -> None:
    """The file is not larger than max_bytes."""
    if options.max_bytes is not None and found.bytes > options.max_bytes:
        raise ItemError(Reason.TOO_LARGE, f"{found.bytes} bytes; due_diligence.max_bytes is {options.max_bytes}")


def within_pixels(found: Findings, options: DueDiligence) -> None:
    """The picture is neither too small nor too large."""
    size = f"{found.width}×{found.height}"
    if options.max_pixels is not None and found.width * found.height > options.max_pixels:
        raise ItemError(Reason.TOO_LARGE, f"{size}; due_diligence.max_pixels is {options.max_pixels}")
    if options.min_side is not None and min(found.width, found.height) < options.min_side:
        raise ItemError(Reason.TOO_SMALL, f"{size}; due_diligence.min_side is {options.min_side}")


def whole(found: Findings, options: DueDiligence) -> None:
    """As much can be read as the container declares."""
    if options.duration_tolerance is None:
        return
    if found.bytes < (1.0 - options.duration_tolerance) * found.declared_bytes:
        raise ItemError(Reason.TRUNCATED, f"{found.bytes} of {found.declared_bytes} bytes")
    if not found.duration:
        return
    allowed = options.duration_tolerance * found.duration + 1.0 / max(found.rate, 1.0)
    if found.duration - found.seconds > allowed:
        raise ItemError(Reason.TRUNCATED, f"pictures end at {found.seconds:.1f} s of {found.duration:.1f} s")
    if found.seconds - found.duration > allowed:
        raise ItemError(
            Reason.WRONG_DURATION, f"{found.duration:.1f} s are declared, pictures go on to {found.seconds:.1f} s"
        )


def decodable(found: Findings, options: DueDiligence) -> None:
    """Pictures come out at the first frame, at the last, and at eight places between."""
    if options.decodable and found.faults:
        raise ItemError(Reason.UNDECODABLE, f"{found.faults[0]} ({len(found.faults)} places)")


def within_duration(found: Findings, options: DueDiligence) -> None:
    """The duration lies between min_seconds and max_seconds."""
    if options.max_seconds is not None and found.length > options.max_seconds:
        raise ItemError(Reason.TOO_LONG, f"{found.length:.1f} s; due_diligence.max_seconds is {options.max_seconds}")
    if options.min_seconds is not None and found.length < options.min_seconds:
        raise ItemError(Reason.TOO_SHORT, f"{found.length:.1f} s; due_diligence.min_seconds is {options.min_seconds}")


def frame_rate(found: Findings, options: DueDiligence) -> None:
    """The frames per second lie between min_fps and max_fps."""
    if options.max_fps is not None and found.rate > options.max_fps:
        raise ItemError(Reason.FRAME_RATE, f"{found.rate:.1f} per second; due_diligence.max_fps is {options.max_fps}")
    if options.min_fps is not None and found.rate < options.min_fps:
        raise ItemError(Reason.FRAME_RATE, f"{found.rate:.2f} per second; due_diligence.min_fps is {options.min_fps}")


def not_black(found: Findings, options: DueDiligence) -> None:
    """Some picture shows something."""
    if options.black is not None and found.black >= options.black:
        raise ItemError(
            Reason.BLACK, f"every picture is black to {found.black:.0%}; due_diligence.black is {options.black}"
        )


def moves(found: Findings, options: DueDiligence) -> None:
    """Some part of the picture changes in the course of the video."""
    if options.frozen is not None and found.change < options.frozen:
        raise ItemError(
            Reason.FROZEN,
            f"no part changes by more than {found.change} of 255; due_diligence.frozen is {options.frozen}",
        )


#: In this order; the first that fails gives the reason.
CHECKS: tuple[Check, ...] = (
    within_bytes,
    within_pixels,
    whole,
    decodable,
    within_duration,
    frame_rate,
    not_black,
    moves,
)
