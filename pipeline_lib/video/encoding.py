"""Options of the H.264 encoder that make the same pictures give the same bytes on every machine and under any load."""

import platform

from av.video.stream import VideoStream

#: x264's AVX-512 code (PyAV 18.1) gave other bytes in up to half of 40 encodings of the same frames; up to SSE 4.2 and with
#: AVX2 it gave the same ones in 150 of 150. Which instructions are used changes no byte otherwise.
DETERMINISTIC = {"x264-params": "asm=SSE4.2"} if platform.machine() in ("x86_64", "AMD64") else {}


def use_one_thread(stream: VideoStream) -> None:
    """The bytes depend on the number of threads."""
    stream.codec_context.thread_count = 1
