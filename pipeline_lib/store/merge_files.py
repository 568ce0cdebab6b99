"""Merged files of features, of other videos each → the sources and pieces of one merge of all their videos."""

import contextlib
import math
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.store import pieces
from pipeline_lib.store.merged_file import ATTRIBUTES
from pipeline_lib.store.pieces import Entry, Piece
from pipeline_lib.store.reader import FeatureFile
from pipeline_lib.store.sources import Sources


class Joined(NamedTuple):
    """Open files, and which of them has a video."""

    files: list[FeatureFile]
    having: dict[str, FeatureFile]  # sorted by id

    def sources(self) -> Sources:
        """What a merge is told of them."""
        entries = [Entry(video_id, str(file.path)) for video_id, file in self.having.items()]
        return Sources(entries, self.files[0].spec, Counter(ok=len(entries)))

    def pieces(self) -> Generator[list[Piece]]:
        """The arrays, as `pieces.read` yields those of other files.

        Raises:
            UserError: a file's rows are unlike another's.
        """
        first: tuple[FeatureFile, tuple[np.dtype, tuple[int, ...]]] | None = None
        for video_id, file in self.having.items():
            dtype, shape = file.kind(video_id)
            first = first or (file, (dtype, shape[1:]))
            if (dtype, shape[1:]) != first[1]:
                raise UserError(
                    f"{file.path} holds {dtype} rows of {shape[1:]} but {first[0].path} holds {first[1][0]} rows of "
                    f"{first[1][1]}; they don't go into one file"
                )
            step = max(1, pieces.BUFFER // (dtype.itemsize * math.prod(shape[1:])))
            for begin in range(0, shape[0], step):
                rows = file.rows(video_id, begin, begin + step)
                yield [Piece(video_id, dtype, shape, begin == 0, rows.reshape(-1).view(np.uint8).data)]


@contextlib.contextmanager
def joined(paths: Sequence[Path]) -> Iterator[Joined]:
    """Open merged files of features whose videos are to stand in one.

    Raises:
        UserError: a file is none of these, two have the same video, or their rows stand for other features or times.
    """
    having: dict[str, FeatureFile] = {}
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(FeatureFile(path)) for path in paths]
        for file in files:
            for name in ATTRIBUTES:
                if repr(file.attributes[name]) != repr(files[0].attributes[name]):
                    raise UserError(
                        f"{file.path} and {files[0].path} have unlike {name} ({file.attributes[name]}, "
                        f"{files[0].attributes[name]}); only features that were made alike go into one file"
                    )
            both = having.keys() & set(file.ids)
            if both:
                video_id = min(both)
                raise UserError(f"{having[video_id].path} and {file.path} both have {video_id}; leave one of them out")
            having |= dict.fromkeys(file.ids, file)
        yield Joined(files, dict(sorted(having.items())))
