import pytest

from pipeline_lib.collect.sources.youtube import formats
from pipeline_lib.config.youtube import VideoChoice
from pipeline_lib.core.errors import ItemError, Reason


def one(name, ext="mp4", height=None, vcodec="none", acodec="none", size=100, protocol="https", **more):
    return {
        "format_id": name, "ext": ext, "height": height, "vcodec": vcodec, "acodec": acodec, "filesize": size,
        "protocol": protocol, "url": f"https://x.googlevideo.com/{name}", **more,
    }  # fmt: skip


PROGRESSIVE = one("18", height=360, vcodec="avc1.42001E", acodec="mp4a.40.2", size=300)
H264_720 = one("136", height=720, vcodec="avc1.4d401f", size=700)
H264_1080 = one("137", height=1080, vcodec="avc1.640028", size=1500)
VP9_720 = one("247", "webm", 720, "vp9", size=600)
VP9_1080 = one("248", "webm", 1080, "vp9", size=1100)
AV1_480 = one("397", height=480, vcodec="av01.0.04M.08", size=200)
M4A, OPUS = one("140", "m4a", acodec="mp4a.40.2", size=50), one("251", "webm", acodec="opus", size=60)


def names(found, **options):
    return [chosen["format_id"] for chosen in formats.choose(found, VideoChoice(**options))]


def test_h264_up_to_720_lines_first():
    everything = [M4A, OPUS, PROGRESSIVE, AV1_480, VP9_720, H264_720, VP9_1080, H264_1080]
    assert names(everything) == ["136", "140"]
    assert names(everything, audio=False) == ["136"]
    assert names(everything, max_height=1080) == ["137", "140"]
    assert names(everything, max_height=360) == ["18"]


def test_else_the_best_that_can_be_decoded():
    assert names([M4A, OPUS, AV1_480, VP9_720, H264_1080]) == ["247", "251"]
    assert names([M4A, AV1_480]) == ["397", "140"]
    assert names([VP9_1080, H264_1080]) == ["137"]  # sorted as equally high, the better comes last
    assert names([VP9_720]) == ["247"]


def test_smaller_where_the_best_is_too_large():
    assert names([M4A, PROGRESSIVE, H264_720], max_bytes=600) == ["18"]
    with pytest.raises(ItemError) as error:
        formats.choose([H264_720], VideoChoice(max_bytes=600))
    assert error.value.reason == Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "no_video_stream"),
        ([M4A, OPUS], "no_video_stream"),
        ([one("sb0", "mhtml", 90, "none", protocol="mhtml")], "no_video_stream"),
        ([one("x", "mp4", 720, "avc1", protocol="m3u8_native")], "no_video_stream"),
        ([one("x", "exe", 720, "avc1")], "no_video_stream"),
        ([one("x", "mp4", 720, "dvh1")], "no_video_stream"),
        ([one("x", "mp4", 720, "avc1", has_drm=True)], "drm_protected"),
    ],
)
def test_nothing_to_take(found, reason):
    with pytest.raises(ItemError) as error:
        formats.choose(found, VideoChoice())
    assert error.value.reason == reason


def test_sound_for_recognition():
    assert formats.sound([PROGRESSIVE, M4A, OPUS], 10**6)["format_id"] == "140"
    assert formats.sound([PROGRESSIVE], 10**6)["format_id"] == "18"
    for found, limit, reason in (([H264_720], 10**6, "no_captions"), ([M4A], 10, "too_large")):
        with pytest.raises(ItemError) as error:
            formats.sound(found, limit)
        assert error.value.reason == reason
