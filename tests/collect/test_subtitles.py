import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_recordings import rolling_sample

from pipeline_lib.collect import subtitles
from pipeline_lib.collect.subtitles import BadCaptions, read

ROLLING = """WEBVTT

00:00:00.000 --> 00:00:02.000
so<00:00:00.500><c> the</c><00:00:01.000><c> storm</c>

00:00:02.000 --> 00:00:02.010
so the storm

00:00:02.010 --> 00:00:04.000
so the storm
came<00:00:02.500><c> in</c>

00:00:04.000 --> 00:00:04.010
came in

00:00:04.010 --> 00:00:06.000
came in
came<00:00:04.500><c> in</c>
"""


def texts(segments):
    return [segment["text"] for segment in segments]


def test_rolling_lines_are_said_once_and_what_is_said_twice_stays():
    assert texts(read(ROLLING, "vtt")) == ["so the storm", "came in", "came in"]


def test_real_automatic_captions():
    assert read(rolling_sample(), "vtt") == [
        {"start": 286.07, "duration": 0.4, "text": "yeah"},
        {"start": 286.47, "duration": 17.61, "text": "what"},
        {"start": 304.08, "duration": 0.989, "text": "this will happen is I'm telling"},
    ]


def test_rolling_without_word_times_is_noticed():
    lines = ["one", "two", "three", "four", "five", "six"]
    cues = [f"{i + 1}\n00:00:0{i},000 --> 00:00:0{i + 1},000\n{lines[i]}\n{lines[i + 1]}\n" for i in range(5)]
    assert texts(read("\n".join(cues), "srt")) == ["one two", "three", "four", "five", "six"]


def test_a_refrain_is_no_rolling():
    cues = [
        f"{i + 1}\n00:00:0{i},000 --> 00:00:0{i + 1},000\n{line}\n"
        for i, line in enumerate(["la", "la", "da", "la", "da", "la"])
    ]
    assert texts(read("\n".join(cues), "srt")) == ["la", "la", "da", "la", "da", "la"]


def test_json3_of_automatic_captions():
    events = [
        {"tStartMs": 0, "dDurationMs": 9000, "id": 1, "wpWinPosId": 1},
        {"tStartMs": 80, "dDurationMs": 4000, "segs": [{"utf8": "so"}, {"utf8": " the", "tOffsetMs": 200}]},
        {"tStartMs": 2070, "dDurationMs": 2010, "aAppend": 1, "segs": [{"utf8": "\n"}]},
        {"tStartMs": 2080, "dDurationMs": 3000, "segs": [{"utf8": "storm&amp;"}, {"utf8": " <i>rain</i>"}]},
    ]
    assert read(json.dumps({"events": events}), "json3") == [
        {"start": 0.08, "duration": 2.0, "text": "so the"},
        {"start": 2.08, "duration": 3.0, "text": "storm& rain"},
    ]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", "vtt"),
        ("<html></html>", "vtt"),
        ("WEBVTT\n\n00:00:09.000 --> 00:00:01.000\nbackwards\n", "vtt"),
        ("", "json3"),
        ("[]", "json3"),
        ('{"events": 3}', "json3"),
        ('{"events": [3]}', "json3"),
        ('{"events": [{"segs": 3}]}', "json3"),
        ('{"events": [{"segs": [{"utf8": "x"}], "tStartMs": -1}]}', "json3"),
        ('{"events": [{"segs": [{"utf8": "x"}], "tStartMs": 1e999}]}', "json3"),
        ('{"events": ' + "[" * 100_000, "json3"),
    ],
)
def test_broken_captions(text, form):
    with pytest.raises(BadCaptions):
        read(text, form)


def test_long_hostile_lines_take_no_time_squared():
    assert len(subtitles.plain("{\\" * 300_000)) == 600_000
    lines = ["x"] * 200_000
    assert subtitles.unrolled([(0.0, 1.0, lines), (1.0, 2.0, [*lines[1:], "y"])], True)[1]["text"].endswith("x y")


@given(st.text())
def test_plain_text_is_one_printable_line_that_stays_as_it_is(text):
    once = subtitles.plain(text)
    assert once.isprintable() and "\n" not in once and not once.startswith(" ")
    once.encode()


@given(st.lists(st.text("ab ", min_size=1, max_size=3), min_size=1, max_size=12))
def test_unrolling_gives_back_what_was_said(said):
    said = [" ".join(line.split()) for line in said if line.strip()]
    cues = []
    for i, line in enumerate(said):
        before = [said[i - 1]] if i else []
        cues.append((float(i), i + 0.9, [*before, line]))
        cues.append((i + 0.9, i + 0.91, [line]))
    assert texts(subtitles.unrolled(cues, True)) == said
