"""Generated captions, objects and clip features → seconds per MILO training step, ours and a plain loop as upstream's.

python benchmarks/coref_training.py --out benchmarks/results/coref_training.json

Sizes are those of the original's recipe: one video per step, 36 pairs of it, 5 of 10 objects × 2048 in a window of ±2
segments, clips of 2048 + 2048 numbers, 30 words × 300, a joint space of 6144. The plain loop re-creates what
m2e2_train_milo_eval_coref_multi.py does with the loader and the loss it uses: a .npy file per segment and two per video
read anew for each of the 36 pairs, tensors of them made in the processes of a DataLoader, gating by concatenation and GLU,
the positives of MIL-NCE by an identity matrix, Adam with its defaults, the loss fetched after every step. Ours is
coref.train.MILO in training.loop. Both use the same number of CPU threads and live in processes of their own (the
workers that a DataLoader forks would slow down whoever shares its process). A turn is an epoch, so that all of the plain
loop's loading falls into its turn; turns alternate; ratios are of medians.
"""

import json
import multiprocessing
import os
import platform
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import torch
import typer
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import device, files
from pipeline_lib.coref.inputs import Inputs
from pipeline_lib.coref.train import MILO
from pipeline_lib.text import vectors
from pipeline_lib.training import loop
from pipeline_lib.training.ranks import Ranks
from pipeline_lib.training.state import States

SEGMENTS, SECONDS, K, WIDTH = 60, 5.0, 10, 2048
PAIRS, CANDIDATES, WORDS, WINDOW, DIMENSION = 36, 5, 30, 2, 6144
VOCABULARY = [f"{a}{b}{c}" for a in "bcdfghjkl" for b in "aeiou" for c in ("ran", "tol", "mek", "sid", "pur")]


def generate(folder: Path, videos: int) -> None:
    """The same videos in the original's files (upstream.json, segments/, 2d/, 3d/) and in the pipeline's."""
    rng = np.random.default_rng(0)
    captions, upstream = {}, {}
    for name in ("segments", "2d", "3d"):
        (folder / name).mkdir()
    stores = {name: h5py.File(folder / f"{name}.hdf5", "w") for name in ("objects", "resnet152", "resnext101")}
    for (name, store), step in zip(stores.items(), (3.0, 1.0, 16 / 24), strict=True):
        store.attrs.update({"spec": json.dumps({"stage": name}), "step": step, "start": 0.0})
    for video in (f"video{i:03d}" for i in range(videos)):
        duration = SEGMENTS * SECONDS
        objects = rng.random((int(duration / 3) + 1, K, WIDTH), np.float32)
        scores = rng.random((len(objects), K), np.float32)
        group = stores["objects"].create_group(video)
        for key, value in (("features", objects), ("scores", scores)):
            group[key] = value
        group["boxes"], group["labels"] = np.zeros((len(objects), K, 4), "f4"), np.ones((len(objects), K), "i8")
        for short, name, rate in (("2d", "resnet152", 1.0), ("3d", "resnext101", 1.5)):
            rows = rng.random((int(duration * rate), WIDTH), np.float32).astype(np.float16)
            stores[name][video] = rows
            np.save(folder / short / f"{video}.npy", rows)
        segments, entry = [], {}
        for i in range(SEGMENTS):
            text = " ".join(rng.choice(VOCABULARY + ["the", "of", "and"] * 20, 12))
            start = i * SECONDS
            row = round((start + SECONDS / 2) / 3)
            path = folder / "segments" / f"{video}_{i}.npy"
            np.save(path, objects[row])
            segments.append({"start": start, "duration": SECONDS - 0.1, "text": text})
            entry[str(start + SECONDS / 2)] = {
                "start_sec": start,
                "end_sec": start + SECONDS - 0.1,
                "text": text,
                "features_path": str(path),
                "obj_detec_confidence": scores[row].tolist(),
            }
        captions[video] = {"title": video, "article": "", "captions": segments}
        upstream[video] = entry
    for store in stores.values():
        store.close()
    files.write_json(folder / "captions.json", captions)
    gold = {"split": "val", "duration": 300.0, "article_sentences": ["bacran"], "temporal_proposals": []}
    gold |= {"events": [{"start": 0.0, "end": 5.0, "type": 0}], "event_coreference": [[0, 0]]}
    captions["val"] = captions["video000"]
    files.write_json(folder / "annotations.json", {"video000": gold})
    files.write_json(folder / "upstream.json", upstream)
    vectors.derive([" ".join(VOCABULARY)] * 3, 300, 0).save(folder / "words.safetensors")


