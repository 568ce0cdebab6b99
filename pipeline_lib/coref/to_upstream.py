"""The pipeline's captions, gold labels and features → MILO's JSON files and .npy features, for the original's loaders.

    python -m pipeline_lib.coref.to_upstream --captions vid2article_master_filtered.json --annotations annotations.json \\
        --objects objects.hdf5 --features-2d resnet152.hdf5 --features-3d resnext101.hdf5 --out milo_data

    train.json  train_objects/<video>/0007.npy  video_feats/{2d,3d}/<video>.npy
    {val,test}_no_proposals.json  clip_objects/<clip>.npy  clip_boxes/<clip>.npy  clip_feats/{2d,3d}/<clip>.npy
    {val,test}_with_proposals.json  objects/<video>.npy  boxes/<video>.npy  video_feats/…

and left_out.json: {split: {video: reason}}. `from_upstream` reads all of it.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline_lib.core import cli, files, ids
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.progress import track
from pipeline_lib.coref import rows, train
from pipeline_lib.coref.entries import of_split, read_annotations, read_captions, untrainable
from pipeline_lib.coref.upstream_entries import COREFERENT, OTHER
from pipeline_lib.coref.upstream_store import RATES, Objects
from pipeline_lib.store.export_files import whole_folder
from pipeline_lib.store.export_milo import require_step
from pipeline_lib.store.export_source import Names
from pipeline_lib.store.reader import FeatureFile, ObjectFile

log = logging.getLogger(__name__)
FOLDERS = {"resnet152": "2d", "resnext101": "3d"}
N_PAIR = 36  # segments that the original's loader draws of a video, and stops with an error if there are fewer


@dataclass(frozen=True)
class Source:
    """Open files of the pipeline."""

    captions: dict[str, Any]
    annotations: dict[str, Any]
    malformed: dict[str, str]  # of annotations that are not of their form, the reason
    objects: ObjectFile
    features: dict[str, FeatureFile]  # by the names of RATES
    names: Names

    def why_not(self, video_id: str) -> str | None:
        """Why a video can't be written, or None."""
        if not ids.is_valid(video_id):
            return "its id can't be a file name"
        for file in (self.objects, *self.features.values()):
            if video_id not in file:
                return f"no features in {file.path.name}"
        return None

    def objects_of(self, video_id: str) -> Objects:
        """All objects of a video."""
        return Objects(**self.objects.read(video_id))


