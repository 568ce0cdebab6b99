"""vid2article_master_filtered.json and annotations.json → entries of videos, and why some of them can't be used."""

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from pipeline_lib.collect.gold import Annotation
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError, explain, one_line

SPLITS = get_args(Annotation.model_fields["split"].annotation)

Seconds = Annotated[float, Field(allow_inf_nan=False)]


class _Segment(BaseModel):
    """What must be there of a caption segment (see `rows.Segment`)."""

    start: Seconds
    duration: Annotated[Seconds, Field(ge=0)]
    text: str


_SEGMENTS = TypeAdapter(list[_Segment])


def read_captions(path: Path) -> dict[str, Any]:
    """{video_id: entry} of a vid2article master file.

    Raises:
        UserError: it is another JSON file.
    """
    found = files.read_json(path)
    if not isinstance(found, dict) or not all(isinstance(one, dict) and "captions" in one for one in found.values()):
        raise UserError(f"{path} holds entries without captions; give vid2article_master_filtered.json")
    return found


def untrainable(entry: dict[str, Any]) -> str | None:
    """Why nothing can be trained on the captions of an entry, or None."""
    if not entry["captions"]:
        return "no captions"
    try:
        _SEGMENTS.validate_python(entry["captions"])
    except ValidationError as error:
        return one_line(explain(error, "captions"))
    return None


def read_annotations(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """{video_id: annotation} in canonical form; and of entries that are not of this form, which stay as they are, the reason.

    Raises:
        UserError: it is another JSON file, or an entry has no split.
    """
    found = files.read_json(path)
    if not isinstance(found, dict):
        raise UserError(f"{path} is no object {{video id: annotation}}; give annotations.json")
    wrong = {}
    for video_id, entry in found.items():
        if not isinstance(entry, dict) or entry.get("split") not in SPLITS:
            raise UserError(f"{path}: {video_id!r} has no split ({', '.join(SPLITS)}); give annotations.json")
        try:
            found[video_id] = Annotation.model_validate(entry).model_dump(mode="json")
        except ValidationError as error:
            wrong[video_id] = one_line(explain(error))
    return found, wrong


def of_split(captions: dict[str, Any], annotations: dict[str, Any], split: str) -> list[str]:
    """Ids of a split, sorted. What is not annotated as val or test is for training, if it has captions."""
    if split == "train":
        held_out = {video_id for video_id, entry in annotations.items() if entry["split"] != "train"}
        return sorted(set(captions) - held_out)
    return sorted(video_id for video_id, entry in annotations.items() if entry["split"] == split)
