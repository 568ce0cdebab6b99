"""A file that names clips, of whatever kind → their ids; which of Ego4D's clips VQ3D and EgoLoc use is told by such files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import json_files


def read(path: Path) -> set[str]:
    """Clip ids of any file that names clips: a line each, or JSON of one of these kinds.

    [id, …] | {split: [id, …]} | an annotation file of VQ2D or VQ3D | EgoLoc's mapping {video id: {clip id: {…}}}
    """
    if path.suffix not in (".json", ".gz"):
        with json_files.opened(path) as stream:
            found = {line.strip() for line in stream} - {""}
    else:
        try:
            found = set(_clip_ids(json_files.read(path)))
        except (KeyError, TypeError):
            raise UserError(f"{path}: a video without clips, or a clip without clip_uid; give another list") from None
    if not found:
        raise UserError(
            f"{path} names no clips; give a clip id per line, a JSON list of them, or a VQ3D annotation file"
        )
    return found


def _clip_ids(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))
    elif isinstance(value, dict) and isinstance(value.get("videos"), list):
        for video in value["videos"]:
            yield from (clip["clip_uid"] for clip in video["clips"])
    elif isinstance(value, dict):
        for entry in value.values():
            yield from entry if isinstance(entry, dict) else _clip_ids(entry)
