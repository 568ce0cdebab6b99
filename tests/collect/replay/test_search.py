"""Search through yt-dlp's own code. The results are written for these tests: no recording has any."""

import datetime

import pytest
from replay_server import Answer
from replay_site import Site, Video, result

from pipeline_lib.collect.search import search as search_all
from pipeline_lib.core.errors import ItemError, Reason, StopStage, UserError

A, B, C, D = ("aaaaaaaaaaa", "bbbbbbbbbbb", "-ccccccccc_", "ddddddddddd")


def test_results_of_several_pages_in_order(youtube):
    site = Site({}, {"storm": [[result(A, "First"), result(B, "Second", "1:02:03")], [result(C, "Third", None)]]})
    source, server = youtube(site)
    hits = source.search("storm", 10)
    assert list(hits) == [A, B, C]
    assert hits[B] == {
        "url": f"https://www.youtube.com/watch?v={B}",
        "title": "Second",
        "duration": 3723.0,
        "channel": "Coast News",
    }
    assert hits[C]["duration"] is None
    pages = [asked for _, asked in server.asked if asked.path.endswith("/search")]
    assert len(pages) == 2


def test_no_more_pages_are_read_than_wanted(youtube):
    site = Site({}, {"storm": [[result(A, "First"), result(B, "Second")], [result(C, "Third")]]})
    source, server = youtube(site)
    assert list(source.search("storm", 2)) == [A, B]
    assert sum(asked.path.endswith("/search") for _, asked in server.asked) == 1


def test_one_id_of_several_queries_is_kept_once(youtube):
    site = Site({}, {"storm": [[result(A, "x"), result(B, "y")]], "harbour": [[result(B, "y"), result(A, "x")]]})
    source, _ = youtube(site)
    found = search_all(source, ["storm", "harbour"], 5)
    assert {key: value["queries"] for key, value in found.items()} == {A: ["storm", "harbour"], B: ["storm", "harbour"]}


def test_filters_that_the_results_can_answer(youtube):
    now = {"badges": [{"metadataBadgeRenderer": {"style": "BADGE_STYLE_TYPE_LIVE_NOW", "label": "LIVE"}}]}
    lines = [
        result(A, "short", "0:20"),
        result(B, "good", "4:00"),
        result(C, "long", "3:00:00"),
        result(D, "on air", None, **now),
    ]
    source, _ = youtube(Site({}, {"storm": [lines]}), filters={"min_seconds": 60, "max_seconds": 3600, "after": None})
    assert list(source.search("storm", 10)) == [B]


def test_dates_go_into_the_query(youtube):
    query = "storm after:2022-12-31 before:2024-01-01"
    source, _ = youtube(
        Site({}, {query: [[result(A, "x")]]}),
        filters={"after": datetime.date(2023, 1, 1), "before": datetime.date(2023, 12, 31)},
    )
    assert list(source.search("storm", 10)) == [A]


def test_hostile_results(youtube):
    lines = [
        result("../../../etc", "x"),
        result("$(reboot)id", "x"),
        result(A, "<script>alert(1)</script>\n\x00\ud800"),
        {"videoId": 7},
    ]
    source, _ = youtube(Site({}, {"storm": [lines]}))
    hits = source.search("storm", 10)
    assert list(hits) == [A]
    assert "\n" not in hits[A]["title"] and hits[A]["title"].startswith("<script>")


@pytest.mark.parametrize("query", ["*", " ", ""])
def test_what_cannot_be_searched(youtube, query):
    source, _ = youtube(Site({}))
    with pytest.raises(UserError, match=r"source\.queries"):
        source.search(query, 5)


def test_a_search_that_is_refused_stops_and_is_not_half_done(youtube):
    class Refusing(Site):
        def _search(self, body):
            return Answer(b"", status=503)

    source, server = youtube(Refusing({A: Video()}))
    with pytest.raises(ItemError) as error:
        source.search("storm", 5)
    assert error.value.reason == Reason.NETWORK
    assert sum(asked.path.endswith("/search") for _, asked in server.asked) == 3
    with pytest.raises(StopStage, match="run the same command again"):
        search_all(source, ["storm"], 5)
