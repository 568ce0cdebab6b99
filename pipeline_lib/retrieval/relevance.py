"""Annotations of a retrieval dataset → R.hdf5, how relevant every caption is to every video, in [0, 1].

R[i, j] is the mean of the IoU of verbs and the IoU of nouns (or of words alone) of video i and caption j. Rows are computed in
blocks, so memory doesn't grow with the matrix. Sources: Damen et al. (IJCV 2022) for EPIC-Kitchens-100, Falcon et al. (ICIAP
2022) for pooled classes, Wray et al. (CVPR 2021) for words and synsets.
"""

import logging
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pipeline_lib.core import cli
from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import annotations, database, epic, iou, matrices, names, sides
from pipeline_lib.retrieval.annotations import Caption, Dataset, Proxy
from pipeline_lib.retrieval.sides import MIN_SHARE, Sides

log = logging.getLogger(__name__)

_CELLS = 2**21  # of a block: 16 MiB, and some copies of it


class Parts(StrEnum):
    """Which IoU counts."""

    BOTH = "both"
    VERBS = "verbs"
    NOUNS = "nouns"


def relevance(rows: Sequence[Caption], columns: Sequence[Caption]) -> np.ndarray:
    """Relevance of every caption in `columns` to every one in `rows`, (n, m) float64: that of a batch, for one.

    Raises:
        UserError: nothing to compare.
    """
    return next(blocks(sides.by_caption(rows, columns), cells=max(1, len(rows) * len(columns))))


def blocks(about: Sides, wanted: Parts = Parts.BOTH, cells: int = _CELLS) -> Iterator[np.ndarray]:
    """Blocks of rows of the relevance matrix, at most `cells` numbers each but at least a row.

    With `verbs` or `nouns` alone that IoU is the relevance; upstream fills the other half with ones.
    """
    kinds = list(about.captions.parts)
    if wanted != Parts.BOTH:
        if wanted not in kinds:
            raise UserError(f"these captions have {' and '.join(kinds)}, no {wanted}; leave the choice of classes out")
        kinds = [str(wanted)]
    if not about.videos.ids or not about.captions.ids:
        raise UserError("there are no videos or no captions; give annotations of a split")
    pairs = [iou.encode(about.videos.parts[kind], about.captions.parts[kind]) for kind in kinds]
    step = max(1, cells // len(about.captions.ids))
    for start in range(0, len(about.videos.ids), step):
        chosen = slice(start, start + step)
        yield iou.mean_iou([rows[chosen] for rows, _ in pairs], [columns for _, columns in pairs])


def collect(
    dataset: Dataset,
    path: Path,
    *,
    sentences: Path | None = None,
    videos: Path | None = None,
    proxy: Proxy | None = None,
    against: Path | None = None,
    min_share: float = MIN_SHARE,
) -> Sides:
    """Rows and columns of a dataset's relevance matrix.

    Args:
        sentences: the captions to rank (epic100, CSV), or the text of captions (msrvtt, msvd, charades).
        videos: names of the videos wanted, in the order of the rows; not for EPIC's CSV files and `parsed`.
        against: with `parsed`, another file with the captions to rank; by default those of `path`.
    """
    listed = dataset == Dataset.EPIC100 and path.suffix == ".csv"
    found = annotations.read(dataset, path, proxy=proxy, sentences=None if listed else sentences)
    report(path, found)
    if videos is not None and (listed or dataset == Dataset.PARSED):
        raise UserError(f"{path} has its own order; leave {videos} out")
    if against is not None and dataset != Dataset.PARSED:
        raise UserError(f"{dataset} has its captions in {path}; leave {against} out")
    if listed:
        ranked = epic.read_sentences(sentences, found) if sentences else epic.unique_sentences(found)
        return sides.by_caption(found, ranked)
    if dataset == Dataset.PARSED:
        other = annotations.read(dataset, against, proxy=proxy) if against else found
        return sides.by_caption(found, other)
    order = [database.video_name(name) for name in names.read(videos)] if videos else None
    return sides.by_video(found, min_share, order, same_text=True)


def report(path: Path, captions: Sequence[Caption]) -> None:
    """Say how many captions there are, and which can't be relevant to anything by one of their parts."""
    log.info("%s: %d captions of %d videos", path, len(captions), len({caption.video_id for caption in captions}))
    for part in sides.parts(captions):
        count, which = annotations.describe(captions, part)
        if count == len(captions):
            raise UserError(f"{path}: no caption has {part}; is this the right file?")
        if count:
            log.warning("%s: %d captions have no %s, so their IoU of %s is 0: %s", path, count, part, part, which)


def main(
    dataset: Annotated[Dataset, typer.Option(help="layout of the annotations")],
    source: Annotated[
        Path, typer.Option("--annotations", help="EPIC's CSV, RANP's JSON, or parsed captions (CSV, JSON)")
    ],
    out: Annotated[Path, typer.Option(help="HDF5 to write: rel_mat (videos, captions), video_ids, caption_ids, pairs")],
    sentences: Annotated[
        Path | None,
        typer.Option(help="epic100: CSV of the captions to rank; msrvtt, msvd, charades: ref_captions.json"),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="names of the videos wanted, in the order of the rows: .npy, .json or .txt")
    ] = None,
    proxy: Annotated[Proxy | None, typer.Option(help="parsed: all words, verbs and nouns, or their synsets")] = None,
    against: Annotated[Path | None, typer.Option(help="parsed: another file with the captions to rank")] = None,
    min_share: Annotated[
        float, typer.Option(min=0, max=1, help="a video's classes: those that this share of its captions have")
    ] = MIN_SHARE,
    classes: Annotated[Parts, typer.Option(help="whose IoU is the relevance; both: their mean")] = Parts.BOTH,
) -> None:
    """Write the relevance matrix of a dataset."""
    about = collect(
        dataset, source, sentences=sentences, videos=videos, proxy=proxy, against=against, min_share=min_share
    )
    shape = (len(about.videos.ids), len(about.captions.ids))
    matrices.write(
        out,
        blocks(about, classes),
        shape,
        video_ids=about.videos.ids,
        caption_ids=about.captions.ids,
        pairs=about.pairs,
        attributes={
            "dataset": str(dataset),
            "proxy": str(proxy or ""),
            "classes": str(classes),
            "min_share": min_share,
        },
    )
    log.info("%s: %d videos × %d captions, %d of them pairs", out, *shape, len(about.pairs))


if __name__ == "__main__":
    cli.run(main)
