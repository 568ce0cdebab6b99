"""RANP's {"database": {caption: {"annotations": [{verb_class, noun_classes}]}}} → captions with classes.

The files epic100_train.json, msrvtt_train.json and their like (aranciokov/ranp). Captions are called `<video>_<number>`,
for EPIC-Kitchens `<clip>`. Sentences stand in another file, ref_captions.json: {video: [sentence]}.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline_lib.annotations import reading
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval import labels
from pipeline_lib.retrieval.annotations import Caption, Dataset

log = logging.getLogger(__name__)

_EXPECTED = '{"database": {caption id: {"annotations": [{"verb_class": …, "noun_classes": […]}]}}}'
_SENTENCES = "ref_captions.json, {video: [sentence, …]}"


def read(path: Path, dataset: Dataset, sentences: Path | None = None) -> list[Caption]:
    """The captions of a file, videos in its order, those of a video by their number."""
    expected = f"RANP's JSON of {dataset}, {_EXPECTED}"
    if dataset == Dataset.EPIC100:
        expected += ", or EPIC's CSV, called .csv"
    content = reading.parsed(reading.text(path, expected), path, 1, expected)
    database = content.get("database") if isinstance(content, dict) else None
    if not isinstance(database, dict):
        raise reading.wrong(path, 1, "no database", expected)
    texts = _texts(sentences, dataset) if sentences is not None else None
    by_video: dict[str, list[tuple[int, Caption]]] = defaultdict(list)
    for key, entry in database.items():
        video_id, number = _place(key, dataset, path)
        verbs, nouns = (_classes(entry, name, key, path) for name in ("verb_class", "noun_classes"))
        text = _text(texts, video_id, number, key, path) if texts is not None else _own_text(entry)
        by_video[video_id].append((number, Caption(key, video_id, text, verbs, nouns)))
    if texts is not None and (left := sorted(set(texts) - set(by_video))):
        raise UserError(
            one_line(
                f"{len(left)} videos of {sentences} have no classes in {path}: {', '.join(left[:3])}; give files of one split"
            )
        )
    if texts is not None:
        _report(texts, {name: {number for number, _ in found} for name, found in by_video.items()}, path)
    return [caption for found in by_video.values() for _, caption in sorted(found, key=lambda item: item[0])]


def _report(texts: Mapping[str, list[str]], known: Mapping[str, set[int]], path: Path) -> None:
    """Name the sentences that no entry of the classes belongs to."""
    left = [
        f"{name}_{number}"
        for name, own in texts.items()
        for number, text in enumerate(own)
        if text and number not in known[name]
    ]
    if left:
        first = ", ".join(left[:3])
        log.warning(one_line(f"{path}: {len(left)} sentences have no classes, so they are left out: {first}"))


def video_name(name: str) -> str:
    """A video as the classes call it: the lists of MSR-VTT's videos and sentences add `.mp4`."""
    return name.removesuffix(".mp4")


def _place(key: str, dataset: Dataset, path: Path) -> tuple[str, int]:
    """Video and number of a caption."""
    if dataset == Dataset.EPIC100:
        return key, 0
    video_id, mark, number = key.rpartition("_")
    if not mark or not video_id or not (number.isascii() and number.isdigit()):
        raise UserError(one_line(f"{path}: caption {key!r} is not <video>_<number>; name captions so, numbered from 0"))
    return video_id, int(number)


def _annotation(entry: Any) -> Any:
    listed = entry.get("annotations") if isinstance(entry, dict) else None
    return listed[0] if isinstance(listed, list) and listed else None


def _classes(entry: Any, name: str, key: str, path: Path) -> labels.Labels:
    annotation = _annotation(entry)
    if not isinstance(annotation, dict) or name not in annotation:
        raise UserError(one_line(f"{path}: caption {key!r} has no {name}; expected {_EXPECTED}", 600))
    try:
        return labels.parse(annotation[name])
    except ValueError as error:
        raise UserError(one_line(f"{path}: {name} of caption {key!r}: {error}", 600)) from None


def _own_text(entry: Any) -> str:
    annotation = _annotation(entry)
    found = (annotation.get(name) for name in ("sentence", "caption", "narration"))
    return next((text for text in found if isinstance(text, str)), "")


def _texts(path: Path, dataset: Dataset) -> dict[str, list[str]]:
    """Sentences of each video. Charades' file has a key per caption, `<video>_<number>`, all others one per video."""
    content = reading.parsed(reading.text(path, _SENTENCES), path, 1, _SENTENCES)
    if not isinstance(content, dict):
        raise reading.wrong(path, 1, "no object", _SENTENCES)
    found: dict[str, list[str]] = {}
    numbered: dict[str, dict[int, str]] = defaultdict(dict)
    for name, sentences in content.items():
        if not isinstance(sentences, list) or not all(isinstance(one, str) for one in sentences):
            raise UserError(one_line(f"{path}: video {name!r} has no list of sentences; expected {_SENTENCES}"))
        if dataset == Dataset.CHARADES:
            video_id, number = _place(name, dataset, path)
            numbered[video_id][number] = sentences[0] if sentences else ""
        else:
            found[video_name(name)] = sentences
    for video_id, own in numbered.items():
        found[video_id] = [own.get(number, "") for number in range(max(own) + 1)]
    return found


def _text(texts: Mapping[str, list[str]], video_id: str, number: int, key: str, path: Path) -> str:
    sentences = texts.get(video_id, [])
    if number >= len(sentences):
        raise UserError(one_line(f"caption {key!r} of {path} has no sentence; give the sentences of the same split"))
    return sentences[number]