class Folder:
    """Writes arrays below a folder, and says the paths they will have when it gets its name."""

    def __init__(self, writing: Path, final: Path) -> None:
        self.writing, self.final = writing, final

    def save(self, name: str, array: np.ndarray) -> str:
        """Write an array; its absolute path, as the loaders open what they read as it is."""
        (self.writing / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(self.writing / name, np.ascontiguousarray(array), allow_pickle=False)
        return str(self.final / name)


def training(source: Source, video_id: str, to: Folder) -> dict[str, Any]:
    """{middle second: segment} of a training video; writes the objects of each segment's middle frame."""
    entry: dict[str, Any] = {}
    found = source.objects_of(video_id)
    for place, segment in enumerate(source.captions[video_id]["captions"]):
        start, end = rows.interval(segment)
        row = rows.middle(segment, source.objects.step, len(found.features))
        entry[_key(segment, entry)] = {
            "start_sec": start,
            "end_sec": end,
            "text": segment["text"],
            "features_path": to.save(f"train_objects/{video_id}/{place:04d}.npy", found.features[row]),
            "obj_detec_confidence": found.scores[row].tolist(),
        }
    return entry


def _key(segment: rows.Segment, taken: dict[str, Any]) -> str:
    """The middle second, moved by the smallest step as long as another segment has it."""
    if segment.get("middle") not in (None, *taken):
        return str(segment["middle"])
    middle = sum(rows.interval(segment)) / 2
    while str(middle) in taken:
        middle = math.nextafter(middle, math.inf)
    return str(middle)


def clips(source: Source, video_id: str, to: Folder) -> dict[str, Any]:
    """{clip: entry} of the events of a video; writes the rows of features and objects that each covers.

    A clip is called `<video>_<event>`, and `<video>_<event>_` if that is the id of another video; a video that is one event
    from its beginning to its end keeps its id.
    """
    gold, found = source.annotations[video_id], source.objects_of(video_id)
    entries: dict[str, Any] = {}
    for place, event in enumerate(gold["events"]):
        start, end = event["start"], event["end"]
        whole = len(gold["events"]) == 1 and start <= 0 and end >= gold["duration"]
        name = video_id if whole else f"{video_id}_{place}"
        while name != video_id and name in source.annotations:
            name += "_"
        first, last = (rows.frame(seconds, source.objects.step) for seconds in (start, end))
        shown = Objects(*(part[first : last + 1] for part in found))
        if not len(shown.features):  # the original's loader would never end
            shown = Objects.of(np.zeros((1, *found.features.shape[1:]), np.float32))
        coreferent = {sentence for event_, sentence in gold["event_coreference"] if event_ == place}
        entries[name] = {
            "article_sentences": [
                [text, COREFERENT if sentence in coreferent else OTHER]
                for sentence, text in enumerate(gold["article_sentences"])
            ],
            **_shown(shown, f"clip_objects/{name}.npy", f"clip_boxes/{name}.npy", source.names, to),
            "event_type": event.get("type", ""),
        }
        for network, file in source.features.items():
            stored = file.rows(video_id)
            covered = stored[rows.clip(start, end, file.step, file.start, len(stored))]
            to.save(f"clip_feats/{FOLDERS[network]}/{name}.npy", covered)
    return entries


def proposals(source: Source, video_id: str, to: Folder) -> dict[str, Any]:
    """The entry of a whole video; writes all of its objects."""
    gold = source.annotations[video_id]
    events, sentences = gold["events"], gold["article_sentences"]
    return {
        "temporal_proposals": gold["temporal_proposals"],
        "vid_duration": gold["duration"],
        "article_sentences": sentences,
        **_shown(source.objects_of(video_id), f"objects/{video_id}.npy", f"boxes/{video_id}.npy", source.names, to),
        "event_coreference_text": [
            [[events[event]["start"], events[event]["end"]], sentences[sentence]]
            for event, sentence in gold["event_coreference"]
        ],
        "events": events,
        "event_coreference": gold["event_coreference"],
    }


def _shown(objects: Objects, features: str, boxes: str, names: Names, to: Folder) -> dict[str, Any]:
    return {
        "features_path": to.save(features, objects.features),
        "bbox_path": to.save(boxes, objects.boxes),
        "detection_class_names": [[names[label] for label in row] for row in objects.labels.tolist()],
    }


def export(source: Source, to: Folder, n_pair: int) -> dict[str, dict[str, str]]:
    """Write everything; {split: {video: reason}} of what is left out."""
    tables: dict[str, dict[str, Any]] = {"train": {}}
    left_out: dict[str, dict[str, str]] = {}
    used = set()
    for video_id in track(of_split(source.captions, source.annotations, "train"), "export train"):
        count = len(source.captions[video_id]["captions"] or ())
        reason = source.why_not(video_id) or untrainable(source.captions[video_id])
        if reason is None and count < n_pair:
            reason = f"{count} caption segments, and the loader draws {n_pair}"
        if reason:
            left_out.setdefault("train", {})[video_id] = reason
            continue
        tables["train"][video_id] = training(source, video_id, to)
        used.add(video_id)
    for split in ("val", "test"):
        without, with_ = (
            tables.setdefault(f"{split}_no_proposals", {}),
            tables.setdefault(f"{split}_with_proposals", {}),
        )
        for video_id in track(of_split(source.captions, source.annotations, split), f"export {split}"):
            reason = source.why_not(video_id) or source.malformed.get(video_id)
            if reason is None and not source.annotations[video_id]["article_sentences"]:
                reason = "its article has no sentences"
            if reason:
                left_out.setdefault(split, {})[video_id] = reason
                continue
            without |= clips(source, video_id, to)
            with_[video_id] = proposals(source, video_id, to)
            used.add(video_id)
    for video_id in sorted(used):
        for network, file in source.features.items():
            to.save(f"video_feats/{FOLDERS[network]}/{video_id}.npy", file.rows(video_id))
    for name, table in tables.items():
        files.write_json(to.writing / f"{name}.json", table, indent=None, sort_keys=False)  # order tells neighbours
    files.write_json(to.writing / "left_out.json", left_out)
    report(tables, left_out)
    return left_out


def report(tables: dict[str, dict[str, Any]], left_out: dict[str, dict[str, str]]) -> None:
    """Log how much each file holds, and why one is empty."""
    log.info("%s", ", ".join(f"{name}.json: {len(table)}" for name, table in tables.items()))
    log.info("left out: %d, see left_out.json", sum(len(some) for some in left_out.values()))
    for name, table in tables.items():
        if table:
            continue
        split = name.partition("_")[0]
        reasons = left_out.get(split, {})
        why = f"no video or event of {split} is there"
        if reasons:
            video_id, reason = next(iter(reasons.items()))
            why = f"{len(reasons)} videos are left out, the first: {video_id}: {reason}"
            why += " (--n-pair 1 keeps short ones)" if split == "train" else ""
        log.warning("%s.json is empty: %s", name, why)


def require_rate(file: FeatureFile, rate: float) -> None:
    """Refuse rows at other times than the loaders assume.

    Raises:
        UserError: says what the file has and what is wanted.
    """
    if abs(file.step * rate - 1) > 1e-9 or file.start != 0:
        raise UserError(
            f"{file.path}: row i is t = {file.start:g} + {file.step:g}·i s but MILO's loaders assume {1 / rate:.4g}·i; "
            "give resnet152.hdf5 at 1 row and resnext101.hdf5 at 1.5 rows a second, as the pipeline makes them"
        )


def main(
    captions: train.Captions,
    annotations: train.Annotations,
    objects: train.Objects,
    features_2d: Annotated[Path, typer.Option("--features-2d", help="resnet152.hdf5, a row per second")],
    features_3d: Annotated[Path, typer.Option("--features-3d", help="resnext101.hdf5, 1.5 rows per second")],
    out: Annotated[Path, typer.Option(help="folder to write, new or empty")],
    vocabulary: Annotated[Path | None, typer.Option(help="names of object classes, a line each")] = None,
    n_pair: Annotated[
        int, typer.Option(min=1, help="training videos with fewer segments are left out; 1 keeps all")
    ] = N_PAIR,
) -> None:
    """Write the pipeline's data as the original project's loaders read it."""
    with ObjectFile(objects) as regions, FeatureFile(features_2d) as flat, FeatureFile(features_3d) as deep:
        require_step(regions.step, regions.start)
        opened = {"resnet152": flat, "resnext101": deep}
        for name, file in opened.items():
            require_rate(file, RATES[name])
        source = Source(read_captions(captions), *read_annotations(annotations), regions, opened, Names(vocabulary))
        with whole_folder(out) as folder:
            export(source, Folder(folder, out.absolute()), n_pair)


if __name__ == "__main__":
    cli.run(main)
