"""Annotation files of the retrieval datasets → `Caption`s; `read` is the one way into the readers of this package."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval.labels import Labels


class Dataset(StrEnum):
    """What can be read, by the layout of its file."""

    EPIC100 = "epic100"
    MSRVTT = "msrvtt"
    MSVD = "msvd"
    CHARADES = "charades"
    PARSED = "parsed"


class Proxy(StrEnum):
    """Which words of a parsed caption stand for its meaning (Wray et al., CVPR 2021)."""

    BOW = "bow"
    POS = "pos"
    SYN = "syn"


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence that describes a video.

    Attributes:
        caption_id: unique in its file.
        video_id: of the video or clip it describes: EPIC-Kitchens' narration_id, or the part before the last `_`.
        text: as annotated; "" where the file has only classes.
        verbs, nouns: classes or words, repeats included; empty where there are none.
        words: all of its words that are not stop words, with Proxy.BOW only.
    """

    caption_id: str
    video_id: str
    text: str
    verbs: Labels = ()
    nouns: Labels = ()
    words: Labels = ()


def read(dataset: Dataset, path: Path, *, proxy: Proxy | None = None, sentences: Path | None = None) -> list[Caption]:
    """The captions of a file, in its order.

    Args:
        proxy: with `parsed`, which columns to take.
        sentences: {video: [sentence]} of HGR and RANP (ref_captions.json), for the text of msrvtt, msvd and charades.

    Raises:
        UserError: no such file, a malformed entry, or an option that the dataset has no use for.
    """
    from pipeline_lib.retrieval import database, epic, parsed  # they import Caption

    if (proxy is None) == (dataset == Dataset.PARSED):
        raise UserError("proxy belongs to the dataset `parsed`, and to no other: bow, pos or syn")
    if proxy is not None:
        found = parsed.read(path, proxy)
    elif dataset == Dataset.EPIC100 and path.suffix == ".csv":
        found = epic.read(path)
    else:
        found = database.read(path, dataset, sentences)
        sentences = None
    if sentences is not None:
        raise UserError(f"{path} has its own sentences; leave {sentences} out")
    if not found:
        raise UserError(f"{path} has no captions; give the annotations of a split")
    seen: set[str] = set()
    for caption in found:
        if caption.caption_id in seen:
            raise UserError(f"{path}: {caption.caption_id!r} stands there twice; captions need ids of their own")
        seen.add(caption.caption_id)
        try:
            f"{caption.caption_id}{caption.video_id}{caption.text}".encode()
        except UnicodeEncodeError:  # JSON can spell them, \ud83d alone
            raise UserError(f"{path}: {caption.caption_id!r} holds half of a character; write it as UTF-8") from None
    return found


def describe(captions: Sequence[Caption], part: str) -> tuple[int, str]:
    """How many captions have no verbs (or nouns, or words), and the first few of their ids."""
    without = [caption.caption_id for caption in captions if not getattr(caption, part)]
    return len(without), ", ".join(without[:3]) + (", …" if len(without) > 3 else "")
