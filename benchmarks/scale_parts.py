"""The parts of scale.py: each makes or measures something of a work folder with generated ids and tiny artefacts."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import plan

from pipeline_lib.collect.master import merge
from pipeline_lib.core import files, ids, ledger, survey
from pipeline_lib.core.items import Items
from pipeline_lib.core.ledger import OK, Row
from pipeline_lib.core.spec import Spec
from pipeline_lib.core.stage import Item, run_stage
from pipeline_lib.store import merge as merging
from pipeline_lib.store import split as splitting
from pipeline_lib.store.features import Features
from pipeline_lib.store.layouts import Layout

SPEC = Spec("tiny", {"every": 1.0}, "0" * 64, "generated")
DIFFERENT = 512  # artefacts with content of their own; the others are links to them, which costs no disk
STORE = {True: "tiny.flat.hdf5", False: "tiny.hdf5"}


def planned(folder: Path, videos: int, shards: int, repeats: int, *, finished: bool) -> list[dict[str, Any]]:
    """Quiet dry runs over a split of generated ids: before anything is made, or (`finished`) after everything is."""
    folder.mkdir()
    plan.sharded(folder, videos, shards)
    words = ["--cores", "2", "--config", f"shards={shards}"]
    if finished:
        finish(folder, words)
    return [plan.measure(folder, *words) for _ in range(repeats)]


def finish(folder: Path, words: list[str]) -> None:
    """Let Snakemake believe that all jobs have run: their outputs are there, empty, and recorded with code and parameters."""
    base = [sys.executable, "-m", "snakemake", *words]
    told = subprocess.run([*base, "--dry-run"], cwd=folder, capture_output=True, text=True, check=True)
    for line in (told.stdout + told.stderr).splitlines():
        if line.startswith("    output: "):
            for name in line.removeprefix("    output: ").split(", "):
                path = folder / name.split(" (")[0]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    subprocess.run([*base, "--touch", "--forceall", "-q", "all"], cwd=folder, capture_output=True, check=True)


def make_stage(folder: Path, videos: int, shards: int, *, artefacts: bool) -> None:
    """A finished stage: lists, ledgers and journals of `shards` shards, and artefacts (1 to 4, 16) float16 if wanted."""
    work = folder / "work"
    names: list[list[str]] = [[] for _ in range(shards)]
    for i in range(videos):
        names[ids.shard_of(f"{i:011d}", shards)].append(f"{i:011d}")
    files.write_json(work / "shards.json", {ids.shard_name(i): len(part) for i, part in enumerate(names)})
    pool = _pool(folder / "pool")
    for index, part in enumerate(names):
        out = work / "tiny" / f"{ids.shard_name(index)}.parquet"
        items = Items(SPEC, out, ".npy")
        rows = []
        with items.exclusive():
            for i, name in enumerate(part):
                if i % 20 == 19:
                    rows.append(Row(name, "failed", "truncated", "it ends early", attempts=1, spec=SPEC.id))
                else:
                    source, size, sha256, count = pool[(index * 7919 + i) % DIFFERENT]
                    place = f"{items.prefix}/{name}.npy"
                    rows.append(Row(name, OK, None, None, place, count, size, sha256, sha256, 1.5, 1, SPEC.id))
                    if artefacts:
                        os.link(source, work / place)
        with open(items.journal, "w") as stream:
            stream.writelines(json.dumps(row._asdict(), sort_keys=True) + "\n" for row in rows)
        ledger.write(out, rows)


def _pool(folder: Path) -> list[tuple[Path, int, str, int]]:
    """(path, bytes, sha256, rows) of the artefacts that all others are links to."""
    folder.mkdir()
    made = []
    for i in range(DIFFERENT):
        path, rows = folder / f"{i}.npy", 1 + i % 4
        np.save(path, np.random.default_rng(i).standard_normal((rows, 16)).astype(np.float16))
        made.append((path, path.stat().st_size, files.sha256(path), rows))
    return made


def read_ledgers(folder: Path, shards: int) -> dict[str, float]:
    """All ledgers of a stage as rows by id; forgetting them again doesn't count."""
    began, cpu = time.perf_counter(), time.process_time()
    found = ledger.read_shards(folder / "work/tiny", shards)
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, "rows": len(found)}


def read_one_ledger(folder: Path, videos: int) -> dict[str, float]:
    """As many rows in one ledger; it is written before, which doesn't count."""
    path = folder / "one.parquet"
    sha256 = "0123456789abcdef" * 4
    if not path.exists():
        rows = (
            Row(f"{i:011d}", OK, None, None, f"tiny/{i}.npy", 2, 192, sha256, sha256, 1.5, 1) for i in range(videos)
        )
        ledger.write(path, rows)
    began, cpu = time.perf_counter(), time.process_time()
    found = ledger.read(path)
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, "rows": len(found)}


