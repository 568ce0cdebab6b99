from collections import Counter

import av
import numpy as np
import pytest

from pipeline_lib.collect import remux
from pipeline_lib.core.errors import ItemError, Reason


def frames(path):
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]


def packets(path):
    with av.open(f"file:{path}") as container:
        return Counter(packet.stream.type for packet in container.demux() if packet.size)


@pytest.fixture
def webm(tmp_path, video):
    """The same pictures as `video`, in a container of YouTube's other kind."""
    path = tmp_path / "a.webm"
    with av.open(str(video)) as source, av.open(str(path), "w", format="webm") as target:
        stream = target.add_stream("libvpx-vp9", rate=10, options={"lossless": "1", "cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in source.decode(video=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return path


def test_the_same_pictures_in_an_mp4(webm, tmp_path):
    remux.remux(tmp_path / "out.mp4", webm)
    assert [picture for _, picture in frames(tmp_path / "out.mp4")] == [picture for _, picture in frames(webm)]
    assert (tmp_path / "out.mp4").read_bytes()[4:8] == b"ftyp"
    remux.remux(tmp_path / "again.mp4", webm)
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "out.mp4").read_bytes()


def test_picture_and_sound_of_one_file(webm, tmp_path):
    both = tmp_path / "both:of one.webm"  # no protocol
    with av.open(str(webm)) as source, av.open(f"file:{both}", "w", format="webm") as target:
        picture = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("libopus", rate=48_000, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                target.mux_one(packet)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48_000, number * 4800
            target.mux(sound.encode(frame))
        target.mux(sound.encode())
    remux.remux(tmp_path / "out.mp4", both)
    assert packets(tmp_path / "out.mp4") == packets(both)
    assert set(packets(both)) == {"video", "audio"} and packets(both)["audio"] > 90


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.NOT_A_VIDEO),
        (b"<html>" * 100, Reason.NOT_A_VIDEO),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n", Reason.NOT_A_VIDEO),
    ],
)
def test_what_is_no_video(tmp_path, content, reason):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ItemError) as error:
        remux.remux(tmp_path / "out.mp4", path)
    assert error.value.reason == reason


def test_sound_alone(tmp_path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate, frame.pts = 16_000, 0
        frame.planes[0].update(bytes(4096))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ItemError) as error:
        remux.remux(tmp_path / "out.mp4", path)
    assert error.value.reason == Reason.NO_VIDEO_STREAM


def test_a_process_that_dies_or_hangs(tmp_path, video, monkeypatch):
    monkeypatch.setattr(remux.sys, "executable", "/bin/false")
    with pytest.raises(ItemError) as error:
        remux.remux(tmp_path / "out.mp4", video)
    assert error.value.reason == Reason.NOT_A_VIDEO
    killer = tmp_path / "killer"
    killer.write_text("#!/bin/sh\nkill -SEGV $$\n")
    killer.chmod(0o755)
    monkeypatch.setattr(remux.sys, "executable", str(killer))
    with pytest.raises(ItemError) as error:
        remux.remux(tmp_path / "out.mp4", video)
    assert error.value.reason == Reason.DECODER_CRASH
