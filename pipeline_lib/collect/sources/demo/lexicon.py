"""The demo's words → the verbs and nouns they stand for: {"verbs": {class: [word]}, "nouns": {class: [word]}}.

Verbs are the types of events, nouns the actors and the places. Words that tell of several types ("rises", "covers") are left out.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_lib.collect.sources.demo.world import NOUNS, PLACES
from pipeline_lib.core import cli, files

VERBS = {
    "burn": "burn burns burned burning fire flames smoke",
    "flood": "flood flooded flooding water",
    "explode": "explode explodes exploded exploding explosion blast",
    "collapse": "collapse collapses collapsed collapsing rubble apart",
    "march": "march marching parade",
    "snow": "snow snowstorm",
    "tornado": "tornado wind whirlwind",
    "celebrate": "celebrate celebrated celebration confetti party",
}


def lexicon() -> dict[str, dict[str, list[str]]]:
    """Words by class."""
    nouns = {noun: [noun, f"{noun}s"] for noun in NOUNS} | {place: [place] for place in PLACES}
    return {"verbs": {name: words.split() for name, words in VERBS.items()}, "nouns": nouns}


def main(out: Annotated[Path, typer.Option(help="JSON to write")]) -> None:
    """Write which words of the demo's captions are which verbs and nouns."""
    files.write_json(out, lexicon(), sort_keys=False)


if __name__ == "__main__":
    cli.run(main)
