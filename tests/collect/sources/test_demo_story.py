"""The demo's screenplays: gold that is true, pairs that are held out, words that can be learned."""

import re
from itertools import combinations
from random import Random

import pytest

from pipeline_lib.collect.sources.demo import DemoSource, story, words
from pipeline_lib.collect.sources.demo.world import (
    COLOURS,
    NOUNS,
    OWN_PAIRS,
    PLACES,
    SPLITS,
    TYPES,
    Event,
)

SECONDS, FPS = (8.0, 20.0), 24
TYPE_WORDS = {  # written out here on purpose: what a reader takes as a mention of each type
    "burn": {"fire", "smoke", "burned", "burning", "flames"},
    "flood": {"flood", "flooded", "water"},
    "explode": {"exploded", "explodes", "explosion", "blast"},
    "collapse": {"collapsed", "collapses", "apart", "rubble"},
    "march": {"parade", "march", "marched", "marching"},
    "snow": {"snow", "snowstorm"},
    "tornado": {"tornado", "wind"},
    "celebrate": {"party", "confetti", "celebrated", "celebrate"},
}


def told(split: str, count: int = 60, seed: int = 0) -> list[story.Story]:
    return [story.write(story.outline(seed, split, i, SECONDS, FPS)) for i in range(count)]


def tokens(text: str) -> set[str]:
    return set(re.findall(r"[\w']+", text.lower()))


def mentioned_pairs(text: str) -> set[tuple[str, str]]:
    """The (noun, type) pairs that a text can be read as naming."""
    found = tokens(text)
    nouns = [noun for noun in NOUNS if {noun, noun + "s"} & found]
    return {(noun, type_) for noun in nouns for type_, named_by in TYPE_WORDS.items() if named_by & found}


def test_own_pairs_of_the_splits_are_disjoint_and_cover_the_table():
    for one, other in combinations(SPLITS, 2):
        assert not set(OWN_PAIRS[one]) & set(OWN_PAIRS[other])
    assert len({pair for pairs in OWN_PAIRS.values() for pair in pairs}) == len(NOUNS) * len(TYPES)


def test_train_never_shows_or_tells_held_out_pairs():
    allowed = set(OWN_PAIRS["train"])
    for one in told("train", 200):
        assert {event.pair for _, _, event in one.events} <= allowed
        for text in [one.outline.title, *one.sentences, *(line for _, _, line in one.captions)]:
            assert mentioned_pairs(text) <= allowed, text


@pytest.mark.parametrize("split", ["val", "test"])
def test_at_least_half_of_the_evaluated_events_are_unseen_in_each_video(split):
    for one in told(split):
        unseen = [event.pair in OWN_PAIRS[split] for _, _, event in one.events]
        assert sum(unseen) * 2 >= len(unseen)


def test_everything_occurs_in_a_train_split_of_the_default_size():
    events = [event for one in told("train", 72) for _, _, event in one.events]
    assert {e.noun for e in events} == set(NOUNS) and {e.type for e in events} == set(TYPES)
    assert {e.colour for e in events} == set(COLOURS) and {e.place for e in events} == set(PLACES)


@pytest.mark.parametrize("split", SPLITS)
def test_shots_tile_the_video_and_keep_to_their_lengths(split):
    for one in told(split):
        assert one.shots[0].first == 0 and one.shots[-1].end == one.outline.frames
        assert all(a.end == b.first for a, b in zip(one.shots, one.shots[1:], strict=False))
        assert SECONDS[0] <= one.outline.duration <= SECONDS[1]
        assert 2 <= len(one.events) <= 4
        for shot in one.shots:
            low, high = story.EVENT_SECONDS if shot.event else story.STUDIO_SECONDS
            assert low - 1 / FPS <= (shot.end - shot.first) / FPS <= high + 1 / FPS


@pytest.mark.parametrize("seconds", [(0.5, 2.0), (60.0, 90.0)])
def test_very_short_and_long_videos_are_legal(seconds):
    for i in range(40):
        one = story.write(story.outline(0, "test", i, seconds, FPS))
        assert one.shots[-1].end == one.outline.frames
        assert one.coreference and all(shot.first < shot.end for shot in one.shots)
        assert len({event.place for _, _, event in one.events}) == len(one.events)


def test_captions_cover_each_event_and_name_it():
    for one in told("train", 100):
        assert all(end > start for start, end, _ in one.captions)
        assert all(a[1] <= b[0] + 1e-9 for a, b in zip(one.captions, one.captions[1:], strict=False))
        for start, end, event in one.events:
            inside = [line for line in one.captions if line[0] >= start - 1e-3 and line[1] <= end + 1e-3]
            assert 2 <= len(inside) <= 3
            assert inside[0][0] == pytest.approx(start, abs=2e-3) and inside[-1][1] == pytest.approx(end, abs=2e-3)
            said = tokens(" ".join(text for _, _, text in inside))
            assert {event.colour, event.place} <= said
            assert event.pair in mentioned_pairs(" ".join(said))


