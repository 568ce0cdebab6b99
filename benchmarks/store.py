"""Thousands of .npy files → how fast they merge, beside copying them, and how fast random videos are read again.

    python benchmarks/store.py --out benchmarks/results/store.json

Everything is in memory (warm cache) and written to new files. The peers of the merge are reading every file and writing
its bytes to one file, and copying every file (shutil.copyfile). Methods take turns, the ratios are those of the medians.
A merge syncs its file before it renames it; so the one-file copy is measured with a sync too. `merge, no sync` is the
merge without that, beside the plain copy. Readers return arrays of their own: each byte is copied.
"""

import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import typer

from pipeline_lib.core import files
from pipeline_lib.store import layouts, pieces, sources
from pipeline_lib.store.features import Features
from pipeline_lib.store.layouts import FileSink, Layout
from pipeline_lib.store.merge import merge_files, merge_folder
from pipeline_lib.store.pieces import Squeeze
from pipeline_lib.store.reader import FeatureFile


def generate(folder: Path, videos: int) -> None:
    generator = np.random.default_rng(0)
    base = generator.standard_normal((64, 40, 1024)).astype(np.float16)
    folder.mkdir()
    for i in range(videos):
        base[i % 64, 0, 0] = i % 1000
        np.save(folder / f"video_{i:06d}.npy", base[i % 64])


def one_file(folder: Path, out: Path, sync: bool) -> None:
    """What a merge does at the least: read each file, write its bytes to one."""
    buffer = memoryview(bytearray(1 << 20))
    with open(out, "wb", buffering=0) as target:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 (as fast as can be)
            with open(f"{folder}/{name}", "rb", buffering=0) as source:
                while count := source.readinto(buffer):
                    target.write(buffer[:count])
        if sync:
            os.fsync(target.fileno())


def copies(folder: Path, out: Path) -> None:
    out.mkdir()
    for name in sorted(os.listdir(folder)):  # noqa: PTH208
        shutil.copyfile(f"{folder}/{name}", f"{out}/{name}")


def unsynced(folder: Path, out: Path) -> None:
    found = sources.of_folder(folder, "features", Squeeze.ROWS)
    attributes: layouts.Attributes = {"spec": "{}", "step": 1.0, "start": 0.0}
    with FileSink(out) as sink:
        layouts.write(sink, pieces.read(found.entries), attributes, Layout.VIDEOS, len(found.entries))


def by_dataset_of_h5py(folder: Path, out: Path) -> None:
    """The usual way, npy2hdf5's."""
    with h5py.File(out, "w") as store:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208
            store.create_dataset(name.removesuffix(".npy"), data=np.load(f"{folder}/{name}").squeeze())


def alternate(methods: dict[str, Callable[[], Any]], repeats: int, clear: Callable[[], None]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    names = list(methods)
    for i in range(repeats):
        for name in names[i % len(names) :] + names[: i % len(names)]:  # so that none always follows the same one
            clear()
            os.sync()  # no method pays for what another left to be written
            began = time.perf_counter()
            methods[name]()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def merging(work: Path, folder: Path, repeats: int) -> dict[str, Any]:
    out = work / "out"
    methods: dict[str, Callable[[], Any]] = {
        "merge": lambda: merge_folder(folder, out),
        "merge, flat layout": lambda: merge_folder(folder, out, layout=Layout.FLAT),
        "merge, no sync": lambda: unsynced(folder, out),
        "copy to one file": lambda: one_file(folder, out, False),
        "copy to one file, sync": lambda: one_file(folder, out, True),
        "copy each file": lambda: copies(folder, out),
        "h5py as npy2hdf5": lambda: by_dataset_of_h5py(folder, out),
    }

    def clear() -> None:
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)

    seconds = alternate(methods, repeats, clear)
    clear()
    size = sum(entry.stat().st_size for entry in os.scandir(folder)) / 1e6
    speed = {name: size / statistics.median(took) for name, took in seconds.items()}
    return {
        "MB": round(size, 1),
        "MB/s": {name: round(value) for name, value in speed.items()},
        "seconds": {name: [round(one, 3) for one in took] for name, took in seconds.items()},
        "merge / copy to one file, both synced": round(speed["merge"] / speed["copy to one file, sync"], 2),
        "merge / copy to one file, neither synced": round(speed["merge, no sync"] / speed["copy to one file"], 2),
        "merge synced / copy to one file unsynced": round(speed["merge"] / speed["copy to one file"], 2),
        "merge synced / copy each file unsynced": round(speed["merge"] / speed["copy each file"], 2),
        "merge / h5py as npy2hdf5": round(speed["merge"] / speed["h5py as npy2hdf5"], 2),
    }


