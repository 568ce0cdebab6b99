"""One training step of HGR with RANP: ours, a plain re-creation, and upstream's own where there is a checkout, in turns.

python benchmarks/retrieval_training.py --threads 2 [--ranp ../ranp] --out benchmarks/results/retrieval_training.json

At the sizes published for MSR-VTT and EPIC-Kitchens-100: 64 pairs, 20 frames, a joint space of 1024, Adam. The plain re-creation
has the same layers, and writes out what the definition says: pooled videos for every phrase, (videos, captions, phrases, 1024);
masks over all words of all phrases; relevance pair by pair; Adam as torch has it by default. A step is: relevance, forward, loss,
backward, optimiser; reading features is left out.
"""

import contextlib
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.config.retrieval import RetrievalModel, RetrievalTraining
from pipeline_lib.core import files
from pipeline_lib.retrieval import encoders, iou, losses, model, scores
from pipeline_lib.retrieval.encoders import Words

PAIRS, FRAMES, DIMENSION, WORDS = 64, 20, 1024, 10_000
#: Features of a frame; words, verbs and nouns of a caption: means of the dataset (MSR-VTT: parse_sent_to_role_graph.ipynb).
DATASETS = {"MSR-VTT, ResNet-152": (2048, 9, 2, 3), "EPIC-Kitchens-100, TBN": (3072, 4, 1, 1)}
OPTIONS = RetrievalTraining(loss="ranp", threshold=0.15)
Step = Callable[[], float]


def plain_phrases(
    frames: Tensor, frame_mask: Tensor, nodes: Tensor, node_mask: Tensor, sharpness: float, fusion: str = "embed"
) -> Tensor:
    """scores.phrases, written out."""
    cosine = torch.einsum("vfd,cpd->vcfp", F.normalize(frames, dim=-1), F.normalize(nodes, dim=-1))
    pad = ~frame_mask[:, None, :, None]
    like = F.normalize(cosine.masked_fill(pad, 0).clamp(min=0), dim=2)
    attention = (sharpness * like.masked_fill(pad, -1e18)).softmax(2)
    shown = torch.einsum("vcfp,vfd->vcpd", attention, frames)
    found = torch.einsum("vcpd,cpd->vcp", F.normalize(shown, dim=-1), F.normalize(nodes, dim=-1))
    return (found * node_mask).sum(2) / node_mask.sum(1).clamp(min=1)


def plain_pooling(states: Tensor, masks: Tensor) -> Tensor:
    """encoders.pool_phrases, written out."""
    return states[:, None].masked_fill(~masks[..., None], -1e10).max(2).values


def plain_relevance(classes: list[tuple[int, list[int]]]) -> Tensor:
    """Relevance of a batch, a pair at a time."""
    rows = []
    for verb, nouns in classes:
        row = []
        for other, others in classes:
            union = len(set(nouns) | set(others))
            row.append(0.5 * (float(verb == other) + len(set(nouns) & set(others)) / max(1, union)))
        rows.append(row)
    return torch.tensor(rows)


def inputs(
    features: int, words: int, verbs: int, nouns: int
) -> tuple[Tensor, Tensor, Words, list[tuple[int, list[int]]]]:
    """A batch of random numbers."""
    random = np.random.default_rng(0)
    frames = torch.from_numpy(random.normal(size=(PAIRS, FRAMES, features)).astype(np.float32))
    ids = torch.from_numpy(random.integers(3, WORDS, (PAIRS, 2 * words)))
    lengths = torch.from_numpy(random.integers(max(2, words - 3), words + 4, PAIRS)).clamp(max=2 * words)
    masks = [torch.zeros(PAIRS, count, 2 * words, dtype=torch.bool) for count in (4, 6)]
    edges = torch.zeros(PAIRS, 11, 11)
    for mask, count, first in zip(masks, (verbs, nouns), (1, 5), strict=True):
        for i in range(count):
            mask[:, i, i % 2 : i % 2 + 2] = True
            edges[:, first + i, 0 if first == 1 else 1] = 1
    roles = torch.from_numpy(random.integers(0, 16, (PAIRS, 10)))
    classes = [(int(random.integers(0, 20)), random.integers(0, 30, nouns).tolist()) for _ in range(PAIRS)]
    longest = int(lengths.max())
    cut = Words(ids[:, :longest], lengths, *(mask[..., :longest] for mask in masks), roles, edges)
    return torch.as_tensor(frames), torch.full((PAIRS,), FRAMES), cut, classes


