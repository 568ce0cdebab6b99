"""Video files through yt-dlp's own downloader. The files and their ranges are written for these tests: no recording has any."""

import json

import av
import pytest
from replay_server import insist
from replay_site import MEDIA_HOST, Fault, Site, Video

from pipeline_lib.core.errors import ItemError, Reason

A = "aaaaaaaaaaa"


@pytest.fixture(scope="session")
def media(make_video, tmp_path_factory):
    """A real mp4 of some size."""
    path = make_video(tmp_path_factory.mktemp("media") / "a.mp4", seconds=2, size=(320, 240), crf="1")
    return path.read_bytes() + (4_000_008).to_bytes(4, "big") + b"free" + bytes(range(250)) * 16_000


@pytest.fixture
def to(tmp_path):
    (tmp_path / "items").mkdir()
    return tmp_path / "items" / "out.mp4"


def reason(source, to):
    with pytest.raises(ItemError) as error:
        source.video(A, to)
    assert not to.exists()
    return error.value.reason


def ranges(server):
    return [asked.headers["Range"] for _, asked in server.asked if asked.path == "/videoplayback"]


def test_a_whole_file(youtube, media, to):
    source, _ = youtube(Site({A: Video(media)}))
    source.video(A, to)
    assert to.read_bytes() == media
    assert not list(to.parent.glob(".part/*"))


@pytest.mark.parametrize(("kind", "times"), [("reset", 1), ("reset", 2), ("stall", 1), ("503", 2), ("429", 2)])
def test_passing_faults_pass_and_parts_are_continued(youtube, media, to, kind, times):
    source, server = youtube(Site({A: Video(media, faults=[Fault("media", kind, times)])}))
    insist(source.video, A, to)
    assert to.read_bytes() == media
    starts = [int(asked.removeprefix("bytes=").partition("-")[0]) for asked in ranges(server)]
    assert len(starts) == times + 1 and starts == sorted(starts)
    assert (starts[-1] > 0) == (kind in ("reset", "stall"))


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("403", Reason.REQUEST_BLOCKED),
        ("404", Reason.NETWORK),
        ("503", Reason.NETWORK),
        ("429", Reason.RATE_LIMITED),
        ("html", Reason.NOT_A_VIDEO),
        ("short", Reason.NETWORK),
        ("stall", Reason.NETWORK),
    ],
)
def test_lasting_faults(youtube, media, to, kind, wanted):
    site = Site({A: Video(media[:2000] if kind == "stall" else media, faults=[Fault("media", kind)])})
    source, _ = youtube(site)
    assert reason(source, to) == wanted


def test_an_address_that_expired_is_asked_for_anew(youtube, media, to):
    source, server = youtube(Site({A: Video(media, faults=[Fault("media", "403", times=1)])}))
    source.article(A)
    source.video(A, to)
    assert to.read_bytes() == media
    assert sum(asked.path == "/watch" for _, asked in server.asked) == 2


def test_parts_outlive_the_process(youtube, media, to):
    site = Site({A: Video(media, faults=[Fault("media", "reset", times=3)])})
    first, _ = youtube(site)
    assert reason(first, to) == Reason.NETWORK
    (part,) = to.parent.glob(f".part/{A}/*.part")
    size = part.stat().st_size
    assert 0 < size < len(media) and media.startswith(part.read_bytes())
    second, server = youtube(site)
    second.video(A, to)
    assert to.read_bytes() == media and ranges(server)[0].startswith(f"bytes={size}-")


def test_a_part_of_another_encoding_is_not_continued(youtube, media, to):
    first, _ = youtube(Site({A: Video(media, faults=[Fault("media", "reset")])}))
    reason(first, to)
    other = media[:-500] + bytes(500)
    second, server = youtube(Site({A: Video(other)}), info_hours=0)
    second.video(A, to)
    assert to.read_bytes() == other and ranges(server)[0].startswith("bytes=0-")


def test_caps_hold_before_downloading(youtube, media, to):
    source, server = youtube(Site({A: Video(media)}), videos={"max_bytes": 1000})
    assert reason(source, to) == Reason.TOO_LARGE
    source, _ = youtube(Site({A: Video(media, seconds=4000)}), filters={"max_seconds": 600}, info_hours=0)
    assert reason(source, to) == Reason.FILTERED
    assert ranges(server) == []


def test_a_server_that_sends_more_than_it_said(youtube, media, to):
    class Lying(Site):
        def _player(self, video_id):
            answer = super()._player(video_id)
            found = json.loads(answer.body)
            del found["streamingData"]["formats"][0]["contentLength"]
            found["streamingData"]["formats"][0]["bitrate"] = 8
            answer.body = json.dumps(found).encode()
            return answer

    source, _ = youtube(Lying({A: Video(media)}), videos={"max_bytes": 100_000})
    assert reason(source, to) == Reason.TOO_LARGE
    assert not list(to.parent.glob(".part/*"))


def test_formats_that_need_a_token(youtube, media, to):
    class Adaptive(Site):
        def _player(self, video_id):
            answer = super()._player(video_id)
            found = json.loads(answer.body)
            found["streamingData"]["formats"][0]["itag"] = 22
            answer.body = json.dumps(found).encode()
            return answer

    source, server = youtube(Adaptive({A: Video(media)}), clients=["web"])
    assert reason(source, to) == Reason.PO_TOKEN_REQUIRED
    assert ranges(server) == []


def test_picture_and_sound_are_put_together(youtube, media, to, tmp_path):
    sound = tmp_path / "sound.m4a"
    with av.open(str(sound), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for i in range(32):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.sample_rate, frame.pts = 16_000, 1024 * i
            frame.planes[0].update(bytes(4096))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())

    class Adaptive(Site):
        def _player(self, video_id):
            answer = super()._player(video_id)
            found = json.loads(answer.body)
            (one,) = found["streamingData"].pop("formats")
            codec = {"mimeType": 'video/mp4; codecs="avc1.4d401f"'}
            picture = one | codec | {"itag": 136, "height": 720, "url": one["url"].replace("itag=18", "itag=136")}
            heard = {
                "itag": 140,
                "url": f"https://{MEDIA_HOST}/videoplayback?id=sound&itag=140",
                "mimeType": 'audio/mp4; codecs="mp4a.40.2"',
                "contentLength": str(sound.stat().st_size),
                "audioQuality": "AUDIO_QUALITY_MEDIUM",
            }
            large = picture | {"itag": 137, "height": 1080, "url": one["url"].replace("itag=18", "itag=137")}
            found["streamingData"]["adaptiveFormats"] = [large, picture, heard]
            answer.body = json.dumps(found).encode()
            return answer

    source, server = youtube(Adaptive({A: Video(media), "sound": Video(sound.read_bytes())}))
    source.video(A, to)
    assert [asked.query["itag"] for _, asked in server.asked if asked.path == "/videoplayback"] == ["136", "140"]
    with av.open(str(to)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert sum(1 for _ in container.decode(video=0)) == 20
    once = to.read_bytes()
    to.unlink()
    source.video(A, to)
    assert to.read_bytes() == once
