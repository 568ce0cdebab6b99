"""Options and files → the opened splits of moment retrieval, with all their sentences encoded."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer

from pipeline_lib.annotations import datasets
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.config.moments import Moments
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import own, queries, sentences
from pipeline_lib.moments.data import Part
from pipeline_lib.moments.sentences import Sentences
from pipeline_lib.moments.videos import Videos

log = logging.getLogger(__name__)

Features = Annotated[
    list[Path] | None, typer.Option(help="HDF5 of features, side by side; default: features of the options")
]
Vocabulary = Annotated[
    Path | None, typer.Option(help="count file, or glove.pkl; default: data.vocabulary of the options")
]
Words = Annotated[
    Path | None,
    typer.Option(help="word vectors, or weights of CLIP's text network; default: data.words of the options"),
]
Annotations = Annotated[Path | None, typer.Option(help="dataset own: annotations.json")]
Captions = Annotated[Path | None, typer.Option(help="dataset own: vid2article_master_filtered.json")]


class Files(NamedTuple):
    """What is read, beside the annotations of a published dataset."""

    features: list[Path]
    vocabulary: Path
    words: Path | None
    own: own.Files | None

    @classmethod
    def of(
        cls,
        options: Moments,
        features: Sequence[Path] | None = None,
        vocabulary: Path | None = None,
        words: Path | None = None,
        annotations: Path | None = None,
        captions: Path | None = None,
    ) -> "Files":
        """The files given, in place of those that the options name.

        Raises:
            UserError: there is no vocabulary.
        """
        found = vocabulary or (Path(options.data.vocabulary) if options.data.vocabulary else None)
        if found is None:
            raise UserError("give --vocabulary: a count file of python -m pipeline_lib.text.token_counts")
        return cls(
            list(features or map(Path, options.features)),
            found,
            words or (Path(options.data.words) if options.data.words else None),
            own.Files(annotations, captions) if annotations and captions else None,
        )

    def small(self, options: Moments, splits: Sequence[str]) -> list[Path]:
        """Those that training tells apart by their content: annotations, captions, the vocabulary."""
        if options.dataset == "own":
            return [*(self.own or ()), *self._vocabulary()]
        folder, dataset = Path(options.annotations or ""), Dataset(options.dataset)
        return [*(path for split in splits for path in datasets.files(dataset, folder, split)), *self._vocabulary()]

    def large(self) -> list[Path]:
        """Those that it tells apart by size and time."""
        return [*self.features, *([self.words] if self.words else [])]

    def _vocabulary(self) -> list[Path]:
        if self.vocabulary.is_dir():  # of text.glove
            return sorted(self.vocabulary.glob("glove.*"))
        return [self.vocabulary]


def open_videos(options: Moments, files: Files) -> Videos:
    """The feature files; the caller closes them."""
    return Videos(files.features, options.data, cut=options.dataset == Dataset.QVHIGHLIGHTS)


def open_parts(
    options: Moments, files: Files, videos: Videos, splits: Sequence[str], where: torch.device
) -> dict[str, Part]:
    """Splits by name. The first one's words decide whether the count file fits."""
    moments = {split: queries.read(options, split, files.own) for split in splits}
    texts = [one.sentence for found in moments.values() for one in found]
    encoder = sentences.open_encoder(options.data, files.vocabulary, files.words, texts, where)
    said = {
        split: Sentences.of(encoder, (one.sentence for one in found), options.data.normalise_text)
        for split, found in moments.items()
    }
    counted = options.dataset != "own" and splits[0] == options.splits.train
    said[splits[0]].check(files.vocabulary, splits[0], counted)
    return {split: Part(found, options, videos, said[split], split) for split, found in moments.items()}
