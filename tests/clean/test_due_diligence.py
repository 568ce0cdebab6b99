"""Every check over findings and texts made by hand: what it refuses, its reason, its switch."""

from dataclasses import replace

import pytest

from pipeline_lib.clean.due_diligence import check
from pipeline_lib.clean.findings import Findings
from pipeline_lib.clean.text_checks import Texts
from pipeline_lib.config.clean import DueDiligence
from pipeline_lib.core.errors import ItemError

FILM = Findings(
    bytes=1000, width=640, height=360, fps=25.0, duration=60.0, codec="h264", streams=2, audio=True, seconds=60.0,
    packets=1500, black=0.1, change=80.0, hashes=["00ff00ff00ff00ff"] * 8,
)  # fmt: skip
TEXTS = Texts("A description.", 3, 20, "manual", "en-US", "en", 0.99, 60.0)


def verdict(film=FILM, texts=TEXTS, **options):
    """ "ok", or the reason and detail of the first check that fails."""
    try:
        check(film, texts, DueDiligence(**options))
    except ItemError as error:
        return str(error.reason), error.detail
    return "ok"


def test_a_good_video_passes():
    assert verdict() == "ok"


@pytest.mark.parametrize(
    ("change", "limits", "reason", "off"),
    [
        ({"bytes": 1001}, {"max_bytes": 1000}, "too_large", {"max_bytes": None}),
        ({"width": 5000, "height": 5000}, {}, "too_large", {"max_pixels": None}),
        ({"height": 31}, {}, "too_small", {"min_side": None}),
        ({"seconds": 56.9, "packets": 1422}, {}, "truncated", {"duration_tolerance": None}),
        ({"seconds": 66.1, "packets": 1652}, {}, "wrong_duration", {"duration_tolerance": None}),
        ({"faults": ["last picture, at 59.9 s: no frame comes out"]}, {}, "undecodable", {"decodable": False}),
        ({}, {"max_seconds": 59.0}, "too_long", {"max_seconds": None}),
        ({}, {"min_seconds": 61.0}, "too_short", {"min_seconds": None}),
        ({"packets": 59}, {}, "frame_rate", {"min_fps": None}),
        ({"packets": 15_000}, {}, "frame_rate", {"max_fps": None}),
        ({"black": 0.98}, {}, "black", {"black": None}),
        ({"change": 3.9}, {}, "frozen", {"frozen": None}),
    ],
)
def test_what_a_file_is_refused_for(change, limits, reason, off):
    film = replace(FILM, **change)
    assert verdict(film, **limits)[0] == reason
    assert verdict(film, **{**limits, **off}) == "ok"


@pytest.mark.parametrize(
    ("change", "limits", "reason", "off"),
    [
        ({"article": ""}, {}, "no_article", {"article": False}),
        ({"segments": 0, "words": 0, "detected": ""}, {}, "no_captions", {"captions": False}),
        ({"words": 4}, {}, "too_few_words", {"min_words": None}),
        ({"detected": "de"}, {}, "wrong_language", {"languages": []}),
        ({}, {"languages": ["de", "fr"]}, "wrong_language", {"languages": None}),
        ({"declared": 70.0}, {}, "truncated", {"duration_tolerance": None}),
    ],
)
def test_what_texts_are_refused_for(change, limits, reason, off):
    texts = replace(TEXTS, **change)
    assert verdict(FILM, texts, **limits)[0] == reason
    assert verdict(FILM, texts, **{**limits, **off}) == "ok"


def test_tolerances_are_kept():
    """5 % of 60 s and a frame may be missing; of a page's declared duration one second more, for it is rounded."""
    assert verdict(replace(FILM, seconds=57.0, packets=1425)) == "ok"
    assert verdict(texts=replace(TEXTS, declared=64.2)) == "ok"
    assert verdict(texts=replace(TEXTS, declared=64.3))[0] == "truncated"
    assert verdict(replace(FILM, duration=0.0)) == "ok"  # nothing declared
    assert verdict(replace(FILM, duration=0.0), max_seconds=59.0)[0] == "too_long"


def test_a_language_is_believed_from_its_confidence_on():
    doubtful = replace(TEXTS, detected="de", confidence=0.94)
    assert verdict(texts=doubtful) == "ok"
    assert verdict(texts=doubtful, language_confidence=0.94)[0] == "wrong_language"
    assert verdict(texts=replace(TEXTS, language="", detected="de")) == "ok"  # says nothing, nothing wanted
    assert verdict(texts=replace(TEXTS, language="tlh", detected="de")) == "ok"  # Klingon: the model can't tell


def test_the_detail_names_every_other_reason():
    reason, detail = verdict(replace(FILM, seconds=30.0, change=0.0), replace(TEXTS, article=""))
    assert reason == "truncated"
    assert detail == "pictures end at 30.0 s of 60.0 s; also frozen, no_article"


def test_what_is_no_video_is_not_measured_by_its_limits():
    nothing = Findings(bytes=0, reason="empty_file", detail="x.mp4")
    assert verdict(nothing) == ("empty_file", "x.mp4")
    assert verdict(nothing, replace(TEXTS, words=1)) == ("empty_file", "x.mp4; also too_few_words")
