"""The demo's world: what can appear, what can happen to it and where → events; and the pairs held out."""

from dataclasses import dataclass

NOUNS = ("truck", "boat", "drone", "tower", "crowd", "house", "tent", "balloon")
TYPES = ("burn", "flood", "explode", "collapse", "march", "snow", "tornado", "celebrate")
PLACES = ("harbour", "desert", "forest", "street", "mountain", "square", "field", "stadium")
COLOURS = {
    "red": (222, 22, 30),
    "yellow": (250, 215, 10),
    "green": (20, 170, 50),
    "turquoise": (20, 210, 205),
    "blue": (30, 60, 235),
    "purple": (125, 30, 190),
    "pink": (255, 95, 180),
}
TEXTURES = ("plain", "striped", "checked")
SPLITS = ("train", "val", "test")

Pair = tuple[str, str]  # noun, event type


@dataclass(frozen=True)
class Event:
    """Something happening to a coloured actor in a place."""

    noun: str
    type: str
    colour: str
    texture: str
    place: str

    @property
    def pair(self) -> Pair:
        """What the splits hold out."""
        return self.noun, self.type

    def shared(self, other: "Event") -> int:
        """How many of noun, type, colour and place two events have in common, 0…4."""
        mine = (self.noun, self.type, self.colour, self.place)
        return sum(a == b for a, b in zip(mine, (other.noun, other.type, other.colour, other.place), strict=True))


def _pairs(*diagonals: int) -> tuple[Pair, ...]:
    """The pairs on some diagonals of the noun × type table: each noun and each type once per diagonal."""
    return tuple((noun, TYPES[(i + d) % len(TYPES)]) for i, noun in enumerate(NOUNS) for d in diagonals)


# The pairs a split calls its own. Train has nothing else; val and test mix theirs with train's, so that a
# model must put noun and event together anew. Fixed, not seeded: the question stays the same for every seed.
OWN_PAIRS = {"train": _pairs(0, 2, 3, 5, 7), "val": _pairs(6), "test": _pairs(1, 4)}
