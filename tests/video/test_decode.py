import hashlib
from pathlib import Path

import av
import numpy as np
import pytest
from zoo import FPS, HEIGHT, SECONDS, WIDTH, ZOO, drawings, write

from pipeline_lib.collect.films import MEDIA, fetch
from pipeline_lib.core.errors import ItemError, UserError
from pipeline_lib.video import decode
from pipeline_lib.video.decoders import Unplanned
from pipeline_lib.video.decoders import pictures as pictures_of
from pipeline_lib.video.plan import read_index
from pipeline_lib.video.probe import probe
from pipeline_lib.video.sampling import Sampling, choose

SAMPLINGS = [Sampling(3.0), Sampling(0.4), Sampling(0.5, "ffmpeg"), Sampling(3.0, "keyframe")]
CACHE = Path(__file__).parents[2] / ".cache/sample"


def brightness(frame):
    return round(float(frame.pixels.mean()) / 4.0)


def digests(frames):
    return [(f.index, f.wanted, f.time, f.size, hashlib.md5(f.pixels.tobytes()).hexdigest()) for f in frames]


def from_start_to_end(path, sampling):
    """What a full decode shows."""
    return digests(decode._shown(choose(decode._decoded(path), sampling, decode._offset(path)), sampling))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    made = {}

    def get(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind] = ZOO[kind][0](folder)
        return made[kind]

    return get


def test_frame_i_is_the_first_at_or_after_its_time(video):
    frames = [(f.index, f.wanted, round(f.time, 3), brightness(f)) for f in decode.sample(video, 0.75)]
    assert frames == [
        (0, 0.0, 0.0, 0),
        (1, 0.75, 0.8, 8),
        (2, 1.5, 1.5, 15),
        (3, 2.25, 2.3, 23),
        (4, 3.0, 3.0, 30),
        (5, 3.75, 3.8, 38),
    ]


def test_keyframes_are_the_nearest_ones(video):
    """The file has keyframes at 0 and 2 s; 1 s is as far from both, so the earlier one is shown."""
    frames = [(f.wanted, round(f.time, 3), brightness(f)) for f in decode.sample(video, 0.5, mode="keyframe")]
    shown = [0, 0, 0, 2, 2, 2, 2, 2]
    assert frames == [(0.5 * i, float(second), 10 * second) for i, second in enumerate(shown)]


def test_wanted_faster_than_the_video(video):
    times = [round(f.time, 3) for f in decode.sample(video, 0.05)]
    assert times[:5] == [0.0, 0.1, 0.1, 0.2, 0.2] and len(times) == 79


def test_dense_frames_have_the_size_asked_for(video):
    frames = list(decode.dense(video, 5.0, 32, 24))
    assert [brightness(f) for f in frames] == list(range(0, 40, 2)) and frames[0].pixels.shape == (24, 32, 3)


@pytest.mark.parametrize("kind", ZOO)
def test_planned_frames_are_those_of_a_full_decode(zoo, kind):
    path = zoo(kind)
    assert (read_index(path) is not None) == ZOO[kind][1]
    for sampling in SAMPLINGS:
        assert digests(decode.frames(path, sampling)) == from_start_to_end(path, sampling), sampling


@pytest.mark.parametrize("every", [1 / FPS, 0.12, 3.0])
@pytest.mark.parametrize("kind", [kind for kind in ZOO if ZOO[kind][1] and kind != "h264_intra_refresh"])
def test_a_plan_is_carried_out_without_a_full_decode(zoo, kind, every):
    """However many frames are wanted, and in whatever order they are coded."""
    path, sampling = zoo(kind), Sampling(every)
    planned = decode._planned("planned", path, read_index(path), sampling, 0)
    assert digests(decode._shown(planned, sampling)) == from_start_to_end(path, sampling)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    "kind", ["h264_avi_b_frames", "mpeg4_avi_b_frames", "h264_coding_times", "h264_coding_times_mkv"]
)
def test_times_of_coding_neither_disorder_nor_retime_pictures(zoo, kind, threads, monkeypatch):
    """Picture i is drawing i, shown at i / FPS, whatever times the container gives."""

    def prepare(stream):
        stream.thread_count = threads

    monkeypatch.setattr(decode, "prepare", prepare)
    path = zoo(kind)
    frames = list(decode.frames(path, Sampling(1 / FPS)))
    assert [frame.time for frame in frames] == pytest.approx([i / FPS for i in range(SECONDS * FPS)], abs=1e-3)
    drawn = np.stack(list(drawings())).astype(int)
    assert [int(np.abs(drawn - frame.pixels).mean(axis=(1, 2, 3)).argmin()) for frame in frames] == list(range(200))
    numbers = [0, 1, 7, 90, 199]
    picked = [picture.to_ndarray(format="rgb24") for picture in decode.numbered(path, numbers)]
    assert all(np.array_equal(one, frames[number].pixels) for one, number in zip(picked, numbers, strict=True))