class PlainVideos(Dataset):
    """A video's pairs, everything read from its files at every turn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries = json.loads((folder / "upstream.json").read_text())
        words = vectors.load(folder / "words.safetensors")
        self.vectors = {word: words.matrix[row].astype(np.float32) for word, row in words.index.items()}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        name = list(self.entries)[index]
        entry = self.entries[name]
        texts = torch.zeros(PAIRS, WORDS, 300)
        objects, videos = torch.zeros(PAIRS, CANDIDATES, WIDTH), torch.zeros(PAIRS, 2 * WIDTH)
        for i, drawn in enumerate(random.sample(range(len(entry)), PAIRS)):
            middle = list(entry)[drawn]
            near = list(range(max(0, drawn - WINDOW), min(len(entry), drawn + WINDOW + 1)))
            texts[i] = self.text(entry[list(entry)[random.choice(near)]]["text"])
            around = np.stack([np.load(entry[list(entry)[n]]["features_path"]) for n in near])
            scores = np.stack([entry[list(entry)[n]]["obj_detec_confidence"] for n in near])
            confident = around[scores >= 0.6]
            if len(confident) >= CANDIDATES:
                chosen = confident[random.sample(range(len(confident)), CANDIDATES)]
            else:
                chosen = np.load(entry[middle]["features_path"])[:CANDIDATES]
            objects[i] = torch.from_numpy(chosen).float()
            parts = []
            for short, rate in (("2d", 1.0), ("3d", 1.5)):
                rows = np.load(self.folder / short / f"{name}.npy")
                first, last = int(entry[middle]["start_sec"] * rate), int(entry[middle]["end_sec"] * rate) + 1
                parts.append(F.normalize(torch.from_numpy(rows[first:last]).float().max(dim=0)[0], dim=0))
            videos[i] = torch.cat(parts)
        return {"video": videos, "text": texts, "objects": objects}

    def text(self, sentence: str) -> torch.Tensor:
        found = [w for w in re.findall(r"[\w']+", sentence) if w in self.vectors and w not in ENGLISH_STOP_WORDS]
        matrix = torch.zeros(WORDS, 300)
        if found:
            rows = np.stack([self.vectors[word] for word in found[:WORDS]])
            matrix[: len(rows)] = torch.from_numpy(rows)
        return matrix


class PlainUnit(nn.Module):
    """Linear, gate by GLU of a concatenation, unit length along axis 1: (B, width), or (B, K, width) as published."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc, self.gate = nn.Linear(width, DIMENSION), nn.Linear(DIMENSION, DIMENSION)
        self.norm = nn.BatchNorm1d(DIMENSION)  # never computed with, but there

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.fc(x)
        return F.normalize(F.glu(torch.cat((x, self.gate(x)), 1), 1))


