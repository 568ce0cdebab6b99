"""Which of equal videos stays, and that every one that goes equals one that stays."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_lib.clean import duplicates, facts
from pipeline_lib.clean.duplicates import find, page_id
from pipeline_lib.clean.facts import Facts
from pipeline_lib.config.clean import Duplicates
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError


def hashes(*numbers):
    """Eight hashes: of each number its digits repeated; pictures of other numbers differ in many bits."""
    return tuple(None if n is None else f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}" for n in numbers)


def film(video_id, looks=1, **change):
    """A film whose pictures show `looks`, looks + 1 …"""
    basic = Facts(
        video_id, sha256=f"sha of {video_id}", bytes=100, width=640, height=360, seconds=60.0, caption_kind="auto",
        hashes=hashes(*range(looks, looks + 8)),
    )  # fmt: skip
    return replace(basic, **change)


def gone(videos, splits=None, **options):
    return {
        pair.video_id: (pair.kept, pair.reason)
        for pair in find(videos, splits or {}, Duplicates(**options))
        if pair.drop
    }


def test_different_films_stay():
    assert gone([film("a"), film("b", 100), film("c", 200)]) == {}


def test_equal_files_and_equal_looks():
    assert gone([film("a"), film("b", 100, sha256="sha of a")]) == {"b": ("a", "same_bytes")}
    assert gone([film("a"), film("b")]) == {"b": ("a", "near_duplicate")}
    assert gone([film("a"), film("b", sha256="sha of a")]) == {"b": ("a", "same_bytes")}  # the surer reason
    assert gone([film("a"), film("b", seconds=56.0)]) == {}  # too short to be the same
    assert gone([film("a"), film("b", hashes=hashes(1, 2, 3, 4, 5, 6, None, 99))]) == {"b": ("a", "near_duplicate")}
    assert gone([film("a"), film("b", hashes=hashes(1, 2, 3, 4, 5, None, None, 99))]) == {}
    blank = (None,) * 8
    assert gone([film("a", hashes=blank), film("b", hashes=blank)]) == {}  # nothing to tell them by


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=GJLlxj_dtq8",
        "https://m.youtube.com/watch?app=desktop&v=GJLlxj_dtq8&t=3s",
        "http://youtu.be/GJLlxj_dtq8?si=x",
        "https://www.youtube-nocookie.com/embed/GJLlxj_dtq8",
        "https://youtube.com/shorts/GJLlxj_dtq8",
    ],
)
def test_a_page_under_two_ids(url):
    assert page_id(url) == "GJLlxj_dtq8"
    listed = [film("a", url=url), film("b", 100, url="https://www.youtube.com/watch?v=GJLlxj_dtq8")]
    assert gone(listed) == {"b": ("a", "same_id")}


def test_other_addresses_are_no_pages():
    for url in (
        "",
        "https://peach.blender.org/",
        "https://youtube.com.evil.org/watch?v=GJLlxj_dtq8",
        "demo://video/GJLlxj_dtq8",
    ):
        assert page_id(url) == ""
    assert page_id("https://www.youtube.com/watch?v=GJLlxj_dtq8x") == ""
    assert gone([film("a", url="https://peach.blender.org/"), film("b", 9, url="https://peach.blender.org/")]) == {}


def test_who_stays():
    """Manual captions before automatic ones, then the larger picture, the larger file, the id."""
    assert gone([film("a"), film("b", caption_kind="manual")]) == {"a": ("b", "near_duplicate")}
    assert gone([film("a"), film("b", width=1280, height=720)]) == {"a": ("b", "near_duplicate")}
    assert gone([film("a"), film("b", bytes=101)]) == {"a": ("b", "near_duplicate")}
    assert gone([film("b"), film("a")]) == {"b": ("a", "near_duplicate")}


def test_leaks_take_the_video_for_training():
    best = film("a", caption_kind="manual")
    assert gone([best, film("b")], {"b": "test"}) == {"a": ("b", "split_leak")}
    assert gone([best, film("b")], {"a": "val", "b": "test"}) == {"a": ("b", "split_leak")}
    assert gone([best, film("b")], {"a": "test", "b": "test"}) == {"b": ("a", "near_duplicate")}
    reported = find([best, film("b")], {"b": "test"}, Duplicates(leaks="report"))
    assert [(one.video_id, one.reason, one.found, one.split, one.kept_split, one.drop) for one in reported] == [
        ("a", "split_leak", "near_duplicate", "train", "test", False)
    ]
    assert gone([film("a"), film("b"), film("c")], {"c": "test"}, near="report") == {
        "a": ("c", "split_leak"), "b": ("c", "split_leak"),
    }  # fmt: skip


def test_switches():
    pair = [film("a"), film("b", sha256="sha of a", url="https://youtu.be/GJLlxj_dtq8")]
    assert gone(pair, same_bytes="report", near="report") == {}
    assert len(find(pair, {}, Duplicates(same_bytes="report", near="off"))) == 1
    assert find(pair, {}, Duplicates(same_bytes="off", near="off")) == []
    assert gone(pair, same_bytes="off") == {"b": ("a", "near_duplicate")}


def test_a_chain_loses_none_that_equals_no_other():
    """b is like a and like c, which are not alike: b goes, c stays."""
    a, b = film("a", hashes=hashes(*range(8))), film("b", hashes=hashes(*range(6), 50, 51))
    c = film("c", hashes=hashes(60, 61, 2, 3, 4, 5, 50, 51))
    assert gone([a, b, c]) == {"b": ("a", "near_duplicate")}


def test_many_copies_are_few_pairs():
    videos = [film(f"{i:04d}") for i in range(500)]
    found = gone(videos)
    assert found == {f"{i:04d}": ("0000", "near_duplicate") for i in range(1, 500)}


def test_copies_of_a_film_that_goes_for_another_reason():
    """b has a's address, so it goes; its copies c and d equal each other: one of them stays."""
    page = "https://youtu.be/GJLlxj_dtq8"
    videos = [film("a", 100, url=page), film("b", url=page), film("c"), film("d")]
    assert gone(videos) == {"b": ("a", "same_id"), "d": ("c", "near_duplicate")}


