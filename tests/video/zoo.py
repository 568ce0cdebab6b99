"""Seeded drawings → video files of every kind that breaks frame-accurate decoding, written with PyAV."""

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipeline_lib.video.encoding import DETERMINISTIC

X264 = DETERMINISTIC.get("x264-params", "")
WIDTH, HEIGHT, FPS = 96, 64, 25
SECONDS = 8


def drawings(count: int = SECONDS * FPS) -> Iterator[np.ndarray]:
    """Frames (HEIGHT, WIDTH, 3) uint8 that all differ: moving squares on a drifting gradient, a cut every 70 frames."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for i in range(count):
        scene = i // 70
        picture = np.stack([(x * 2 + i) % 256, (y * 3 + 40 * scene) % 256, (x + y + 2 * i) % 256], axis=2)
        for k in range(3):
            top, left = (7 * i + 20 * k) % (HEIGHT - 12), (5 * i + 31 * k) % (WIDTH - 12)
            picture[top : top + 12, left : left + 12] = [(80 * k + scene * 50) % 256, 255 - 60 * k, (i * 9) % 256]
        yield picture.astype(np.uint8)


def write(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Callable[[int], float] = lambda i: i / FPS,
    rotation: int = 0,
    tick: Fraction = Fraction(1, 12800),
    format_options: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """Encode the drawings; `times` gives the seconds at which frame i is shown."""
    with av.open(str(path), "w", options=format_options or {}) as container:
        if codec == "libx264":
            options["x264-params"] = ":".join(filter(None, [options.get("x264-params"), X264]))
        stream = container.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        stream.codec_context.time_base = tick
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        for i, picture in enumerate(drawings()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt, threads=1)
            frame.pts, frame.time_base = round(times(i) / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def av1(path: Path) -> Path:
    """In AV1. As root, SVT's encoder makes its caller a real-time process that starves all others: taken back here."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        return write(path, codec="libsvtav1", g="60", preset="10")
    finally:
        os.sched_setscheduler(0, policy, parameters)