class PlainNet(nn.Module):
    """Three towers as published."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Linear(300, DIMENSION)
        self.text, self.video, self.objects = PlainUnit(DIMENSION), PlainUnit(2 * WIDTH), PlainUnit(WIDTH)

    def forward(self, video: torch.Tensor, text: torch.Tensor, objects: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.video(video), self.text(F.relu(self.pool(text)).max(dim=1)[0]), self.objects(objects)


def plain_nce(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """MIL-NCE with the positives picked by an identity matrix."""
    x = (a @ b.t()).view(len(a), len(a), -1)
    positive = torch.logsumexp((x * torch.eye(len(x))[:, :, None]).sum(dim=1), dim=1)
    return (torch.logsumexp(torch.cat((x, x.permute(1, 0, 2)), dim=1).view(len(x), -1), dim=1) - positive).mean()


def plain(folder: Path, workers: int) -> Callable[[int], None]:
    """A function that does some steps of the plain loop."""
    torch.manual_seed(0)
    data, net = PlainVideos(folder), PlainNet()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)

    def endless() -> Iterator[dict[str, torch.Tensor]]:
        while True:
            yield from DataLoader(data, 1, shuffle=True, num_workers=workers, drop_last=True)

    batches = endless()

    def steps(count: int) -> None:
        for _ in range(count):
            batch = next(batches)
            optimiser.zero_grad()
            video, text, regions = net(*(batch[name][0] for name in ("video", "text", "objects")))
            loss = plain_nce(text, regions.view(-1, DIMENSION)) + plain_nce(video, text)
            loss.backward()
            optimiser.step()
            loss.item()

    return steps


def ours(folder: Path, inputs: Inputs, precision: str) -> Callable[[int], None]:
    """A function that does some steps of this project's loop."""
    options = Coref.model_validate(
        {
            "data": {"n_pair": PAIRS, "candidates": CANDIDATES, "look_window": WINDOW},
            "model": {"dimension": DIMENSION, "normalise": "candidate_axis"},
            "training": {"loss": "nce_video_text+nce_text_object", "precision": precision},
        }
    )
    cpu = torch.device("cpu")
    task = MILO(inputs, options, cpu)
    trainer = loop._Loop(task, options.training, cpu, States(folder / f"state_{precision}", {}), Ranks())

    def endless() -> Iterator[int]:
        index = 0
        while True:
            yield index % task.batches(1)
            index += 1

    batches = loop.ahead(lambda index: task.batch(1, index), endless())

    def steps(count: int) -> None:
        for step in range(count):
            trainer._step(range(step, step + 1), batches)
        trainer._read_losses()

    return steps


def serve(pipe: Connection, program: str, folder: Path, threads: int, workers: int) -> None:
    """In a process of its own: answer every number of steps with the seconds they took, until there are no more."""
    if program == "plain fp32":
        torch.set_num_threads(threads)
        answer(pipe, plain(folder, workers))
        return
    device.deterministic(threads)
    paths = [folder / f"{name}.hdf5" for name in ("resnet152", "resnext101")]
    data = Coref.model_validate({"data": {"look_window": WINDOW}}).data
    files_ = (folder / "captions.json", folder / "annotations.json", folder / "objects.hdf5", paths)
    with Inputs(*files_, folder / "words.safetensors", data) as inputs:
        answer(pipe, ours(folder, inputs, program.removeprefix("ours ")))


def answer(pipe: Connection, run: Callable[[int], None]) -> None:
    while count := pipe.recv():
        start = time.perf_counter()
        run(count)
        pipe.send(time.perf_counter() - start)


def main(
    out: Annotated[Path, typer.Option(help="JSON to write")],
    videos: Annotated[int, typer.Option(help="generated videos")] = 12,
    turns: Annotated[int, typer.Option(help="epochs of each program")] = 5,
    threads: Annotated[int, typer.Option(help="of the CPU")] = os.cpu_count() or 1,
    precision: Annotated[str, typer.Option(help="of ours; the plain loop's is fp32")] = "fp32",
    workers: Annotated[int, typer.Option(help="processes of the plain loop's DataLoader")] = os.cpu_count() or 1,
) -> None:
    """Take turns, print and write seconds per step and ratios."""
    programs = (f"ours {precision}", "plain fp32")
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, videos)
        context = multiprocessing.get_context("spawn")
        pipes, processes = {}, []
        for program in programs:
            pipes[program], theirs = context.Pipe()
            processes.append(context.Process(target=serve, args=(theirs, program, folder, threads, workers)))
            processes[-1].start()
        for turn in range(turns + 1):
            for program, pipe in pipes.items():
                pipe.send(videos)
                needed = pipe.recv() / videos
                if turn:  # the first one warms up
                    seconds[program].append(needed)
                    print(f"turn {turn} {program}: {needed:.3f} s per step", flush=True)
        for pipe, process in zip(pipes.values(), processes, strict=True):
            pipe.send(0)
            process.join()
    medians = {program: statistics.median(values) for program, values in seconds.items()}
    ratios = {name: round(medians["plain fp32"] / value, 2) for name, value in medians.items() if name != "plain fp32"}
    result = {
        "claim": "a MILO training step, data loading included, is at least twice as fast as a plain loop's",
        "machine": {"cpus": os.cpu_count(), "threads": threads, "workers of the plain loop": workers},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "seconds per step": {program: [round(value, 4) for value in values] for program, values in seconds.items()},
        "plain / ours": ratios,
    }
    files.write_json(out, result)
    print(json.dumps(result["plain / ours"]))


if __name__ == "__main__":
    typer.run(main)