def test_films_of_one_page_whose_first_goes_for_another_reason():
    """b is a near-duplicate of a, so it goes; c and d have b's address and equal each other: one of them stays."""
    page = "https://youtu.be/GJLlxj_dtq8"
    b, c, d = film("b", url=page), film("c", 100, url=page), film("d", 200, url=page)
    assert gone([film("a"), b, c, d]) == {"b": ("a", "near_duplicate"), "d": ("c", "same_id")}


def test_an_equal_film_between_a_film_that_goes_and_its_copy():
    """b goes for a's address; c, a little longer, equals it and stays; so b's copy d, which comes last, goes."""
    page = "https://youtu.be/GJLlxj_dtq8"
    between = film("c", seconds=61.0)
    assert gone([film("a", 100, url=page), film("b", url=page), between, film("d")]) == {
        "b": ("a", "same_id"),
        "d": ("c", "near_duplicate"),
    }


def test_a_reported_leak_keeps_no_copy_within_the_split():
    same = [film("a"), film("b", 100, sha256="sha of a"), film("c", 200, sha256="sha of a")]
    assert gone(same, {"a": "test"}, leaks="report") == {"c": ("b", "same_bytes")}
    pages = [film(name, 100 * place, url="https://youtu.be/GJLlxj_dtq8") for place, name in enumerate("abc")]
    assert gone(pages, {"a": "test"}, leaks="report") == {"c": ("b", "same_id")}


