"""Files with a picture, or a picture and a sound → one mp4 with the same packets; nothing is decoded.

A process of its own, because the files come from strangers: python -m pipeline_lib.collect.remux OUT PICTURE [SOUND]
"""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import av
import typer

from pipeline_lib.core import cli
from pipeline_lib.core.errors import ItemError, Reason, UserError, one_line

TIMEOUT = 600.0  # seconds
_INPUT = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm", "protocol_whitelist": "file"}


def remux(out: Path, *sources: Path) -> None:
    """Write `out` from the first picture and, if there is one, the first sound of the sources, in another process.

    Raises:
        ItemError: not_a_video or no_video_stream for the first source, decoder_crash, decode_timeout.
    """
    command = [sys.executable, "-m", "pipeline_lib.collect.remux", "--", str(out), *map(str, sources)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise ItemError(Reason.DECODE_TIMEOUT, f"remuxing took more than {TIMEOUT:.0f} s") from None
    if done.returncode < 0:
        raise ItemError(Reason.DECODER_CRASH, f"remuxing died of signal {-done.returncode}")
    if done.returncode != 0:
        message = one_line((done.stderr.strip().splitlines() or ["no message"])[-1]).removeprefix("error: ")
        raise ItemError(Reason.NO_VIDEO_STREAM if "no picture" in message else Reason.NOT_A_VIDEO, message)


def merge(out: Path, sources: list[Path]) -> None:
    """The same, in this process. Raises av.error.FFmpegError for files that are none, UserError where nothing is to be seen."""
    with contextlib.ExitStack() as opened:
        taken = [stream for kind in ("video", "audio") if (stream := _first(opened, sources, kind)) is not None]
        if not taken or taken[0].type != "video":
            raise UserError(f"{sources[0].name} has no picture")
        output = opened.enter_context(
            av.open(f"file:{out.absolute()}", "w", format="mp4", container_options={"fflags": "+bitexact"})
        )
        targets = [output.add_stream_from_template(stream) for stream in taken]
        packets = [stream.container.demux(stream) for stream in taken]
        waiting = [_next(one) for one in packets]
        while any(packet is not None for packet in waiting):
            first = min(
                (i for i, one in enumerate(waiting) if one is not None),
                key=lambda i: waiting[i].dts * waiting[i].time_base,
            )
            packet, waiting[first] = waiting[first], None
            packet.stream = targets[first]
            output.mux_one(packet)
            waiting[first] = _next(packets[first])


def _first(opened: contextlib.ExitStack, sources: list[Path], kind: str) -> Any:
    """The first stream of a kind, or None; from a file opened for it alone, as reading one stream skips the others."""
    files = (opened.enter_context(av.open(f"file:{path.absolute()}", options=_INPUT)) for path in sources)
    return next((stream for file in files for stream in file.streams if stream.type == kind), None)


def _next(packets: Any) -> Any:
    """The next packet with a time, or None at the end."""
    return next((packet for packet in packets if packet.dts is not None), None)


def main(
    out: Annotated[Path, typer.Argument(help="mp4 to write")],
    picture: Annotated[Path, typer.Argument(help="mp4 or webm")],
    sound: Annotated[Path | None, typer.Argument(help="m4a or webm")] = None,
) -> None:
    """Put a picture and a sound into one mp4, as they are."""
    try:
        merge(out, [path for path in (picture, sound) if path])
    except (av.error.FFmpegError, ValueError) as error:
        raise UserError(f"can't be remuxed: {one_line(error)}") from None


if __name__ == "__main__":
    cli.run(main)