def test_every_fifth_video_has_machine_made_captions():
    for one in told("val", 20):
        machine = one.outline.index % 5 == 4
        assert one.caption_kind == ("auto" if machine else "manual")
        if machine:
            assert all(text == text.lower() and text.replace(" ", "").isalpha() for _, _, text in one.captions)


@pytest.mark.parametrize("split", SPLITS)
def test_an_article_sentence_describes_the_event_it_is_paired_with_and_no_other(split):
    for one in told(split, 150):
        described = {sentence: event for event, sentence in one.coreference}
        assert len(described) == len(one.coreference) >= 1
        assert len({event for event, _ in one.coreference}) == len(one.coreference)
        assert 4 <= len(one.sentences) <= 8 and len(set(one.sentences)) == len(one.sentences)
        for number, text in enumerate(one.sentences):
            true_of = [i for i, (_, _, event) in enumerate(one.events) if event.pair in mentioned_pairs(text)]
            assert true_of == ([described[number]] if number in described else []), text


def test_hard_negatives_share_one_attribute():
    rng, shown = Random(0), [Event("truck", "burn", "red", "plain", "harbour")]
    false = [event for _ in range(100) for event in story._not_shown("train", shown, 2, rng)]
    shared = [event.shared(shown[0]) for event in false]
    assert set(shared) <= {0, 1} and shared.count(1) > 100


def test_about_85_percent_of_the_shown_events_are_mentioned():
    stories = told("test", 300)
    share = sum(len(one.coreference) for one in stories) / sum(len(one.events) for one in stories)
    assert 0.8 < share < 0.9


def test_proposals_are_near_the_cuts_with_some_missed_and_some_extra():
    missed = cuts = 0
    for one in told("val", 100):
        assert list(one.proposals) == sorted(set(one.proposals))
        assert one.proposals[0] > 0 and one.proposals[-1] < one.outline.duration
        for shot in one.shots[1:]:
            cuts += 1
            missed += min(abs(shot.first / FPS - p) for p in one.proposals) > 0.3
        assert len(one.proposals) <= len(one.shots) + 1
    assert 0.01 < missed / cuts < 0.15


def test_captions_teach_noun_and_type_words_of_every_article_sentence():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    heard = set().union(*(tokens(line) for one in told("train", 72) for _, _, line in one.captions))
    heard -= text.ENGLISH_STOP_WORDS
    for split in SPLITS:
        for one in told(split):
            for _, sentence in one.coreference:
                known = tokens(one.sentences[sentence]) & heard
                assert known & {n + s for n in NOUNS for s in ("", "s")}, one.sentences[sentence]
                assert known & set().union(*TYPE_WORDS.values()), one.sentences[sentence]


def test_the_vocabulary_is_small():
    said = (line for one in told("train", 300) for _, _, line in one.captions)
    written = (line for one in told("test", 300) for line in one.sentences)
    assert 100 <= len(set().union(*map(tokens, said), *map(tokens, written))) <= 250


def test_one_title_in_twenty_is_nasty():
    titles = [words.title(one.outline.headline, one.outline.index) for one in told("train", 120)]
    nasty = [title for title in titles if not re.fullmatch(r"[\w :–]+", title)]
    assert len(nasty) == 6 and any("<script>" in title for title in nasty) and any("$(" in title for title in nasty)
    assert all(title.isprintable() for title in titles)


def test_stories_change_with_the_seed():
    assert [one.sentences for one in told("test", 5)] != [one.sentences for one in told("test", 5, seed=1)]


def test_annotations_are_consistent():
    annotations = DemoSource(train=5, val=5, test=5).annotations()
    assert sorted(entry["split"] for entry in annotations.values()) == ["test"] * 5 + ["train"] * 5 + ["val"] * 5
    for entry in annotations.values():
        ends = [0.0, *(event["end"] for event in entry["events"])]
        for event, previous_end in zip(entry["events"], ends, strict=False):
            assert previous_end <= event["start"] < event["end"] <= entry["duration"] and event["type"] in TYPES
        for event, sentence in entry["event_coreference"]:
            assert 0 <= event < len(entry["events"]) and 0 <= sentence < len(entry["article_sentences"])
        assert all(0 < cut < entry["duration"] for cut in entry["temporal_proposals"])