LOOKS = st.lists(st.integers(0, 3), min_size=8, max_size=8)
VIDEOS = st.lists(
    st.tuples(LOOKS, st.sampled_from([60.0, 58.0, 50.0]), st.sampled_from("xyz"), st.sampled_from(["manual", "none"]),
              st.sampled_from(["train", "val", "test"]), st.integers(0, 30)),
    max_size=14,
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(VIDEOS, st.randoms())
def test_what_goes_equals_what_stays_and_what_stays_is_all_different(drawn, dice):
    videos, splits = [], {}
    for number, (looks, seconds, content, kind, split, page) in enumerate(drawn):
        shown = hashes(*(place * 10 + look for place, look in enumerate(looks)))
        url = f"https://youtu.be/{page:011d}"
        one = film(f"v{number}", hashes=shown, seconds=seconds, sha256=content * number, caption_kind=kind, url=url)
        videos.append(one)
        splits[one.video_id] = split
    found = find(videos, splits, Duplicates())
    away = {pair.video_id for pair in found}
    assert all(pair.drop and pair.kept not in away and pair.kept != pair.video_id for pair in found)
    assert find([one for one in videos if one.video_id not in away], splits, Duplicates()) == []
    dice.shuffle(videos)
    assert find(videos, splits, Duplicates()) == found


def by_definition(videos, splits, options):
    """Ids that go: in order of preference every video that equals one that stays, where that is to be dropped."""
    actions = {"same_id": options.same_id, "same_bytes": options.same_bytes, "near_duplicate": options.near}
    stays, away = [], set()
    for video in sorted(videos, key=lambda one: duplicates._preference(one, splits)):
        for other in stays:
            alike = sum(a == b for a, b in zip(video.hashes, other.hashes, strict=True)) >= options.pictures
            close = abs(video.seconds - other.seconds) <= options.duration * max(video.seconds, other.seconds)
            equal = {
                "same_id": video.url == other.url,
                "same_bytes": video.sha256 == other.sha256 != "",
                "near_duplicate": alike and close,
            }
            for reason, action in actions.items():
                if equal[reason] and action != "off":
                    leak = splits[video.video_id] != splits[other.video_id]
                    if (options.leaks if leak else action) == "drop":
                        away.add(video.video_id)
        if video.video_id not in away:
            stays.append(video)
    return away


ACTIONS = st.sampled_from(["drop", "report", "off"])
OPTIONS = st.builds(
    Duplicates, same_id=ACTIONS, same_bytes=ACTIONS, near=ACTIONS, leaks=st.sampled_from(["drop", "report"])
)
FEW_LOOKS = st.sampled_from([(1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1, 2, 2), (2, 2, 2, 2, 2, 2, 2, 2)])
FEW = st.lists(
    st.tuples(FEW_LOOKS, st.sampled_from([60.0, 58.0, 55.5]), st.sampled_from(["x", "y", ""]),
              st.sampled_from(["train", "val"]), st.integers(0, 4)),
    min_size=3, max_size=9,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(FEW, OPTIONS)
def test_those_go_that_the_definition_names(drawn, options):
    videos = [
        film(f"v{number}", hashes=hashes(*looks), seconds=seconds, sha256=content, url=f"https://youtu.be/{page:011d}")
        for number, (looks, seconds, content, _, page) in enumerate(drawn)
    ]
    splits = {one.video_id: row[3] for one, row in zip(videos, drawn, strict=True)}
    found = find(videos, splits, options)
    assert {pair.video_id for pair in found if pair.drop} == by_definition(videos, splits, options)


def test_the_command(tmp_path):
    for shard, videos in (("0000", [film("a")]), ("0001", [film("b"), film("c", 100, hashes=())])):
        facts.write(facts.path_of(tmp_path / f"due_diligence/{shard}.parquet"), videos)
    files.write_json(tmp_path / "annotations.json", {"b": {"split": "test"}})
    duplicates.main(tmp_path / "due_diligence", tmp_path / "annotations.json", 2, tmp_path / "duplicates.json")
    written = json.loads((tmp_path / "duplicates.json").read_text())
    assert written["pairs"] == [
        {"video_id": "a", "kept": "b", "reason": "split_leak", "found": "near_duplicate", "distance": 0.0,
         "split": "train", "kept_split": "test", "drop": True}
    ]  # fmt: skip
    assert facts.read_shards(tmp_path / "due_diligence", 2)[2] == film("c", 100, hashes=())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "must be an object"),
        ({"a": 3}, "must be an object"),
        ({"a": {"split": "dev"}}, r"a has split 'dev'; it must be one of test, val, train"),
        ({"a": {}}, "a has split 'None'"),
    ],
)
def test_annotations_that_are_none(tmp_path, labels, message):
    files.write_json(tmp_path / "annotations.json", labels)
    with pytest.raises(UserError, match=message):
        duplicates.main(tmp_path, tmp_path / "annotations.json", 1, tmp_path / "duplicates.json")