def survey_twice(folder: Path) -> dict[str, float]:
    """What core.status looks at, once, and once more as `--watch` does."""
    began = time.perf_counter()
    survey.stages(folder / "work")
    again = time.perf_counter()
    (stage,) = survey.stages(folder / "work")
    return {"seconds": again - began, "seconds again": time.perf_counter() - again, "videos": stage.done}


def loop(folder: Path, items: int, synced: int) -> dict[str, float]:
    """A shard of so many videos whose artefacts take no time: what the loop around them costs; `synced`: with fsync."""
    folder = folder / f"loop-{os.getpid()}"
    shard, out = folder / "work/shards/0000.json", folder / "work/tiny/0000.parquet"
    files.write_json(shard, {f"{i:011d}": {"title": f"Video {i}", "duration": 60.0} for i in range(items)})

    def make(item: Item, to: Path) -> int:
        to.write_bytes(b"eight by")
        return 1

    sync = os.fsync
    if not synced:
        os.fsync = lambda handle: None  # type: ignore[assignment]
    began, cpu = time.perf_counter(), time.process_time()
    run_stage(SPEC, shard, out, make, suffix=".npy", version=lambda video_id: "1")
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    os.fsync = sync
    out.unlink()
    began = time.perf_counter()
    run_stage(SPEC, shard, out, make, suffix=".npy", version=lambda video_id: "1")
    again = time.perf_counter() - began
    found = {"seconds": seconds, "cpu": cpu, "items": items, "ms an item": 1e3 * seconds / items}
    return {**found, "CPU ms an item": 1e3 * cpu / items, "ms an item that is done": 1e3 * again / items}


def syncs(folder: Path, items: int) -> dict[str, float]:
    """The system calls alone that make an artefact outlive a power cut: write, fsync, rename, fsync of the folder."""
    place = folder / f"syncs-{os.getpid()}"
    place.mkdir()
    began = time.perf_counter()
    for i in range(items):
        with open(place / "new", "wb") as stream:
            stream.write(b"eight by")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(place / "new", place / str(i))
        files.fsync_folder(place)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "items": items, "ms an item": 1e3 * seconds / items}


def merge_stage(folder: Path, flat: int) -> dict[str, float]:
    """The stage in one HDF5."""
    out = folder / STORE[bool(flat)]
    out.unlink(missing_ok=True)
    layout = Layout.FLAT if flat else Layout.VIDEOS
    merging.merge(folder / "work/tiny", None, out, step=1.0, start=0.0, layout=layout)
    return {"MB written": out.stat().st_size / 1e6}


def read_merged(folder: Path, flat: int) -> dict[str, float]:
    """Opening a merged file, and 20 000 videos of it in random order."""
    began = time.perf_counter()
    with Features([folder / STORE[bool(flat)]]) as features:
        features.rows(features.ids[0])
        opened = time.perf_counter()
        wanted = random.Random(0).choices(features.ids, k=20_000)
        total = sum(len(features.rows(name)) for name in wanted)
    took = time.perf_counter() - opened
    return {"seconds": opened - began, "videos per second": len(wanted) / took, "rows read": total}


def split_into_tars(folder: Path) -> dict[str, float]:
    """The flat file as WebDataset's shards."""
    out = folder / f"tars-{os.getpid()}"
    found = splitting.split(folder / STORE[True], out, splitting.Format.WEBDATASET)
    return {"videos": found, "tars": len(list(out.iterdir()))}


def merge_texts(folder: Path, videos: int) -> dict[str, float]:
    """vid2article_master_not_filtered.json of films with an article of 2 kB and 100 captions of 40 letters each."""
    folder = folder / f"texts-{os.getpid()}"
    text = "the president of the council speaks to a crowd on the main square of the old town "
    for stage in ("articles", "captions"):
        items = Items(SPEC, folder / stage / "0000.parquet", ".json")
        rows = []
        with items.exclusive():
            for i in range(videos):
                name, said = f"{i:011d}", (2 * text)[i % len(text) :][:40]
                entry = {"article": said * 45, "title": said, "duration": 300.0, "url": f"https://example.org/{name}"}
                if stage == "captions":
                    entry = {
                        "captions": [{"start": 3.0 * j, "duration": 3.0, "text": f"{j} {said}"} for j in range(100)]
                    }
                path = items.folder / f"{name}.json"
                path.write_text(json.dumps(entry))
                rows.append(Row(name, OK, None, None, f"{items.prefix}/{path.name}", 1, path.stat().st_size))
        ledger.write(folder / stage / "0000.parquet", rows)
    out = folder / "master.json"
    began, cpu = time.perf_counter(), time.process_time()
    files.write_entries(out, merge([folder / "articles", folder / "captions"], 1))
    found = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, "entries": videos}
    return {**found, "kB a video": out.stat().st_size / 1e3 / videos}
