import numpy as np
import pytest

from pipeline_lib.core.errors import ItemError
from pipeline_lib.video.decode import decodes_at, sample


def brightness(frame):
    return round(float(frame.rgb().mean()) / 4.0)


def test_frame_i_is_the_first_at_or_after_its_time(video):
    frames = [(f.index, f.wanted, round(f.time, 3), brightness(f)) for f in sample(video, 0.75)]
    assert frames == [
        (0, 0.0, 0.0, 0),
        (1, 0.75, 0.8, 8),
        (2, 1.5, 1.5, 15),
        (3, 2.25, 2.3, 23),
        (4, 3.0, 3.0, 30),
        (5, 3.75, 3.8, 38),
    ]


def test_wanted_faster_than_the_video(video):
    times = [round(f.time, 3) for f in sample(video, 0.05)]
    assert times[:5] == [0.0, 0.1, 0.1, 0.2, 0.2] and len(times) == 79


def test_time_counts_from_the_first_frame(make_video, tmp_path, video):
    import av

    shifted = tmp_path / "shifted.mkv"
    with av.open(str(video)) as source, av.open(str(shifted), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is None:
                continue
            packet.pts += int(5 / packet.time_base)
            packet.dts += int(5 / packet.time_base)
            packet.stream = stream
            target.mux(packet)
    assert [(round(f.time, 2), brightness(f)) for f in sample(shifted, 1.5)] == [(0.0, 0), (1.5, 15), (3.0, 30)]


def test_rgb_scales(video):
    frame = next(iter(sample(video, 1.0)))
    assert frame.rgb().shape == (48, 64, 3) and frame.rgb(32, 24).shape == (24, 32, 3)
    assert frame.rgb().dtype == np.uint8


def test_no_picture_at_all_is_undecodable(tmp_path, video):
    content = bytearray(video.read_bytes())
    start = content.index(b"mdat")
    size = int.from_bytes(content[start - 4 : start], "big") - 8
    content[start + 4 : start + 4 + size] = bytes(size)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    with pytest.raises(ItemError, match="undecodable"):
        list(sample(broken, 1.0))


def test_decodes_at(video):
    assert decodes_at(video, 0.5, 4.0) == pytest.approx(2.0)
    assert decodes_at(video, 0.95, 4.0) == pytest.approx(3.8)
