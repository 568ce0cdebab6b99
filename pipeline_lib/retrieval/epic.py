"""EPIC-Kitchens-100 multi-instance retrieval: its CSV files → clips with their narrations, and the sentences to rank.

Damen et al., "Rescaling egocentric vision" (IJCV 2022). A clip is called by its narration_id; video_id, in these files, is
the long recording it was cut from.
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval.annotations import Caption
from pipeline_lib.retrieval.tables import cell, rows

log = logging.getLogger(__name__)

_CLIPS = ("narration_id", "narration", "verb_class", "all_noun_classes")
_SENTENCES = ("narration_id", "narration")


def read(path: Path) -> list[Caption]:
    """EPIC_100_retrieval_{train,test}.csv: a caption per clip, in the order of the file.

    Raises:
        UserError: a clip without a verb or with several, or a malformed line.
    """
    expected = f"CSV with the columns {', '.join(_CLIPS)}"
    found = []
    for line, row in rows(path, _CLIPS, expected):
        verbs, nouns = cell(row, "verb_class", path, line), cell(row, "all_noun_classes", path, line)
        if len(verbs) != 1:
            raise UserError(f"{path} line {line}: {row['narration_id']} has {len(verbs)} verb classes; it needs one")
        found.append(Caption(row["narration_id"], row["narration_id"], row["narration"], verbs, nouns))
    return found


def read_sentences(path: Path, clips: Sequence[Caption]) -> list[Caption]:
    """EPIC_100_retrieval_{train,test}_sentence.csv: the captions to rank, each with the classes of the clip it names.

    The text is this file's. In the published list of the test split the last seven texts stand one line too low: they aren't
    those of the clips named beside them, whose classes the official relevance takes.

    Raises:
        UserError: a sentence names a clip that there isn't.
    """
    by_id = {clip.caption_id: clip for clip in clips}
    found, other = [], []
    for line, row in rows(path, _SENTENCES, f"CSV with the columns {', '.join(_SENTENCES)}"):
        clip = by_id.get(row["narration_id"])
        if clip is None:
            raise UserError(
                f"{path} line {line}: {row['narration_id']} is not among the {len(clips)} clips; "
                "give sentences and clips of the same split"
            )
        if clip.text != row["narration"]:
            other.append(f"{clip.caption_id} is {row['narration']!r}, its clip {clip.text!r}")
        found.append(dataclasses.replace(clip, text=row["narration"]))
    if other:
        log.warning("%s: %d texts are not their clips', whose classes they take: %s", path, len(other), other[0])
    return found


def unique_sentences(clips: Sequence[Caption]) -> list[Caption]:
    """The captions to rank where no file lists them: every narration once, as it first appears, then actions that have none.

    An action is a verb with the first of the nouns. Those whose narrations all first appeared with another action come last,
    as in the published list; which of them comes first is chance there, here it is the order of the file.
    """
    first: dict[str, Caption] = {}
    for clip in clips:
        first.setdefault(clip.text, clip)
    found = list(first.values())
    known = {_action(clip) for clip in found}
    for clip in clips:
        if _action(clip) not in known:
            known.add(_action(clip))
            found.append(clip)
    return found


def _action(clip: Caption) -> tuple[object, object]:
    return clip.verbs[:1], clip.nouns[:1]
