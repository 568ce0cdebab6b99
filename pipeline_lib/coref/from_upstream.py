"""MILO's JSON files and .npy features → the files that training and evaluation here read.

    python -m pipeline_lib.coref.from_upstream --train additional_vids2all_ASRs.json --train-features video_feats \\
        --val val.json --test test.json --eval-features clip_feats --out milo_data

writes vid2article_master_filtered.json, annotations.json, objects.hdf5, resnet152.hdf5, resnext101.hdf5,
objects_vocab.txt, and left_out.json: {split: {video: reason}}. Whatever is wrong with a video leaves out that video alone.
Training on these files takes the same rows, sentences and objects as upstream's loaders do (docs/milo_data.md).
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline_lib.collect.gold import Annotation, Event
from pipeline_lib.collect.sources.local_files import id_of
from pipeline_lib.core import cli, files
from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.core.progress import track
from pipeline_lib.coref import upstream_entries, upstream_features, upstream_store
from pipeline_lib.coref.upstream_arrays import DIMENSION, Arrays
from pipeline_lib.coref.upstream_entries import Clip, Segment, Video
from pipeline_lib.coref.upstream_store import RATES, Features, Objects

Split = Literal["train", "val", "test"]

log = logging.getLogger(__name__)
SHOWN = 5  # reasons in the log; all are in left_out.json


@dataclass(frozen=True)
class Entry:
    """A video, or a clip that stands for one.

    Attributes:
        name: its key in the file.
        content: a video to train on, a clip or a video to evaluate on.
        features: folder with 2d/<name>.npy and 3d/<name>.npy.
        split: train | val | test.
    """

    name: str
    content: dict[str, Segment] | Clip | Video
    features: Path
    split: Split

    @property
    def video_id(self) -> str:
        """The name, if it can be an id, else a hash of it, as for files of a folder."""
        return id_of(self.name)


@dataclass
class Converted:
    """The JSON files that are written, and why something isn't in them."""

    captions: dict[str, Any] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)

    def leave_out(self, source: str, name: str, reason: object) -> None:
        """Note that a video of a file is not used."""
        self.left_out.setdefault(source, {})[name.encode("utf-8", "replace").decode()] = one_line(reason, 600)


def read(
    path: Path, split: Split, features: Path, parse: Callable[[Any], Any], converted: Converted
) -> Iterator[Entry]:
    """The entries of one JSON file; those that are not of the expected form are left out with their reason."""
    content = files.read_json(path)
    if not isinstance(content, Mapping):
        raise UserError(f"{path} should be an object {{video: …}}; give one of MILO's JSON files")
    for name, value in content.items():
        try:
            if Path(name).name != name or "\0" in name:
                raise ValueError("its name can't be that of a file")
            json.dumps([name, value], ensure_ascii=False, allow_nan=False).encode()  # can be written as it was read
            yield Entry(name, parse(value), features, split)
        except ValueError as error:
            converted.leave_out(split, name, error)


def different(entries: list[Entry], converted: Converted) -> list[Entry]:
    """One entry per id, sorted by it. Test goes before val, val before train: nothing is trained on that is measured."""
    order = {"test": 0, "val": 1, "train": 2}
    kept: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: (order[entry.split], entry.name)):
        first = kept.setdefault(entry.video_id, entry)
        if first is not entry:
            converted.leave_out(entry.split, entry.name, f"is {first.name!r} of {first.split}, too")
    return [kept[video_id] for video_id in sorted(kept)]


def annotation(entry: Entry, objects: Objects, features: Features) -> dict[str, Any]:
    """The gold of a clip or video. A clip is one event, long enough for all of its rows."""
    content = entry.content
    if isinstance(content, Video):
        events, coreference = content.pairs()
        sentences, cuts, duration = content.article_sentences, content.temporal_proposals, content.vid_duration
    else:
        assert isinstance(content, Clip)
        seconds = [len(features[name]) / rate for name, rate in RATES.items()]
        duration = max(*seconds, len(objects.features) / upstream_store.OBJECT_RATE)
        events = [Event(start=0.0, end=duration, type=content.event_type)]
        coreference = [(0, place) for place in content.labels()]
        sentences, cuts = [text for text, _ in content.article_sentences], []
    gold = Annotation(
        split=entry.split,
        duration=duration,
        article_sentences=sentences,
        temporal_proposals=cuts,
        events=events,
        event_coreference=coreference,
    )
    return gold.model_dump(mode="json")


def caption_segments(segments: dict[str, Segment]) -> list[dict[str, Any]]:
    """Segments as captions; `end` and `object_row` say exactly what `duration` and the nearest frame might not."""
    return [
        {
            "start": segment.start_sec,
            "duration": segment.end_sec - segment.start_sec,
            "end": segment.end_sec,
            "text": segment.text,
            "middle": key,
            "object_row": row,
        }
        for row, (key, segment) in enumerate(segments.items())
    ]


