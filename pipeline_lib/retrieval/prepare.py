"""Annotations of a published dataset, or this pipeline's own captions → a split for training and evaluation (corpus.py)."""

import logging
import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval import annotations, corpus, database, epic, lexicon, names, relevance, sides
from pipeline_lib.retrieval.annotations import Caption, Dataset
from pipeline_lib.retrieval.corpus import Corpus, Text, Video
from pipeline_lib.retrieval.sides import MIN_SHARE

log = logging.getLogger(__name__)
_WORD = re.compile(r"[\w']+")
SPLITS = ("train", "val", "test")


def words(text: str) -> str:
    """A sentence as anybody writes it, as words in lower case."""
    return " ".join(_WORD.findall(text.lower()))


def published(
    dataset: Dataset,
    path: Path,
    split: str,
    *,
    sentences: Path | None = None,
    videos: Path | None = None,
    min_share: float = MIN_SHARE,
) -> Corpus:
    """A split of a published dataset.

    EPIC-Kitchens has a narration per clip: each is a pair in training; otherwise clips are ranked against `sentences`, or
    against every narration once. The others' videos have several captions and the classes that enough of them have; except in
    training, a caption is found with any video that has one of the same text.
    """
    listed = dataset == Dataset.EPIC100 and path.suffix == ".csv"
    found = annotations.read(dataset, path, sentences=None if listed else sentences)
    relevance.report(path, found)
    order = [database.video_name(name) for name in names.read(videos)] if videos else None
    if dataset != Dataset.EPIC100:
        about = sides.by_video(found, min_share, order, same_text=split != "train")
        text = {caption.caption_id: caption for caption in found}
        rows = [
            Video(name, name, *classes)
            for name, *classes in zip(
                about.videos.ids, *(about.videos.parts[part] for part in corpus.PARTS), strict=True
            )
        ]
        return Corpus(rows, [_text(text[one]) for one in about.captions.ids], about.pairs)
    clips = _ordered(found, order) if order is not None else found
    rows = [Video(clip.video_id, clip.video_id, clip.verbs, clip.nouns) for clip in clips]
    if split == "train":
        return Corpus(rows, [_text(clip) for clip in clips], np.repeat(np.arange(len(clips))[:, None], 2, 1))
    ranked = epic.read_sentences(sentences, clips) if listed and sentences else epic.unique_sentences(clips)
    return Corpus(rows, [_text(one) for one in ranked], sides.by_caption(clips, ranked).pairs)


def _ordered(clips: list[Caption], order: list[str]) -> list[Caption]:
    by_id = {clip.caption_id: clip for clip in clips}
    if missing := [name for name in order if name not in by_id]:
        raise UserError(
            one_line(
                f"{len(missing)} of {len(order)} clips are not annotated: {', '.join(missing[:3])}; give one split"
            )
        )
    return [by_id[name] for name in order]


def _text(caption: Caption) -> Text:
    return Text(caption.caption_id, " ".join(caption.text.split()), caption.verbs, caption.nouns)


def own(captions: Path, gold: Path, known: lexicon.Lexicon, split: str, min_share: float = MIN_SHARE) -> Corpus:
    """A split of the pipeline's own videos: a clip per annotated event, described by the captions spoken in its middle.

    Classes are the known words of a caption; one that tells no action has that of its event, if the annotations know its type.
    """
    entries, labelled = files.read_json(captions), files.read_json(gold)
    clips: dict[str, tuple[str, float, float]] = {}
    found: list[Caption] = []
    try:
        for video_id in sorted(video_id for video_id, one in labelled.items() if one["split"] == split):
            segments = entries.get(video_id, {}).get("captions", [])
            for number, event in enumerate(labelled[video_id]["events"]):
                clip = f"{video_id}_{number}"
                texts = [words(one["text"]) for one in segments if _inside(one, event)]
                for text in filter(None, texts):
                    verbs, nouns = known.classes(text.split())
                    verbs = verbs or tuple(filter(None, [event["type"]]))
                    found.append(Caption(f"{clip}_{len(found)}", clip, text, verbs, nouns))
                    clips[clip] = video_id, event["start"], event["end"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            one_line(
                f"{captions} and {gold} are not this pipeline's captions and annotations ({error!r}); give "
                "vid2article_master_filtered.json and annotations.json of its work folder",
                600,
            )
        ) from None
    if not found:
        raise UserError(f"no caption of the {split} videos of {captions} is spoken during an event of {gold}")
    relevance.report(captions, found)
    about = sides.by_video(found, min_share, same_text=split != "train")
    rows = []
    for clip, verbs, nouns in zip(about.videos.ids, *(about.videos.parts[part] for part in corpus.PARTS), strict=True):
        feature, start, end = clips[clip]
        rows.append(Video(clip, feature, verbs, nouns, start, end))
    return Corpus(rows, [_text(caption) for caption in found], about.pairs)


def _inside(segment: dict[str, Any], event: dict[str, Any]) -> bool:
    return bool(event["start"] <= segment["start"] + segment["duration"] / 2 < event["end"])


def main(
    split: Annotated[str, typer.Option(help="train | val | test")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    gold: Annotated[Path, typer.Option("--annotations", help="of the dataset; with captions: annotations.json")],
    dataset: Annotated[str, typer.Option(help="captions | epic100 | msrvtt | msvd | charades")] = "captions",
    captions: Annotated[Path | None, typer.Option(help="captions: vid2article_master_filtered.json")] = None,
    known: Annotated[Path | None, typer.Option("--lexicon", help="captions: known verbs and nouns, JSON")] = None,
    sentences: Annotated[Path | None, typer.Option(help="captions to rank (EPIC's CSV), or ref_captions.json")] = None,
    videos: Annotated[Path | None, typer.Option(help="names of the videos wanted, in their order")] = None,
    min_share: Annotated[
        float, typer.Option(min=0, max=1, help="of captions that make a class the video's")
    ] = MIN_SHARE,
) -> None:
    """Write the videos, captions, classes and pairs of a split."""
    if split not in SPLITS:
        raise UserError(f"--split {split!r}: use {', '.join(SPLITS)}")
    if dataset == "captions":
        if captions is None or known is None:
            raise UserError("dataset captions needs --captions and --lexicon")
        if sentences or videos:
            raise UserError("dataset captions takes every annotated event; leave --sentences and --videos out")
        found = own(captions, gold, lexicon.read(known), split, min_share)
    else:
        if dataset not in (one.value for one in Dataset if one != Dataset.PARSED):
            raise UserError(f"--dataset {dataset!r}: use captions, epic100, msrvtt, msvd or charades")
        if captions or known:
            raise UserError(f"dataset {dataset} has classes of its own; leave --captions and --lexicon out")
        found = published(Dataset(dataset), gold, split, sentences=sentences, videos=videos, min_share=min_share)
    corpus.write(out, found)
    log.info("%s: %d videos, %d captions, %d pairs", out, len(found.videos), len(found.captions), len(found.pairs))


if __name__ == "__main__":
    cli.run(main)