@pytest.mark.parametrize("decoder", ["decord", "torchcodec"])
@pytest.mark.parametrize("kind", [kind for kind in ZOO if ZOO[kind][1]])
def test_other_decoders_give_the_same_frames_or_decline(zoo, kind, decoder):
    path, sampling = zoo(kind), Sampling(0.4)
    index = read_index(path)
    try:
        first = next(pictures_of(decoder, path, index, [0]))
    except Unplanned as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        assert decoder == "torchcodec" or kind not in ("h264_b_frames", "h264_rotated", "vp9"), error
        return
    assert first is not None
    frames = digests(decode._shown(decode._planned(decoder, path, index, sampling, 0), sampling))
    assert frames == from_start_to_end(path, sampling)


@pytest.mark.parametrize("kind", ["av1", "hevc", "h264_intra_refresh"])
def test_a_decoder_that_declines_is_replaced(zoo, kind):
    path = zoo(kind)
    assert digests(decode.frames(path, Sampling(1.0, decoder="decord"))) == from_start_to_end(path, Sampling(1.0))


def test_a_decoder_that_gives_up_midway_is_replaced_without_gap_or_repetition(zoo, monkeypatch):
    path = zoo("h264_b_frames")

    def faint(name, path, index, places):
        for count, picture in enumerate(pictures_of("planned", path, index, places)):
            if count == 3:
                raise Unplanned("enough")
            yield picture

    expected = from_start_to_end(path, Sampling(0.4))
    monkeypatch.setattr(decode, "pictures", faint)
    assert digests(decode.frames(path, Sampling(0.4))) == expected


def test_turned_videos_are_shown_upright(zoo, tmp_path):
    upright = next(decode.frames(write(tmp_path / "u.mp4", g="50", bf="3", crf="28"), Sampling(1.0)))
    turned = next(decode.frames(zoo("h264_rotated"), Sampling(1.0)))
    assert upright.size == (WIDTH, HEIGHT) and turned.size == (HEIGHT, WIDTH)
    assert np.array_equal(turned.pixels, np.rot90(upright.pixels, 1))
    assert (probe(zoo("h264_rotated")).width, probe(zoo("h264_rotated")).height) == (HEIGHT, WIDTH)


def test_time_counts_from_the_first_frame(zoo):
    late, plain = (list(decode.sample(zoo(kind), 1.5)) for kind in ("h264_late_start", "h264_b_frames"))
    assert [f.time for f in late] == pytest.approx([f.time for f in plain])


def test_what_an_edit_list_cuts_off_is_not_shown(zoo):
    frames = list(decode.sample(zoo("h264_edit_list"), 100.0))
    whole = list(decode.sample(zoo("h264_b_frames"), 1 / FPS))
    assert frames[0].time == 0.0
    assert any(np.array_equal(frames[0].pixels, f.pixels) for f in whole[37:40])


def test_filters_apply_in_order(video):
    frame = next(decode.frames(video, Sampling(1.0, filters="crop='min(iw,ih)':'min(iw,ih)',scale=32:32")))
    assert frame.pixels.shape == (32, 32, 3) and frame.size == (64, 48)
    with pytest.raises(ItemError, match="filters"):
        next(decode.frames(video, Sampling(1.0, filters="crop=1000:1000")))


@pytest.mark.parametrize("decoder", ["auto", "decord"])
def test_a_film_too_short_for_any_slot_is_undecodable(make_video, tmp_path, decoder):
    """At 1 a second ffmpeg's rule shows nothing of 0.1 s."""
    tiny = make_video(tmp_path / "tiny.mp4", seconds=0.1, preset="ultrafast")
    assert read_index(tiny) is not None
    with pytest.raises(ItemError, match="no frame could be decoded"):
        list(decode.frames(tiny, Sampling(1.0, "ffmpeg", decoder=decoder)))


def test_no_picture_at_all_is_undecodable(tmp_path, video):
    content = bytearray(video.read_bytes())
    start = content.index(b"mdat")
    size = int.from_bytes(content[start - 4 : start], "big") - 8
    content[start + 4 : start + 4 + size] = bytes(size)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    with pytest.raises(ItemError, match="undecodable"):
        list(decode.sample(broken, 1.0))


def test_a_film_without_pictures_at_its_beginning(zoo):
    """Cut at an open keyframe: the container lists frames that can't be decoded; they are not shown."""
    with av.open(str(zoo("h264_cut_open_gop"))) as container:
        listed = sum(packet.size > 0 for packet in container.demux(video=0))
    assert len(list(decode.sample(zoo("h264_cut_open_gop"), 1 / FPS))) < listed


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MEDIA))
def test_real_films_give_the_frames_of_a_full_decode(name):
    try:
        path = fetch(name, CACHE)
    except UserError as error:
        pytest.skip(str(error))
    for sampling in (Sampling(3.0), Sampling(3.0, "keyframe")):
        expected = from_start_to_end(path, sampling)
        for decoder in ("auto", "decord", "torchcodec"):
            one = Sampling(sampling.every, sampling.rule, decoder=decoder)
            assert digests(decode.frames(path, one)) == expected
