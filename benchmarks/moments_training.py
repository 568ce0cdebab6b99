"""A training step of MESM on Charades-STA: ours, upstream's own, and upstream's with words that are encoded beforehand, in turns.

python benchmarks/moments_training.py --mesm ../MESM --data ../shared/data --out benchmarks/results/moments_training.json

Real annotations; features of CLIP + SlowFast and the weights of a text network of ViT-B/32's size are drawn. Upstream's
dataset, collate, network, criterion and step run as they are, but in float32 and on the CPU; ours are those of moments.train.
A step is: features out of HDF5, the batch, forward, loss, backward, clipping, AdamW. `upstream, words given` doesn't run the
frozen text network in each step, and so shows what the rest takes. Ours encodes each sentence once: `encoding` says how
long that takes for all sentences used here.
"""

import importlib
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import h5py
import numpy as np
import torch
import typer
from mesm_original import Original
from torch import nn
from upstream_mesm_data import importable, theirs

from pipeline_lib.config.moments import Moments
from pipeline_lib.core import files
from pipeline_lib.moments import losses, model, queries, sentences
from pipeline_lib.moments.data import Part
from pipeline_lib.moments.sentences import Sentences
from pipeline_lib.moments.videos import Videos

CONFIG = "charades/C+SF_C.json"
WIDTHS = (512, 2304)
TEXT = (512, 77, 49408, 512, 8, 12)  # output, positions, tokens, width, heads, layers of ViT-B/32's text network
Step = Callable[[int], float]


class Setting:
    """Files of a benchmark in a folder: annotations of the first videos, features, text network."""

    def __init__(self, data: Path, original: Original, folder: Path, videos: int) -> None:
        count = data / "charades_sta" / "CLIP_tokenized_count.txt"
        lines = (data / "charades_sta" / "charades_sta_train.txt").read_text().splitlines(keepends=True)
        names = list(dict.fromkeys(line.split()[0] for line in lines))[:videos]
        (folder / "charades_sta_train.txt").write_text("".join(line for line in lines if line.split()[0] in names))
        for path in (data / "charades_sta").glob("*.csv"):
            (folder / path.name).symlink_to(path.resolve())
        (folder / count.name).symlink_to(count.resolve())
        torch.save(original.net.text_encoder.state_dict(), folder / "text.pth")  # type: ignore[operator, union-attr]
        self.options = Moments.model_validate(
            {
                "dataset": "charades_sta",
                "annotations": str(folder),
                "features": [str(folder / f"features_{i}.hdf5") for i in range(len(WIDTHS))],
                "data": {"vocabulary": str(folder / count.name), "words": str(folder / "text.pth")},
            }
        )
        self.moments = queries.read(self.options, "train")
        draw = np.random.default_rng(0)
        for width, path in zip(WIDTHS, self.options.features, strict=True):
            with h5py.File(path, "w") as file:
                for name, seconds in {one.video_id: one.duration for one in self.moments}.items():
                    file[name] = draw.standard_normal((max(1, round(seconds)), width), np.float32)


def ours(setting: Setting, part: Part, classes: int, chosen: list[list[str]]) -> Step:
    """A step of moments.train."""
    options = setting.options
    net = model.initial(options.model, part.dim, part.sentences.dim, classes, 0).train()
    optimiser = torch.optim.AdamW(net.parameters(), 2e-4, weight_decay=1e-4, fused=True)
    by_video = {part.moments[group[0]].video_id: group for group in part.groups}

    def once(number: int) -> float:
        part.videos._kept.cache_clear()  # rows are read from the files in every step, as upstream reads them
        batch = part.batch([by_video[name] for name in chosen[number]], np.random.default_rng(number))
        optimiser.zero_grad()
        loss = losses.terms(net(batch), batch, options.loss)["loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        optimiser.step()
        return float(loss.detach())

    return once


def upstreams(
    original: Original, package: Any, setting: Setting, part: Part, chosen: list[list[str]]
) -> tuple[Step, Step]:
    """A step of train_epoch; and one whose words are given."""
    base = package.base
    case = mock.Mock(tokenizer="clip", theirs="CharadesDataset", split="train")
    case.configure_mock(
        max_words=16, clip_len=1, max_video=194, vocabulary=original.args.vocab_size, dataset="charades"
    )
    dataset = theirs(case, setting.options, package)
    numbers = {item["video_id"][0]: number for number, item in enumerate(dataset.merged_data)}
    net, criterion = original.net.train(), original.criterion.train()
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, 2e-4, weight_decay=1e-4)
    encoder = net.text_encoder

    def once(number: int, given: bool) -> float:
        batch = base.collate([dataset[numbers[name]] for name in chosen[number]])
        base.prepare_batch_input(batch, torch.device("cpu"))
        if given:
            rows = [part.sentences.by_text[text].words for text in batch["sentence"]]
            words = torch.zeros(len(rows), 16, WIDTHS[0])
            for place, one in zip(words, rows, strict=True):
                place[: len(one)] = torch.from_numpy(one)
            batch["words_id"] = words
            batch["unknown_mask"], batch["words_label"] = batch["unknown_mask"][:, :16], batch["words_label"][:, :16]
        net.text_encoder = None if given else encoder
        loss = criterion(net(**batch, dataset_name="charades", is_training=True), batch, is_training=True)[1]
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        optimiser.step()
        net.text_encoder = encoder
        return float(loss.detach())

    return lambda number: once(number, False), lambda number: once(number, True)