def step(features: int, batch: Any, plain: bool) -> Step:
    """A training step of ours, or of the plain re-creation."""
    net = model.initial(features, WORDS, RetrievalModel(dimension=DIMENSION), 0).train()
    optimiser = torch.optim.Adam(net.parameters(), 1e-4, **({} if plain else {"fused": True}))
    frames, lengths, words, classes = batch
    sets = [iou.encode([[verb] for verb, _ in classes])[0], iou.encode([nouns for _, nouns in classes])[0]]

    def once() -> float:
        torch.manual_seed(0)
        optimiser.zero_grad()
        graded = plain_relevance(classes) if plain else torch.from_numpy(iou.mean_iou(sets, sets)).float()
        by_level = dict.fromkeys(("both", "verbs", "nouns"), graded)
        loss = losses.terms(net(frames, lengths, words), by_level, OPTIONS)["loss"]
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    if not plain:
        return once

    def written_out() -> float:
        with (
            mock.patch.object(scores, "phrases", plain_phrases),
            mock.patch.object(encoders, "pool_phrases", plain_pooling),
        ):
            return once()

    return written_out


def upstream_step(features: int, batch: Any) -> Step:
    """Upstream's own: train_one_batch of its model."""
    import upstream_hgr

    mlmatch = upstream_hgr.modules().mlmatch
    config = mlmatch.RoleGraphMatchModelConfig()
    config.margin_pos = 0.2
    video, text = config.subcfgs["video_encoder"], config.subcfgs["text_encoder"]
    video.dim_fts, video.dropout = [features], 0.2
    text.num_words, text.gcn_attention, text.dropout = WORDS, True, 0.2
    with upstream_hgr.quiet():
        net = mlmatch.HPRoleGraphMatchModel(config)
    net.logger = mock.Mock()
    net.train_start()
    frames, lengths, words, classes = batch
    data = {
        "attn_fts": frames.numpy(),
        "attn_lens": lengths.numpy(),
        "sent_ids": words.ids.numpy(),
        "sent_lens": words.lengths.numpy(),
        "verb_masks": words.verbs.numpy(),
        "noun_masks": words.nouns.numpy(),
        "node_roles": words.roles.numpy(),
        "rel_edges": words.edges.numpy(),
        "verb_class": [verb for verb, _ in classes],
        "noun_classes": [nouns for _, nouns in classes],
        "threshold_pos": OPTIONS.threshold,
    }

    def once() -> float:
        with upstream_hgr.quiet():
            return float(net.train_one_batch(data, None)["loss"])

    return once


@contextlib.contextmanager
def checkout(ranp: Path | None) -> Iterator[None]:
    """Upstream's modules can be imported."""
    if ranp is None:
        yield
        return
    import upstream_retrieval

    with upstream_retrieval.importable(ranp):
        yield


def main(
    out: Annotated[Path, typer.Option(help="JSON to write")],
    ranp: Annotated[Path | None, typer.Option(help="checkout of aranciokov/ranp")] = None,
    threads: Annotated[int, typer.Option(help="of the CPU")] = 2,
    repeats: Annotated[int, typer.Option(help="steps of each, in turns")] = 5,
) -> None:
    """Print and write seconds per step and their ratios."""
    torch.set_num_threads(threads)
    found = {}
    with checkout(ranp):
        for name, (features, *sizes) in DATASETS.items():
            batch = inputs(features, *sizes)
            steps = {"ours": step(features, batch, False), "plain": step(features, batch, True)}
            steps |= {"upstream": upstream_step(features, batch)} if ranp else {}
            taken: dict[str, list[tuple[float, float]]] = {system: [] for system in steps}
            values = {system: once() for system, once in steps.items()}  # and warm up
            assert abs(values["ours"] - values["plain"]) < 1e-4, values
            for _ in range(repeats):
                for system, once in steps.items():
                    wall, busy = time.perf_counter(), time.process_time()
                    once()
                    taken[system].append((time.perf_counter() - wall, time.process_time() - busy))
            seconds = {
                system: [statistics.median(column) for column in zip(*t, strict=True)] for system, t in taken.items()
            }
            found[name] = {
                system: {"seconds": wall, "cpu_seconds": busy, "times_ours": wall / seconds["ours"][0]}
                | {"times_ours_cpu": busy / seconds["ours"][1]}
                for system, (wall, busy) in seconds.items()
            }
            for system, one in found[name].items():
                print(
                    f"{name}: {system:9} {one['seconds']:.3f} s ({one['times_ours']:.2f} × ours), "
                    f"CPU {one['cpu_seconds']:.3f} s ({one['times_ours_cpu']:.2f} ×)",
                    flush=True,
                )
    machine = {"processor": platform.processor() or platform.machine(), "threads": threads, "torch": torch.__version__}
    files.write_json(out, {"machine": machine, "repeats": repeats, **found}, sort_keys=False)


if __name__ == "__main__":
    typer.run(main)
