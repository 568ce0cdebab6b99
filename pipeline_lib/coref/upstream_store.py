"""Features of MILO's data, video by video → objects.hdf5, resnet152.hdf5 and resnext101.hdf5, as a merge lays them out."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import h5py
import numpy as np

from pipeline_lib.core import files
from pipeline_lib.store.export_source import BACKGROUND as BACKGROUND
from pipeline_lib.store.hdf5_bytes import FORMAT

OBJECT_RATE = 1 / 3  # frames per second of objects (§1.4)
RATES = {"resnet152": 1.0, "resnext101": 1.5}  # rows per second (§1.2)

Features = dict[str, np.ndarray]  # by the names of RATES, (rows, dim) each


class Objects(NamedTuple):
    """Objects of a video by the names that a merge gives them, n frames of K."""

    features: np.ndarray  # (n, K, dim)
    boxes: np.ndarray  # (n, K, 4), zeros where the data has none
    scores: np.ndarray  # (n, K) float64, as JSON holds them
    labels: np.ndarray  # (n, K), 0 where the data has none

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        boxes: np.ndarray | None = None,
        scores: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> Self:
        """Objects with zeros for what is not known."""
        shape = features.shape[:2]
        return cls(
            features,
            np.zeros((*shape, 4), np.float32) if boxes is None else boxes.astype(np.float32),
            np.zeros(shape) if scores is None else scores.reshape(shape),
            np.zeros(shape, np.int64) if labels is None else labels.reshape(shape).astype(np.int64),
        )


Write = Callable[[str, Objects, Features], None]


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Write]:
    """Yield a function that adds a video; ids must come sorted. The files appear when all are whole.

    Without a video nothing is made, neither files nor the folder.
    """
    steps = {"objects": 1 / OBJECT_RATE, **{name: 1 / rate for name, rate in RATES.items()}}
    with contextlib.ExitStack() as stack:
        stores: dict[str, h5py.File] = {}

        def create() -> None:
            for name, step in steps.items():
                temporary = stack.enter_context(files.atomic(folder / f"{name}.hdf5"))
                stores[name] = stack.enter_context(h5py.File(temporary, "w", libver=FORMAT))
                spec = json.dumps({"stage": name, "made_by": "the original project"}, sort_keys=True)
                stores[name].attrs.update({"spec": spec, "step": step, "start": 0.0})

        def write(video_id: str, objects: Objects, features: Features) -> None:
            if not stores:
                create()
            group = stores["objects"].create_group(video_id)
            for part, values in objects._asdict().items():
                group.create_dataset(part, data=values, track_times=False)
            for name, values in features.items():
                stores[name].create_dataset(video_id, data=values, track_times=False)

        yield write
