"""(seed, split, index) → a screenplay: shots, events, title, article, captions and gold coreference."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from random import Random

from pipeline_lib.collect.sources.base import Segment
from pipeline_lib.collect.sources.demo import words
from pipeline_lib.collect.sources.demo.world import COLOURS, OWN_PAIRS, PLACES, TEXTURES, Event

EVENT_SECONDS = (3.0, 5.0)
STUDIO_SECONDS = (0.5, 1.5)
SECONDS_PER_EVENT = 5.0  # an event and the studio shot before it, on average
MAX_EVENTS = 8  # as many as there are places: each event has a place of its own
MENTIONED = 0.85  # share of the shown events that the article mentions
JITTER_SECONDS = 0.12  # standard deviation of a proposed cut around the true one
MISSED_CUTS = 0.08  # share of the true cuts that no proposal marks

_HEADLINE_COLOURS = tuple(COLOURS)


@dataclass(frozen=True)
class Outline:
    """What a search result shows of a video: cheap, so that a million can be listed in seconds."""

    split: str
    index: int
    digest: int  # 128 bits that everything else is drawn from
    frames: int
    fps: int
    headline: Event

    @property
    def duration(self) -> float:
        """Seconds."""
        return round(self.frames / self.fps, 3)

    @property
    def title(self) -> str:
        """The headline as text."""
        return words.title(self.headline, self.index)

    @property
    def channel(self) -> str:
        """One of a few."""
        return words.CHANNELS[self.digest % len(words.CHANNELS)]


@dataclass(frozen=True)
class Shot:
    """Frames [first, end) show one event, or the studio."""

    first: int
    end: int
    event: Event | None


@dataclass(frozen=True)
class Story:
    """The whole screenplay; everything in it is a function of (seed, split, index, seconds, fps)."""

    outline: Outline
    shots: tuple[Shot, ...]
    captions: tuple[tuple[float, float, str], ...]  # start and end in seconds, text
    sentences: tuple[str, ...]  # the article
    coreference: tuple[tuple[int, int], ...]  # (event, sentence that describes it)
    proposals: tuple[float, ...]  # cut points in seconds

    @cached_property
    def events(self) -> list[tuple[float, float, Event]]:
        """(start, end, event) of the shown events, in seconds."""
        fps = self.outline.fps
        return [(round(s.first / fps, 3), round(s.end / fps, 3), s.event) for s in self.shots if s.event]

    @property
    def caption_kind(self) -> str:
        """Every fifth video has machine-made captions."""
        return "auto" if self.outline.index % 5 == 4 else "manual"

    @property
    def upload_date(self) -> str:
        """YYYYMMDD."""
        day = self.outline.digest // 7
        return f"{2015 + day % 10}{1 + day // 10 % 12:02d}{1 + day // 120 % 28:02d}"

    def segments(self) -> list[Segment]:
        """The captions in the file contract's form."""
        return [{"start": start, "duration": round(end - start, 3), "text": text} for start, end, text in self.captions]


def outline(seed: int, split: str, index: int, seconds: tuple[float, float], fps: int) -> Outline:
    """The part of a story that search shows; `seconds` are the shortest and the longest duration."""
    digest = int.from_bytes(blake2b(f"{seed}/{split}/{index}".encode(), digest_size=16).digest(), "big")
    rest, pair = divmod(digest, len(OWN_PAIRS[split]))
    rest, colour = divmod(rest, len(COLOURS))
    rest, texture = divmod(rest, len(TEXTURES))
    rest, place = divmod(rest, len(PLACES))
    length = seconds[0] + (seconds[1] - seconds[0]) * (rest % 10_000) / 9_999
    headline = Event(*OWN_PAIRS[split][pair], _HEADLINE_COLOURS[colour], TEXTURES[texture], PLACES[place])
    return Outline(split, index, digest, round(length * fps), fps, headline)


def write(outline: Outline) -> Story:
    """The full screenplay behind an outline."""
    rng = Random(outline.digest)
    shown = _events(outline, rng)
    shots = _shots(outline, shown, rng)
    sentences, coreference = _article(outline.split, shown, rng)
    return Story(
        outline,
        shots,
        _captions(outline, shots, rng),
        sentences,
        coreference,
        _proposals(outline, shots, rng),
    )


def _events(outline: Outline, rng: Random) -> list[Event]:
    """The headline and one to three more, with places and (noun, type) pairs of their own.

    Every other event, the headline first, has one of the split's own pairs: half or more are new to train.
    """
    n_events = min(max(1, round(outline.frames / outline.fps / SECONDS_PER_EVENT)), MAX_EVENTS)
    shown = [outline.headline]
    while len(shown) < n_events:
        event = _draw(outline.split, rng, own=len(shown) % 2 == 0 or rng.random() < 0.5)
        if all(event.place != other.place and event.pair != other.pair for other in shown):
            shown.append(event)
    return shown