def copied(source: Path, path: Path, shift: float, format_options: dict[str, str] | None = None) -> Path:
    """The packets of `source` in another container, shown `shift` seconds later."""
    with av.open(str(source)) as old, av.open(str(path), "w", options=format_options or {}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is None:
                continue
            ticks = round(shift / packet.time_base)
            packet.pts += ticks
            packet.dts += ticks
            packet.stream = stream
            new.mux(packet)
    return path


def timed_as_coded(source: Path, path: Path) -> Path:
    """The packets of `source` with ascending times, as broken writers have them: times of coding, not of showing."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(old.streams.video[0]) if packet.dts is not None]
        for packet, shown in zip(packets, sorted(packet.pts for packet in packets), strict=True):
            packet.pts = packet.dts = shown
            packet.stream = stream
            new.mux(packet)
    return path


def varied(i: int) -> float:
    """Seconds of frame i of a film with a changing rate: 25, then 10, then 50 frames a second."""
    steps = np.concatenate([np.full(80, 0.04), np.full(40, 0.1), np.full(200, 0.02)])
    return float(steps[:i].sum())


H264 = {"g": "50", "bf": "3", "crf": "28"}

#: Name → a function that writes the file into a folder. The second entry says whether decoding is planned.
ZOO: dict[str, tuple[Callable[[Path], Path], bool]] = {
    "h264_b_frames": (lambda d: write(d / "b.mp4", **H264), True),
    "h264_b_pyramid": (lambda d: write(d / "p.mkv", **H264, **{"x264-params": "b-pyramid=normal:ref=4"}), True),
    "h264_open_gop": (
        lambda d: write(d / "o.mkv", **H264, **{"x264-params": "open-gop=1:keyint=30:min-keyint=30"}),
        True,
    ),
    "h264_open_gop_mp4": (lambda d: write(d / "o.mp4", **H264, **{"x264-params": "open-gop=1:keyint=30"}), True),
    "h264_intra_refresh": (lambda d: write(d / "i.mp4", g="40", crf="28", **{"x264-params": "intra-refresh=1"}), True),
    "h264_one_keyframe": (lambda d: write(d / "k.mp4", g="9999", sc_threshold="0", bf="2"), True),
    "h264_variable_rate": (lambda d: write(d / "v.mp4", times=varied, **H264), True),
    "h264_gap": (lambda d: write(d / "gap.mkv", times=lambda i: i / FPS + (5.0 if i >= 90 else 0.0), **H264), True),
    "h264_late_start": (lambda d: copied(write(d / "x.mp4", **H264), d / "late.mkv", 5.0), True),
    "h264_edit_list": (lambda d: copied(write(d / "x.mp4", **H264), d / "e.mp4", -1.5, CUT), True),
    "h264_cut_open_gop": (lambda d: cut_open_gop(d), False),
    "h264_rotated": (lambda d: write(d / "r.mp4", rotation=90, **H264), True),
    "h264_interlaced": (lambda d: write(d / "t.mp4", g="50", flags="+ildct+ilme", **{"x264-params": "tff=1"}), True),
    "h264_10_bit": (lambda d: write(d / "10.mp4", pix_fmt="yuv420p10le", **H264), True),
    "h264_444": (lambda d: write(d / "444.mp4", pix_fmt="yuv444p", **H264), True),
    "h264_ts": (lambda d: write(d / "x.ts", **H264), False),
    "h264_avi": (lambda d: write(d / "x.avi", g="50", bf="0"), False),
    "h264_avi_b_frames": (lambda d: write(d / "x.avi", tick=Fraction(1, FPS), **H264), False),
    "mpeg4_avi_b_frames": (lambda d: write(d / "x.avi", codec="mpeg4", tick=Fraction(1, FPS), g="40", bf="2"), False),
    "h264_coding_times": (lambda d: timed_as_coded(write(d / "x.mp4", **H264), d / "t.mp4"), False),
    "h264_coding_times_mkv": (lambda d: timed_as_coded(write(d / "x.mp4", **H264), d / "t.mkv"), False),
    "hevc": (lambda d: write(d / "h.mp4", codec="libx265", g="50", **{"x265-params": "log-level=none:pools=1"}), True),
    "hevc_open_gop": (
        lambda d: write(d / "h.mkv", codec="libx265", **{"x265-params": "log-level=none:open-gop=1:keyint=30:pools=1"}),
        True,
    ),
    "vp9": (
        lambda d: write(d / "v.webm", codec="libvpx-vp9", g="60", **{"auto-alt-ref": "1", "lag-in-frames": "16"}),
        True,
    ),
    "vp8": (
        lambda d: write(d / "v8.webm", codec="libvpx", g="60", **{"auto-alt-ref": "1", "lag-in-frames": "16"}),
        True,
    ),
    "av1": (lambda d: av1(d / "a.mp4"), True),
    "mpeg4": (lambda d: write(d / "m.mp4", codec="mpeg4", g="40", bf="2"), True),
    "mpeg2": (lambda d: write(d / "m.mpg", codec="mpeg2video", tick=Fraction(1, FPS), g="15", bf="2"), False),
    "mjpeg": (lambda d: write(d / "j.mkv", codec="mjpeg", pix_fmt="yuvj420p"), True),
}
CUT = {"avoid_negative_ts": "disabled", "use_editlist": "1"}


def cut_open_gop(folder: Path) -> Path:
    """A film that begins at an open keyframe, so that its first pictures can't be decoded."""
    source = write(folder / "x.mkv", **H264, **{"x264-params": "open-gop=1:keyint=30:min-keyint=30:scenecut=0"})
    path = folder / "cut.mkv"
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        keys = 0
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is None:
                continue
            keys += packet.is_keyframe
            if keys > 1:
                packet.stream = stream
                new.mux(packet)
    return path