def convert(entries: list[Entry], arrays: Arrays, out: Path, converted: Converted) -> None:
    """Write the features of all entries and note their texts and labels in `converted`.

    Raises:
        UserError: no video could be used; nothing is written, and files of an earlier run stay.
    """
    words = upstream_features.vocabulary(entry.content for entry in entries if not isinstance(entry.content, dict))
    labels = {name: place for place, name in enumerate(words, 1)}
    with upstream_store.writing(out) as write:
        for entry in track(different(entries, converted), "convert"):
            try:
                features = upstream_features.global_features(entry.features, entry.name, arrays)
                if isinstance(entry.content, dict):
                    objects, gold = upstream_features.speech_objects(entry.content, arrays), None
                    captions, article = caption_segments(entry.content), ""
                else:
                    objects, captions = upstream_features.shown_objects(entry.content, labels, arrays), []
                    gold = annotation(entry, objects, features)
                    article = "\n".join(gold["article_sentences"])
            except ValueError as error:
                converted.leave_out(entry.split, entry.name, error)
                continue
            write(entry.video_id, objects, features)
            text = {"title": entry.name, "article": article, "captions": captions}
            converted.captions[entry.video_id] = text | {"caption_kind": "asr", "language": "en"}
            if gold:
                converted.annotations[entry.video_id] = gold
    if not converted.captions:
        reasons = log_left_out(converted, "nothing is written")
        raise UserError(
            f"no video could be used, nothing is written: {reasons[0] if reasons else 'the files name none'}"
        )
    files.write_text(out / "objects_vocab.txt", "".join(f"{word}\n" for word in words))


def main(
    out: Annotated[Path, typer.Option(help="folder to write to")],
    train: Annotated[Path | None, typer.Option(help="JSON of segments, as additional_vids2all_ASRs.json")] = None,
    train_features: Annotated[Path | None, typer.Option(help="folder with 2d/ and 3d/ of the training videos")] = None,
    val: Annotated[Path | None, typer.Option(help="JSON of val, without or with proposals")] = None,
    test: Annotated[Path | None, typer.Option(help="JSON of test, without or with proposals")] = None,
    eval_features: Annotated[Path | None, typer.Option(help="folder with 2d/ and 3d/ of val and test")] = None,
    root: Annotated[Path, typer.Option(help="where relative features_path start")] = Path(),
    moved: Annotated[list[str] | None, typer.Option(help="OLD=NEW beginning of features_path; repeatable")] = None,
    dimension: Annotated[int, typer.Option(min=1, help="of all features")] = DIMENSION,
) -> None:
    """Convert data of the original project; a video with anything wrong is left out and named in left_out.json."""
    converted = Converted()
    entries: list[Entry] = []
    given: tuple[tuple[Path | None, Split, Path | None], ...]
    given = ((train, "train", train_features), (val, "val", eval_features), (test, "test", eval_features))
    for path, split, folder in given:
        if path and not (folder and folder.is_dir()):
            option = "--train-features" if split == "train" else "--eval-features"
            fault = f"{option} {folder} is no folder" if folder else f"--{split} needs {option}"
            raise UserError(f"{fault}; give the folder that has 2d/ and 3d/ of the videos of {path}")
        if path and folder:
            parse = upstream_entries.segments if split == "train" else upstream_entries.evaluation
            entries += read(path, split, folder, parse, converted)
    if not any((train, val, test)):
        raise UserError("nothing to convert; give --train, --val or --test")
    pairs = [tuple(one.partition("=")[::2]) for one in moved or []]
    if not all(old and new for old, new in pairs):
        raise UserError(f"--moved {' '.join(moved or [])}: give OLD=NEW")
    convert(entries, Arrays(root, [(old, new) for old, new in pairs], dimension), out, converted)
    files.write_json(out / "vid2article_master_filtered.json", converted.captions)
    files.write_json(out / "annotations.json", converted.annotations)
    files.write_json(out / "left_out.json", converted.left_out)
    report(converted)


def report(converted: Converted) -> None:
    """Log what was converted, and the first reasons why something wasn't."""
    splits = Counter(entry["split"] for entry in converted.annotations.values())
    training = len(converted.captions) - len(converted.annotations)
    log.info("%d videos to train on, %d of val, %d of test", training, splits["val"], splits["test"])
    log_left_out(converted, "see left_out.json")


def log_left_out(converted: Converted, rest: str) -> list[str]:
    """Log the first reasons, and `rest` of the others; all of them, with the names."""
    reasons = [
        f"{name} ({split}): {reason}" for split, some in converted.left_out.items() for name, reason in some.items()
    ]
    for reason in reasons[:SHOWN]:
        log.warning("left out: %s", reason)
    if len(reasons) > SHOWN:
        log.warning("left out: %d more, %s", len(reasons) - SHOWN, rest)
    return reasons


if __name__ == "__main__":
    cli.run(main)