def _draw(split: str, rng: Random, *, own: bool) -> Event:
    """Any event, its pair from the split's own pairs or from train's."""
    pair = rng.choice(OWN_PAIRS[split if own else "train"])
    return Event(*pair, rng.choice(_HEADLINE_COLOURS), rng.choice(TEXTURES), rng.choice(PLACES))


def _shots(outline: Outline, shown: list[Event], rng: Random) -> tuple[Shot, ...]:
    """Studio and event in turn, filling the video exactly, each within its range of seconds if possible."""
    ranges = [STUDIO_SECONDS, EVENT_SECONDS] * len(shown)
    lowest, highest = (sum(r[i] for r in ranges) for i in (0, 1))
    wanted = outline.frames / outline.fps
    share = min(max((wanted - lowest) / (highest - lowest), 0.0), 1.0)
    draws = [rng.random() for _ in ranges]
    room = [high - low for low, high in ranges]
    mean = sum(d * r for d, r in zip(draws, room, strict=True)) / sum(room)
    # Squeeze the draws towards 0 or 1 until the lengths add up to what is wanted: they stay inside [0, 1].
    if mean > share:
        draws = [d * share / mean for d in draws]
    else:
        draws = [1 - (1 - d) * (1 - share) / (1 - mean) for d in draws]
    lengths = [low + d * (high - low) for d, (low, high) in zip(draws, ranges, strict=True)]
    scale = outline.frames / sum(lengths)  # = fps unless the video is too short or too long for the ranges
    cuts = [round(sum(lengths[:i]) * scale) for i in range(len(lengths) + 1)]
    return tuple(Shot(cuts[i], cuts[i + 1], shown[i // 2] if i % 2 else None) for i in range(len(lengths)))


def _captions(outline: Outline, shots: tuple[Shot, ...], rng: Random) -> tuple[tuple[float, float, str], ...]:
    """Lines that cover each shot, in turn and without gaps."""
    captions = []
    for shot in shots:
        lines = words.narration(shot.event, rng) if shot.event else [rng.choice(words.STUDIO)]
        start, step = shot.first / outline.fps, (shot.end - shot.first) / outline.fps / len(lines)
        for i, line in enumerate(lines):
            text = line if outline.index % 5 == 4 else words.capital(line) + "."
            captions.append((round(start + i * step, 3), round(start + (i + 1) * step, 3), text))
    return tuple(captions)


def _article(split: str, shown: list[Event], rng: Random) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Sentences in shuffled order, and (event, sentence) for the true ones."""
    mentioned = [i for i in range(len(shown)) if rng.random() < MENTIONED] or [rng.randrange(len(shown))]
    lines: list[tuple[str, int | None]] = [(words.sentence(shown[i], rng), i) for i in mentioned]
    background = rng.sample(words.BACKGROUND, rng.choice((1, 2)))
    n_false = max(rng.choice((1, 2, 2, 3)), 4 - len(lines) - len(background))
    false = _not_shown(split, shown, min(n_false, max(1, 8 - len(lines) - len(background))), rng)
    lines += [(words.sentence(event, rng), None) for event in false] + [(text, None) for text in background]
    rng.shuffle(lines)
    coreference = sorted((event, i) for i, (_, event) in enumerate(lines) if event is not None)
    return tuple(text for text, _ in lines), tuple(coreference)


def _not_shown(split: str, shown: list[Event], count: int, rng: Random) -> list[Event]:
    """Events for false sentences: at most one attribute shared with any shown event, so no shown pair.

    Two in three have exactly one in common with some (hard negatives).
    """
    found: list[Event] = []
    while len(found) < count:
        hard = rng.random() < 2 / 3
        while True:
            event = _draw(split, rng, own=rng.random() < 0.7)
            shared = max(event.shared(other) for other in shown)
            if (shared == 1 if hard else shared <= 1) and event.pair not in [other.pair for other in found]:
                break
        found.append(event)
    return found


def _proposals(outline: Outline, shots: tuple[Shot, ...], rng: Random) -> tuple[float, ...]:
    """Cut points as an imperfect shot detector finds them: jittered, some missed, one or two too many."""
    duration = outline.frames / outline.fps
    cuts = [
        shot.first / outline.fps + min(max(rng.gauss(0, JITTER_SECONDS), -0.3), 0.3)
        for shot in shots[1:]
        if rng.random() >= MISSED_CUTS
    ]
    cuts += [rng.uniform(0.1, 0.9) * duration for _ in range(rng.choice((1, 1, 2)))]
    inside = {round(cut, 3) for cut in cuts if 0.05 < cut < duration - 0.05}
    return tuple(sorted(inside))