def encoded(setting: Setting) -> tuple[Sentences, float]:
    """Our sentences, and the seconds that encoding them took."""
    start = time.perf_counter()
    data, texts = setting.options.data, [one.sentence for one in setting.moments]
    paths = [Path(data.vocabulary or ""), Path(data.words or "")]
    encoder = sentences.open_encoder(data, *paths, texts, torch.device("cpu"))
    opened = time.perf_counter()
    found = Sentences.of(encoder, texts, True)
    print(f"text network opened in {opened - start:.1f} s")
    return found, time.perf_counter() - opened


def main(
    mesm: Annotated[Path, typer.Option(help="checkout of lntzm/MESM")],
    data: Annotated[Path, typer.Option(help="folder with charades_sta/")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
    threads: Annotated[int, typer.Option(help="of the CPU")] = 2,
    steps: Annotated[int, typer.Option(help="of each, on different batches, in turns")] = 6,
) -> None:
    """Print and write seconds per step and their ratios."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    original = Original(mesm.resolve(), CONFIG, 1114, draws=True, text=TEXT)
    with importable(mesm.resolve()), tempfile.TemporaryDirectory() as place:
        package = importlib.import_module("dataset")
        size = original.args.batch_size
        setting = Setting(data, original, Path(place), videos=size * steps)
        said, encoding = encoded(setting)
        with Videos(list(map(Path, setting.options.features)), setting.options.data) as videos:
            part = Part(setting.moments, setting.options, videos, said, "train")
            names = [part.moments[group[0]].video_id for group in part.groups]
            chosen = [names[start : start + size] for start in range(0, size * steps, size)]
            theirs_step, given_step = upstreams(original, package, setting, part, chosen)
            runs = {"ours": ours(setting, part, said.classes, chosen), "upstream": theirs_step}
            runs["upstream, words given"] = given_step
            taken = measure(runs, len(chosen))
    report(taken, {"queries": len(setting.moments), "videos": len(names), "batches": steps, "batch_videos": size}, encoding,
           threads, out)  # fmt: skip


def measure(runs: dict[str, Step], steps: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU seconds of each step, systems in turns; the first step of each is repeated and not counted."""
    taken: dict[str, list[tuple[float, float]]] = {system: [] for system in runs}
    for once in runs.values():
        assert np.isfinite(once(0))
    for number in range(steps):
        for system, once in runs.items():
            wall, busy = time.perf_counter(), time.process_time()
            once(number)
            taken[system].append((time.perf_counter() - wall, time.process_time() - busy))
    return taken


def report(
    taken: dict[str, list[tuple[float, float]]], sizes: dict[str, int], encoding: float, threads: int, out: Path
) -> None:
    """Medians and their ratios to ours."""
    medians = {system: [statistics.median(column) for column in zip(*t, strict=True)] for system, t in taken.items()}
    found = {
        system: {"seconds": wall, "cpu_seconds": busy, "times_ours": wall / medians["ours"][0]}
        | {"times_ours_cpu": busy / medians["ours"][1]}
        for system, (wall, busy) in medians.items()
    }
    for system, one in found.items():
        print(
            f"{system:22} {one['seconds']:.3f} s ({one['times_ours']:.2f} × ours), "
            f"CPU {one['cpu_seconds']:.3f} s ({one['times_ours_cpu']:.2f} ×)"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"encoding the sentences of {sizes['batches']} steps once: {encoding:.2f} s; at most {peak:.1f} GB of memory")
    machine = {"processor": platform.processor() or platform.machine(), "threads": threads, "torch": torch.__version__}
    about = {"machine": machine, **sizes, "encoding_seconds": encoding, "peak_gigabytes": peak}
    files.write_json(out, {**about, "systems": found}, sort_keys=False)


if __name__ == "__main__":
    typer.run(main)
