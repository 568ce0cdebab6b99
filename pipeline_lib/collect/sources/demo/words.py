"""An event → the words for it: titles, captions, article sentences, search keywords."""

from functools import cache
from random import Random
from typing import NamedTuple

from pipeline_lib.collect.sources.demo.world import TYPES, Event

CHANNELS = tuple(f"Demo News {n}" for n in range(1, 6))


class Wording(NamedTuple):
    """How people speak of one type of event."""

    noun: str  # in titles, and the query that finds it
    verb: str  # in titles, after the actor
    keywords: str  # what else finds it
    captions: tuple[str, ...]  # said while it is shown
    article: tuple[str, ...]  # written about it afterwards, in words that captions mostly use as well


# Some tasks drop stop words, and scikit-learn's list of them holds "fire": flames or smoke must be said too.
# {a}: "a red truck", {the}: "the red truck", {many}: "red trucks",
# {at}: "at the harbour", {place}: "the harbour"
WORDINGS = {
    "burn": Wording(
        "Fire", "burns", "burn burning flames smoke",
        (
            "{a} is burning", "flames rise from {the}",
            "{the} is on fire and smoke rises", "smoke and flames over {the}",
        ),
        (
            "A fire with high flames destroyed {a} {at}", "{a} burned in thick smoke {at}",
            "Flames and smoke covered {a} {at}",
        ),
    ),
    "flood": Wording(
        "Flood", "under water", "flooded flooding water",
        (
            "{a} stands in the flood", "water rises around {the}",
            "deep water covers {the}", "{the} is flooded",
        ),
        ("A flood covered {a} {at}", "Water surrounded {a} {at}", "{a} was flooded {at}"),
    ),
    "explode": Wording(
        "Explosion", "explodes", "explode exploding blast",
        (
            "{a} explodes", "an explosion hits {the}",
            "a bright blast at {the}", "pieces of {the} after the blast",
        ),
        ("{a} exploded in a blast {at}", "An explosion hit {a} {at}", "A blast destroyed {a} {at}"),
    ),
    "collapse": Wording(
        "Collapse", "collapses", "collapsing rubble",
        (
            "{a} collapses", "{the} is falling to rubble",
            "dust and rubble under {the}", "{the} falls apart",
        ),
        (
            "{a} collapsed to rubble {at}", "{a} fell apart {at}",
            "Only rubble and dust remained of {a} {at}",
        ),
    ),
    "march": Wording(
        "Parade", "on parade", "march marching",
        (
            "many {many} march past", "a parade of {many}",
            "{many} marching in long lines", "{many} are on parade",
        ),
        (
            "{many} were marching in long lines {at}", "A parade of {many} crossed {place}",
            "Many {many} were on parade {at}",
        ),
    ),
    "snow": Wording(
        "Snowstorm", "in the snow", "snow storm winter",
        (
            "snow falls on {the}", "{a} in a snowstorm",
            "heavy snow hides {the}", "the snowstorm covers {the}",
        ),
        (
            "Heavy snow covered {a} {at}", "A snowstorm hit {a} {at}",
            "{a} was lost in the snow {at}",
        ),
    ),
    "tornado": Wording(
        "Tornado", "in the wind", "wind whirlwind",
        (
            "a tornado lifts {the}", "{a} in a tornado",
            "strong wind turns {the}", "the tornado carries {the}",
        ),
        (
            "A tornado carried {a} away {at}", "{a} was lifted by the wind {at}",
            "A strong tornado hit {a} {at}",
        ),
    ),
    "celebrate": Wording(
        "Celebration", "celebrated", "celebrate party confetti",
        (
            "confetti falls on {the}", "a party around {the}",
            "we celebrate {a}", "{the} in colourful confetti",
        ),
        (
            "A party was held around {a} {at}", "Confetti fell on {a} {at}",
            "{a} was celebrated with confetti {at}",
        ),
    ),
}  # fmt: skip
PREPOSITIONS = {
    "harbour": "at", "desert": "in", "forest": "in", "street": "in",
    "mountain": "on", "square": "on", "field": "in", "stadium": "in",
}  # fmt: skip
CLOSER_LOOKS = ("you can see {the} {at}", "we are {at} with {the}", "this is one of the {many} {at}")
STUDIO = (
    "welcome back to the evening news",
    "good evening from the studio",
    "now to our next story",
    "here is what happened today",
    "and there is more news",
    "our reporter has more",
    "let us look at this",
    "stay with us",
)
BACKGROUND = (
    "Officials said nobody was hurt.",
    "Police closed the area for two hours.",
    "Experts are still looking for the cause.",
    "The mayor thanked all helpers.",
    "Visitors came from far away.",
    "A spokesman did not want to comment.",
    "The weather will be better tomorrow.",
    "More news will follow tonight.",
)
# What titles on the internet do to shells, HTML, paths and terminals that don't expect it.
NASTY = (
    ' "live" <script>alert(1)</script>',
    " $(touch pwned) `id`",
    " ; rm -rf ./* | 'sh' && echo \\",
    " ../../%2e%2e/%s {0} {x}",
    " ⚠ 速報 Größe naïve 🚒",
    " <img src=x onerror=alert(1)> &amp; ' \"",
)

# One query per event type: together they find every video, as each has one headline.
QUERIES = tuple(WORDINGS[type_].noun.lower() for type_ in TYPES)


def say(template: str, event: Event, *, colour: bool = True, texture: bool = False) -> str:
    """Fill a template with the event's actor and place; colour and texture are named only if asked for."""
    adjectives = [event.texture] * (texture and event.texture != "plain") + [event.colour] * colour
    actor = " ".join([*adjectives, event.noun])
    return template.format(
        a=f"a {actor}", the=f"the {actor}", many=f"{actor}s", place=f"the {event.place}",
        at=f"{PREPOSITIONS[event.place]} the {event.place}",
    )  # fmt: skip


def capital(text: str) -> str:
    """The text with its first letter upper-case and the others as they are."""
    return text[:1].upper() + text[1:]


def title(event: Event, index: int) -> str:
    """A headline. Every twentieth carries characters that must be escaped somewhere down the line."""
    wording = WORDINGS[event.type]
    where = f"{PREPOSITIONS[event.place]} the {event.place}"
    nasty = NASTY[index // 20 % len(NASTY)] if index % 20 == 3 else ""
    return f"{wording.noun} {where}: {event.colour} {event.noun} {wording.verb}{nasty} – Demo News"


@cache
def keywords(event: Event) -> frozenset[str]:
    """Lower-case words that find a video with this headline."""
    wording = WORDINGS[event.type]
    found_by = [wording.noun.lower(), *wording.keywords.split(), event.type, event.colour, event.place]
    return frozenset([*found_by, event.noun, event.noun + "s"])


def narration(event: Event, rng: Random) -> list[str]:
    """Two or three caption lines for one event: who and what, what and where, often a closer look."""
    first, second = rng.sample(WORDINGS[event.type].captions, 2)
    lines = [
        say(first, event, texture=rng.random() < 0.3),
        say(second + " {at}", event, colour=rng.random() < 0.6),
    ]
    if rng.random() < 0.6:
        lines.append(say(rng.choice(CLOSER_LOOKS), event, texture=rng.random() < 0.5))
    rng.shuffle(lines)
    return lines


def sentence(event: Event, rng: Random) -> str:
    """One article sentence that always names noun and event type, often the colour and mostly the place."""
    template = rng.choice(WORDINGS[event.type].article)
    if rng.random() < 0.25:
        template = template.removesuffix(" {at}")
    return capital(say(template, event, colour=rng.random() < 0.7)) + "."
