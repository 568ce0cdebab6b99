"""Paths in MILO's JSON files → .npy arrays, checked before they are read; nothing in them is unpickled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

DIMENSION = 2048  # of global and object features alike


@dataclass(frozen=True)
class Arrays:
    """Reads arrays of numbers.

    Attributes:
        root: where relative paths start.
        moved: (old, new) beginnings of paths, the first that fits is replaced.
        dimension: of every feature.
    """

    root: Path = Path()
    moved: Sequence[tuple[str, str]] = field(default=())
    dimension: int = DIMENSION

    def locate(self, path: str) -> Path:
        """Where a path of a JSON file is on this machine."""
        for old, new in self.moved:
            if path.startswith(old):
                return Path(new + path.removeprefix(old))
        return self.root / path

    def features(self, path: Path, axes: int) -> np.ndarray:
        """Features with `axes` axes, the last of length `dimension`, the others as long as they are.

        Raises:
            ValueError: one line that says what is wrong with which file.
        """
        array = self.numbers(path, (None,) * (axes - 1) + (self.dimension,))
        if array.dtype.kind != "f":
            raise ValueError(f"{path} holds {array.dtype}, not floating point numbers")
        return array

    def numbers(self, file: Path, shape: Sequence[int | None]) -> np.ndarray:
        """An array of this shape, None for any length; finite throughout.

        Raises:
            ValueError: as `features`.
        """
        try:
            if not file.is_file():
                raise FileNotFoundError
            mapped = np.load(file, mmap_mode="r", allow_pickle=False)  # shape and type are known without reading it
        except FileNotFoundError:
            raise ValueError(f"{file} does not exist (give --root or --moved if it lies elsewhere)") from None
        except (ValueError, EOFError, OSError) as error:
            why = getattr(error, "strerror", None) or error  # without the path, which would stand there twice
            raise ValueError(f"{file} is damaged, pickled or no .npy file ({why})") from None
        if not isinstance(mapped, np.ndarray):
            mapped.close()
            raise ValueError(f"{file} is an .npz archive, not an .npy array")
        if mapped.dtype.kind not in "fiu":
            raise ValueError(f"{file} holds {mapped.dtype}, not numbers")
        expected = [have if want is None else want for have, want in zip(mapped.shape, shape, strict=False)]
        if mapped.ndim != len(shape) or list(mapped.shape) != expected:
            wanted = ", ".join("any" if length is None else str(length) for length in shape)
            raise ValueError(f"{file} has shape {mapped.shape}, not ({wanted})")
        array = np.array(mapped)
        if not np.isfinite(array).all():
            raise ValueError(f"{file} holds NaN or Inf")
        return array
