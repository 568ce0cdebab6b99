"""VM2E2's vid_annotation.json and articles → annotations.json, gold of event coreference (§1.7; docs/milo_data.md).

    python -m pipeline_lib.coref.vm2e2 --annotations vid_annotation.json --articles vid2article.json --out annotations.json

Which sentences tell of an event of the article is not in the published file, only the event's number: `--coreference`
gives them. Videos that are left out are in annotations.left_out.json with the reason.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from pipeline_lib.collect.gold import Annotation
from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import UserError, explain, one_line
from pipeline_lib.coref import vm2e2_articles, vm2e2_boxes, vm2e2_reader
from pipeline_lib.coref.vm2e2_articles import Article
from pipeline_lib.coref.vm2e2_reader import Event

log = logging.getLogger(__name__)

Split = Literal["train", "val", "test"]
Sentences = dict[str, list[int | str]]  # of each event of an article, by its number, as index or text
Value = TypeVar("Value")
FORMS = {  # of the tables that are given, for help and errors
    "coreference": "{title or id: {article event: [sentence, …]}}",
    "proposals": "{title or id: [seconds of cuts]}",
    "splits": "{title or id: train | val | test}",
    "types": "{number of event type: name}",
}


@dataclass(frozen=True)
class Known:
    """What the published file doesn't say; tables are keyed by title or id of a video.

    Attributes:
        types: names of event types by number.
        val: share of the videos without a split that is for val, the others are for test.
    """

    coreference: Mapping[str, Sentences] = field(default_factory=dict)
    proposals: Mapping[str, list[float]] = field(default_factory=dict)
    splits: Mapping[str, Split] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    val: float = 0.2
    seed: int = 0

    def split(self, title: str, video_id: str) -> Split:
        """The given split, or one that depends on nothing but seed and title."""
        given = self.splits.get(title, self.splits.get(video_id))
        text = f"{self.seed}:{vm2e2_articles.normalised(title)}"
        drawn = int.from_bytes(hashlib.sha1(text.encode(), usedforsecurity=False).digest()[:8], "big") / 2**64
        return given or ("val" if drawn < self.val else "test")


def gold(title: str, video_id: str, events: list[Event], article: Article, known: Known) -> dict[str, Any]:
    """The annotation of one video.

    Raises:
        ValueError: no sentences, or the tables of `known` don't fit the video.
    """
    if not article.sentences:
        raise ValueError("its article has no sentences")
    numbers = known.coreference.get(title, known.coreference.get(video_id, {}))
    made = Annotation.model_validate(
        {
            "split": known.split(title, video_id),
            "duration": article.duration or max((event.end for event in events), default=0.0),
            "article_sentences": article.sentences,
            "temporal_proposals": known.proposals.get(title, known.proposals.get(video_id, [])),
            "events": [
                {"start": event.start, "end": event.end, "type": known.types.get(str(event.type), f"type_{event.type}")}
                for event in events
            ],
            "event_coreference": sorted(
                {
                    (place, _position(sentence, article.sentences))
                    for place, event in enumerate(events)
                    for number in event.article_events
                    for sentence in numbers.get(str(number), [])
                }
            ),
        }
    ).model_dump(mode="json")
    json.dumps(made, ensure_ascii=False, allow_nan=False).encode()  # raises what couldn't be written
    return made


def _position(sentence: int | str, sentences: list[str]) -> int:
    if isinstance(sentence, int) and 0 <= sentence < len(sentences):
        return sentence
    if isinstance(sentence, str) and sentence.strip() in sentences:
        return sentences.index(sentence.strip())
    raise ValueError(f"--coreference names sentence {sentence!r}, which its article of {len(sentences)} hasn't got")


def table(path: Path | None, kind: type[Value], option: str) -> dict[str, Value]:
    """A JSON object {name: value of this kind}; empty without a path.

    Raises:
        UserError: it is of another form; names the option, the form and the first name that is wrong.
    """
    if path is None:
        return {}
    try:
        return TypeAdapter(dict[str, kind]).validate_python(files.read_json(path), strict=True)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        wrong = " of ".join([one_line(repr(first["input"]), 100), *map(repr, first["loc"][:1])])
        raise UserError(f"--{option} {path} should be {FORMS[option]}; correct {wrong}") from None


def main(
    annotations: Annotated[Path, typer.Option(help="vid_annotation.json")],
    articles: Annotated[
        Path, typer.Option(help="vid2article JSON, or a folder with TITLE.txt, .description or .info.json")
    ],
    out: Annotated[Path, typer.Option(help="annotations.json")],
    coreference: Annotated[Path | None, typer.Option(help=FORMS["coreference"])] = None,
    proposals: Annotated[Path | None, typer.Option(help=FORMS["proposals"])] = None,
    splits: Annotated[Path | None, typer.Option(help=FORMS["splits"])] = None,
    types: Annotated[Path | None, typer.Option(help=FORMS["types"])] = None,
    val: Annotated[float, typer.Option(min=0, max=1, help="share for val of videos that --splits doesn't name")] = 0.2,
    seed: Annotated[int, typer.Option(help="of these splits")] = 0,
    boxes_out: Annotated[Path | None, typer.Option("--boxes", help="JSON of participants' boxes to write")] = None,
    sizes: Annotated[
        Path | None, typer.Option(help="of --boxes: {id: [width, height]}, or folder of stored frames")
    ] = None,
) -> None:
    """Turn VM2E2's annotations into gold labels of videos whose articles are there."""
    if sizes and not boxes_out:
        raise UserError("--sizes is only for --boxes; give the JSON to write boxes to, or leave it out")
    events, texts = vm2e2_reader.read(annotations), vm2e2_articles.read(articles)
    known = Known(
        table(coreference, dict[str, list[int | str]], "coreference"),
        table(proposals, list[float], "proposals"),
        table(splits, Split, "splits"),  # type: ignore[arg-type]
        table(types, str, "types"),
        val,
        seed,
    )
    matched, left_out = vm2e2_articles.match(events, texts)
    if not matched:
        raise UserError(vm2e2_articles.nothing_matched(left_out, texts, articles))
    found = {}
    for title, video_id in matched.items():
        try:
            found[video_id] = gold(title, video_id, events[title], texts[video_id], known)
        except ValidationError as error:
            left_out[title] = explain(error)
        except ValueError as error:
            left_out[title] = str(error)
    boxes = vm2e2_boxes.of_videos(matched, events, sizes) if boxes_out else {}
    files.write_json(out, found)
    files.write_json(out.with_suffix(".left_out.json"), left_out)
    if boxes_out:
        files.write_json(boxes_out, boxes, indent=None)
    report(events, matched, found, left_out, known)


def report(
    events: Mapping[str, list[Event]],
    matched: Mapping[str, str],
    found: Mapping[str, Any],
    left_out: Mapping[str, str],
    known: Known,
) -> None:
    """Log what was found, and what a reader of the numbers must know."""
    counts = Counter(entry["split"] for entry in found.values())
    pairs = sum(len(entry["event_coreference"]) for entry in found.values())
    log.info("%d videos (%s), %d pairs", len(found), ", ".join(f"{k} {v}" for k, v in sorted(counts.items())), pairs)
    if left_out:
        title = next(iter(left_out))
        log.warning("%d videos are left out, the first: %s: %s", len(left_out), title, left_out[title])
    linked = sum(event.corefers for title in matched for event in events[title])
    if not pairs and linked:
        log.warning("%d events corefer with the article, but --coreference doesn't say with which sentences", linked)
    names = {*events, *matched.values()}
    for option in ("coreference", "proposals", "splits"):
        unknown = sorted(set(getattr(known, option)) - names)
        if unknown:
            log.warning("--%s: %d names are of no video, the first: %s", option, len(unknown), unknown[0])


if __name__ == "__main__":
    cli.run(main)
