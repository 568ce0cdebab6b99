"""Feature files of several kinds → one array per video, as a training loader wants them: normalised, side by side.

features = Features(["clip_image.hdf5", "slowfast.hdf5"], normalise=True)
features.rows("RsKkJ_24.0_30.8")            # (rows, 512 + 2304) float32
features.rows("RsKkJ_24.0_30.8", 10, 20)    # ten rows; the rest is not read
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from pipeline_lib.core.errors import UserError
from pipeline_lib.store.reader import FeatureFile

EPSILON = 1e-5  # added to lengths, as in Moment-DETR's loader: a row of zeros stays zeros


class Features:
    """Several feature files side by side, in either layout; a context manager.

    Can be handed to the workers of a DataLoader, forked or spawned: each opens the files for itself.

    Args:
        paths: files, in the order in which their columns are to stand.
        normalise: divide each row by its length, in each file for itself, before they are put together.
        dtype: of what comes out; None keeps what is stored (float32 where files differ or are normalised).

    Raises:
        UserError: no files, or one that is missing or of another kind.
    """

    def __init__(
        self, paths: Sequence[Path | str], *, normalise: bool = False, dtype: np.dtype | type | None = np.float32
    ) -> None:
        if not paths:
            raise UserError("give at least one feature file")
        self.files = [FeatureFile(path) for path in paths]
        self.normalise, self.dtype = normalise, dtype
        known = set(self.files[0].ids).intersection(*(file.ids for file in self.files[1:]))
        self.ids = sorted(known)  # those that all files have
        self._known = frozenset(known)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._known

    def length(self, video_id: str) -> int:
        """Rows of a video: those of the shortest of its files."""
        return min(file.kind(video_id)[1][0] for file in self.files)

    def rows(self, video_id: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """Rows `start` to `stop` (exclusive) of a video, all by default; bounds work as in a Python slice.

        Returns:
            (stop - start, sum of the files' columns).

        Raises:
            UserError: a file has no such video.
        """
        first, last, _ = slice(start, stop).indices(self.length(video_id))
        parts = [self._ready(file.rows(video_id, first, max(first, last))) for file in self.files]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def __getitem__(self, video_id: str) -> np.ndarray:
        return self.rows(video_id)

    def _ready(self, rows: np.ndarray) -> np.ndarray:
        if self.normalise:
            rows = rows.astype(np.float32, copy=False)
            rows = rows / (np.linalg.norm(rows, axis=-1, keepdims=True) + EPSILON)
        return rows if self.dtype is None else rows.astype(self.dtype, copy=False)

    def close(self) -> None:
        """Close the files; reading after that is an error."""
        for file in self.files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
