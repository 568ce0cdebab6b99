"""Pages of videos through yt-dlp's own code: articles, and every way in which a video can't be had."""

import json

import pytest
from replay_recordings import recorded, recorded_player
from replay_server import Answer, insist
from replay_site import Fault, Site, Video, page

from pipeline_lib.core.errors import ItemError, Reason, StopStage

A = "aaaaaaaaaaa"


def reason(source, video_id=A):
    with pytest.raises(ItemError) as error:
        source.article(video_id)
    return error.value.reason


def count(server, path):
    return sum(asked.path == path for _, asked in server.asked)


def test_an_article(youtube):
    source, server = youtube(Site({A: Video(details={"title": "Half a \ud83c pair"})}))
    assert source.article(A) == {
        "url": f"https://www.youtube.com/watch?v={A}",
        "title": "Half a ? pair",
        "article": "Waves broke over the pier.\nNobody was hurt.",
        "channel": "Coast News",
        "upload_date": "20240131",
        "duration": 4.0,
        "availability": "public",
    }
    source.captions(A, ["en"])
    assert count(server, "/watch") == 1 and count(server, "/youtubei/v1/player") == 1  # the stages share a page


@pytest.mark.parametrize(
    "kind", ["age_restricted", "private", "removed", "members_only", "region_blocked", "request_blocked", "live"]
)
def test_what_the_page_says(youtube, kind):
    source, _ = youtube(Site({A: Video(faults=[Fault("player", kind)])}))
    assert reason(source) == Reason(kind)


def test_unknown_ids_are_removed_and_asked_for_once(youtube):
    source, server = youtube(Site({}))
    assert reason(source) == Reason.REMOVED
    asked = len(server.asked)
    assert reason(source) == Reason.REMOVED
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("503", Reason.NETWORK), ("500", Reason.NETWORK), ("403", Reason.REQUEST_BLOCKED), ("429", Reason.RATE_LIMITED)],
)
def test_statuses(youtube, kind, wanted):
    source, _ = youtube(Site({A: Video(faults=[Fault("player", kind)])}))
    assert reason(source) == wanted


@pytest.mark.parametrize("kind", ["503", "429", "reset"])
def test_passing_faults_pass(youtube, kind):
    source, _ = youtube(Site({A: Video(faults=[Fault("player", kind, times=2)])}))
    assert insist(source.article, A)["duration"] == 4.0


@pytest.mark.parametrize("kind", ["garbage", "html"])
def test_answers_that_are_none(youtube, kind):
    source, _ = youtube(Site({A: Video(faults=[Fault("player", kind)])}))
    assert reason(source) in (Reason.NETWORK, Reason.INTERNAL)


@pytest.mark.parametrize("kind", ["429", "503"])
def test_retry_after_is_waited_for(youtube, kind):
    source, server = youtube(Site({A: Video(faults=[Fault("player", kind, times=1, retry_after="1")])}))
    insist(source.article, A)
    times = [moment for moment, asked in server.asked if asked.path.endswith("/player")]
    assert len(times) == 2 and times[1] - times[0] >= 0.99


def test_refusals_in_a_row_stop(youtube):
    ids = [f"aaaaaaaaaa{i}" for i in range(8)]
    source, server = youtube(Site({video_id: Video(faults=[Fault("player", "429")]) for video_id in ids}))
    assert {reason(source, video_id) for video_id in ids[:-1]} == {Reason.RATE_LIMITED}
    with pytest.raises(StopStage, match=r"8 refusals in a row.*Resume after \d\d:\d\d"):
        source.article(ids[-1])
    asked = len(server.asked)
    with pytest.raises(StopStage):
        source.article("ddddddddddd")
    assert len(server.asked) == asked  # nothing more is sent


def test_filters_that_only_the_page_can_answer(youtube):
    site = Site({A: Video(), "bbbbbbbbbbb": Video(details={"isLiveContent": True})})
    source, _ = youtube(site, filters={"after": "2024-02-01"})
    assert reason(source) == Reason.FILTERED
    source, _ = youtube(site, filters={"live": False})
    assert reason(source, "bbbbbbbbbbb") == Reason.FILTERED
    assert source.article(A)["upload_date"] == "20240131"


def test_addresses_elsewhere_are_not_asked(youtube):
    class Leading(Site):
        def __call__(self, asked):
            if asked.path == "/watch" and asked.host == "www.youtube.com":
                return Answer(status=302, headers={"Location": "https://elsewhere.example/watch?v=x"})
            if asked.host == "elsewhere.example":
                return Answer(page(A), kind="text/html")
            return super().__call__(asked)

    source, _ = youtube(Leading({A: Video()}))
    with pytest.raises(ItemError, match=r"none of YouTube's: https://elsewhere\.example"):
        source.article(A)


# From here on: answers that YouTube gave, recorded by youtube-transcript-api.


@pytest.mark.parametrize(
    ("video_id", "name", "seconds", "title"),
    [("GJLlxj_dtq8", "youtube", 316.0, "Surface Go"), ("F1xioXWb8CY", "youtube_ww1_nl_en", 1509.0, "Tide Is Turning")],
)
def test_recorded_articles(youtube, video_id, name, seconds, title):
    source, _ = youtube(Site({video_id: Video(player=recorded_player(name))}))
    article = source.article(video_id)
    assert title in article["title"] and article["duration"] == seconds and len(article["article"]) > 200


def test_a_recorded_page_of_a_megabyte(youtube):
    class Recorded(Site):
        def __call__(self, asked):
            if asked.path == "/watch":
                return Answer(recorded("youtube.html.static"), kind="text/html")
            return super().__call__(asked)

    source, _ = youtube(Recorded({"GJLlxj_dtq8": Video(player=recorded_player("youtube"))}))
    assert source.article("GJLlxj_dtq8")["channel"] == "Dave2D"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("youtube_age_restricted", Reason.AGE_RESTRICTED),
        ("youtube_request_blocked", Reason.REQUEST_BLOCKED),
        ("youtube_video_unavailable", Reason.REMOVED),
    ],
)
def test_recorded_failures(youtube, name, wanted):
    player = recorded_player(name)
    player.setdefault("videoDetails", {})["videoId"] = A
    source, _ = youtube(Site({A: Video(player=player)}))
    assert reason(source) == wanted


def test_kept_pages_hold_addresses_and_are_private(youtube, tmp_path):
    source, _ = youtube(Site({A: Video()}))
    source.article(A)
    (kept,) = (tmp_path / "work/youtube/pages").glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["formats"]
