"""A sound video file → the same spoiled in every way that files are spoiled by networks, disks, tools and strangers."""

import io
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

HTML = b"<!DOCTYPE html><html><head><title>Video unavailable</title></head><body>Sorry</body></html>"
PLAYLIST = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
DURATION = b"\x44\x89\x88"  # element of a Matroska header: an eight-byte number follows
BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"}


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(len(content) * share)]


def flip(seed: int, count: int = 40) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        dice, spoiled = random.Random(seed), bytearray(content)
        for _ in range(count):
            spoiled[dice.randrange(len(spoiled))] ^= 1 << dice.randrange(8)
        return bytes(spoiled)

    return change


def hole(content: bytes) -> bytes:
    """A tenth in the middle is zero, as after a download of which a part was lost."""
    start, length = len(content) // 2, len(content) // 10
    return content[:start] + bytes(length) + content[start + length :]


def shuffled(content: bytes) -> bytes:
    """Blocks of 64 kB in another order."""
    blocks = [content[i : i + 65536] for i in range(0, len(content), 65536)]
    random.Random(0).shuffle(blocks)
    return b"".join(blocks)


def without_moov(content: bytes) -> bytes:
    """An MP4 whose index was never written; other containers lose their first eighth."""
    start, end = next(((s, e) for name, s, e in atoms(content) if name == b"moov"), (0, len(content) // 8))
    return content[:start] + content[end:]


def declared(factor: float) -> Callable[[bytes], bytes]:
    """The film in Matroska, with another duration in its header."""

    def change(content: bytes) -> bytes:
        whole = io.BytesIO()
        with av.open(io.BytesIO(content)) as old, av.open(whole, "w", format="matroska") as new:
            stream = new.add_stream_from_template(old.streams.video[0])
            for packet in old.demux(old.streams.video[0]):
                if packet.dts is not None and packet.pts is not None:
                    packet.stream = stream
                    new.mux(packet)
        spoiled = bytearray(whole.getvalue())
        place = spoiled.index(DURATION) + len(DURATION)
        (seconds,) = struct.unpack_from(">d", spoiled, place)
        struct.pack_into(">d", spoiled, place, seconds * factor)
        return bytes(spoiled)

    return change


def atoms(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the boxes of an MP4, and of those inside them."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", content, start)
        if size < 8 or start + size > end:
            return
        yield name, start, start + size
        if name in BOXES:
            yield from atoms(content, start + 8, start + size)
        start += size


def picture(content: bytes) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(stream, "PNG")
    return stream.getvalue()


def archive(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("film.mp4", content[:1000])
    return stream.getvalue()


def sound(content: bytes) -> bytes:
    """A film without a picture: three seconds of a tone."""

    def write(container: av.container.OutputContainer) -> None:
        stream = container.add_stream("aac", rate=16000)
        tone = (np.sin(np.arange(48000) / 10) * 8000).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())

    return _written(write)


def frames(count: int, size: tuple[int, int], codec: str = "libx264", pix_fmt: str = "yuv420p", **options: str):
    """A film of `count` equal pictures."""

    def write(container: av.container.OutputContainer) -> None:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.thread_count = 1
        shades = np.linspace(40, 200, size[0], dtype=np.uint8)
        still = np.broadcast_to(shades[None, :, None], (size[1], size[0], 3))
        for _ in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(still), format="rgb24")))
        container.mux(stream.encode())

    return lambda content: _written(write)


def vast(content: bytes) -> bytes:
    """A picture of 16384 × 16384 in few bytes: an MP4 of one JPEG whose header was changed."""
    small = frames(20, (64, 64), "mjpeg", "yuvj420p")(content)
    spoiled = bytearray(small)
    place = small.find(b"\xff\xc0")
    while place >= 0:
        struct.pack_into(">HH", spoiled, place + 5, 16384, 16384)
        place = small.find(b"\xff\xc0", place + 1)
    return bytes(spoiled)


def _written(write: Callable[[av.container.OutputContainer], None]) -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        write(container)
    return stream.getvalue()


#: Name → what makes it of a sound file.
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "one_byte": lambda content: content[:1],
    "cut_5": cut(0.05),
    "cut_30": cut(0.3),
    "cut_60": cut(0.6),
    "cut_90": cut(0.9),
    "last_byte_missing": lambda content: content[:-1],
    "flipped_0": flip(0),
    "flipped_1": flip(1),
    "flipped_2": flip(2),
    "flipped_much": flip(3, 4000),
    "flipped_header": lambda content: flip(4, 60)(content[:4096]) + content[4096:],
    "header_cut": lambda content: content[100:],
    "header_zero": lambda content: bytes(4096) + content[4096:],
    "moov_missing": without_moov,
    "hole": hole,
    "shuffled": shuffled,
    "twice": lambda content: content + content,
    "all_zero": lambda content: bytes(len(content)),
    "noise": lambda content: random.Random(5).randbytes(min(len(content), 1 << 20)),
    "declared_longer": declared(3.0),
    "declared_shorter": declared(0.4),
    "html": lambda content: HTML,
    "text": lambda content: b"Nothing to see here.\n" * 50,
    "playlist": lambda content: PLAYLIST,
    "concat_list": lambda content: b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "picture": picture,
    "archive": archive,
    "only_sound": sound,
    "one_frame": frames(1, (64, 64)),
    "still": frames(30, (64, 64)),
    "tiny": frames(30, (16, 16)),
    "vast": vast,
}

#: What must come of some of them, whatever the film.
SURE = {
    "empty": {"empty_file"},
    "one_byte": {"not_a_video"},
    "all_zero": {"not_a_video"},
    "html": {"not_a_video"},
    "text": {"not_a_video"},
    "playlist": {"not_a_video"},
    "concat_list": {"not_a_video"},
    "picture": {"not_a_video"},
    "archive": {"not_a_video", "no_video_stream"},
    "only_sound": {"no_video_stream"},
    "one_frame": {"too_short"},
    "still": {"frozen"},
    "declared_longer": {"truncated"},
    "declared_shorter": {"wrong_duration"},
    "tiny": {"too_small"},
    "vast": {"too_large", "undecodable"},
}


def spoil(source: Path, way: str, to: Path) -> Path:
    """Write `source` spoiled in one way."""
    to.write_bytes(WAYS[way](source.read_bytes()))
    return to