def reading(work: Path, folder: Path, repeats: int, items: int) -> dict[str, Any]:
    videos, flat = work / "videos.hdf5", work / "flat.hdf5"
    merge_folder(folder, videos)
    merge_files([videos], flat, layout=Layout.FLAT)
    chooser = random.Random(0)
    with (
        FeatureFile(flat) as from_flat,
        FeatureFile(videos) as from_videos,
        h5py.File(videos, "r", locking=False) as plain,
    ):
        wanted = chooser.choices(from_flat.ids, k=items)
        few = wanted[: items // 8]  # for the slow ones
        together = Features([flat, flat], normalise=True)
        for name in from_flat.ids:  # after this all is in memory, and places are known
            assert np.array_equal(from_flat.rows(name), from_videos.rows(name))
        counts = {"h5py": len(few), "two files, normalised": len(few)}
        methods: dict[str, Callable[[], Any]] = {
            "flat": lambda: [from_flat.rows(name) is None for name in wanted],
            "flat, 8 of 40 rows": lambda: [from_flat.rows(name, 16, 24) is None for name in wanted],
            "videos": lambda: [from_videos.rows(name) is None for name in wanted],
            "h5py": lambda: [plain[name][:] is None for name in few],
            "two files, normalised": lambda: [together.rows(name) is None for name in few],
        }
        seconds = alternate(methods, repeats, lambda: None)
    speed = {name: counts.get(name, items) / statistics.median(took) for name, took in seconds.items()}
    return {
        "items/s": {name: round(value) for name, value in speed.items()},
        "flat / h5py, one dataset per video": round(speed["flat"] / speed["h5py"], 1),
        "flat / videos, our reader": round(speed["flat"] / speed["videos"], 2),
    }


def memory(folder: Path, out: Path) -> float:
    """MB that a process which merges takes at its peak."""
    script = (
        "import sys; from pathlib import Path; from pipeline_lib.store.merge import merge_folder\n"
        "merge_folder(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, folder, out], capture_output=True, text=True, check=True
    ).stdout
    return round(int(said.split()[1]) / 1024, 1)


def main(
    out: Annotated[Path | None, typer.Option(help="JSON to write")] = None,
    videos: Annotated[int, typer.Option(min=1)] = 5000,
    repeats: Annotated[int, typer.Option(min=1)] = 7,
    items: Annotated[int, typer.Option(min=8, help="random reads per repeat")] = 20_000,
    work: Annotated[Path | None, typer.Option(help="where to put the files  [default: a temporary folder]")] = None,
) -> None:
    """Print throughputs and ratios, and write them."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = Path(name) / "npy"
        generate(folder, videos)
        result = {
            "machine": {
                "cpus": os.cpu_count(),
                "processor": platform.processor() or platform.machine(),
                "python": platform.python_version(),
                "h5py": h5py.version.version,
                "load": round(os.getloadavg()[0], 2),
            },
            "videos": videos,
            "shape": [40, 1024],
            "dtype": "float16",
            "repeats": repeats,
            "merge": merging(Path(name), folder, repeats),
            "peak MB of a merge": memory(folder, Path(name) / "memory.hdf5"),
            "read": reading(Path(name), folder, repeats, items),
        }
    print(result)
    if out:
        files.write_json(out, result)


if __name__ == "__main__":
    typer.run(main)
