"""A similarity of 9668 × 3842, as in EPIC-Kitchens-100's test → how much faster and smaller our metrics are than upstream's code.

python benchmarks/retrieval_metrics.py --out benchmarks/results/retrieval_metrics.json

Both give nDCG, the challenge's mAP, and recalls and ranks, in both directions; ours also the textbook's mAP and what is tied.
`upstream` does what RANP's ndcg_map_helpers.py and evaluation.py do: whole matrices, sorted for the counts of relevant items,
for the ideal, for nDCG, for mAP, and query by query for the recalls. Programs take turns, each in a process of its own with one
thread; matrices are in memory before the clock starts. Scores are float32, all different, and correlated with relevance.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pipeline_lib.core import files
from pipeline_lib.retrieval import directions, relevance
from pipeline_lib.retrieval.annotations import Caption, Dataset

VIDEOS, CAPTIONS = 9668, 3842
PROGRAMS = ("upstream", "ours")


def drawn_captions(random: np.random.Generator) -> list[Caption]:
    """Clips of one verb of 97 and one or two nouns of 300, some far more frequent than others, as in kitchens."""
    verbs = random.zipf(1.4, VIDEOS * 4) - 1
    nouns = random.zipf(1.2, VIDEOS * 12) - 1
    verbs, nouns = verbs[verbs < 97][:VIDEOS], nouns[nouns < 300]
    two = random.random(VIDEOS) < 0.2
    return [
        Caption(str(i), str(i), "", (int(verbs[i]),), tuple(nouns[2 * i : 2 * i + 1 + two[i]].tolist()))
        for i in range(VIDEOS)
    ]


def prepare(folder: Path, epic: Path | None) -> dict[str, float]:
    """S.npy, R.npy and pairs.npy; what they are like."""
    random = np.random.default_rng(0)
    if epic is None:
        clips = drawn_captions(random)
        chosen = random.choice(VIDEOS, CAPTIONS, replace=False)
        graded = relevance.relevance(clips, [clips[i] for i in chosen])
        pairs = np.stack([chosen, np.arange(CAPTIONS)], axis=1)
    else:
        sentences = epic / "EPIC_100_retrieval_test_sentence.csv"
        about = relevance.collect(Dataset.EPIC100, epic / "EPIC_100_retrieval_test.csv", sentences=sentences)
        graded, pairs = np.concatenate(list(relevance.blocks(about))), about.pairs
    liking = random.standard_normal(graded.shape) + 3 * graded
    scores = np.empty(graded.size, np.float32)
    smallest = np.float32(0.125).view(np.uint32)
    scores[np.argsort(liking, axis=None)] = (smallest + np.arange(graded.size, dtype=np.uint32)).view(np.float32)
    for name, value in (("S", scores.reshape(graded.shape)), ("R", graded), ("pairs", pairs)):
        np.save(folder / f"{name}.npy", value)
    return {"videos": len(graded), "captions": graded.shape[1], "share of R > 0": float((graded > 0).mean())}


def ours(scores: np.ndarray, graded: np.ndarray, pairs: np.ndarray) -> list[float]:
    """nDCG, mAP, and the five of recalls and ranks: videos as queries, then captions."""
    found = directions.summarise(directions.measure(scores, graded, pairs), resamples=0)
    names = ("ndcg", "map", "r1", "r5", "r10", "medr", "meanr")
    return [found[way].values[name] for way in (directions.VIDEO_TO_TEXT, directions.TEXT_TO_VIDEO) for name in names]


def upstream(scores: np.ndarray, graded: np.ndarray, pairs: np.ndarray) -> list[float]:
    """The same numbers, as upstream finds them."""
    found = []
    for s, r, own in ((scores, graded, pairs), (scores.T, graded.T, pairs[:, ::-1])):
        among = (np.sort(r)[:, ::-1] > 0).astype(int)
        ndcg = gain(s, r, among) / gain(r, r, among)
        ndcg[~np.isfinite(ndcg)] = 0
        found += [float(ndcg.mean()), average_precision(s, r), *recalls(s, own)]
    return found


def gain(s: np.ndarray, r: np.ndarray, among: np.ndarray) -> np.ndarray:
    count, items = s.shape
    order = np.argsort(s)[:, ::-1]
    discount = np.repeat(np.log2(np.arange(items) + 2)[None], count, axis=0)
    rows = np.repeat(np.arange(count)[:, None], items, axis=1)
    return (r[rows, order] * among / discount).sum(axis=1)


def average_precision(s: np.ndarray, r: np.ndarray) -> float:
    ranked = r[np.arange(len(s))[:, None], (-s).argsort()]
    reached = np.cumsum(ranked, axis=1)
    reached[ranked != 1] = 0
    precision = (reached / (np.arange(s.shape[1]) + 1)).sum(axis=1)
    return float((precision / np.maximum((ranked == 1).sum(axis=1), 1)).mean())


def recalls(s: np.ndarray, pairs: np.ndarray) -> list[float]:
    positives: dict[int, list[int]] = {}
    for query, item in pairs.tolist():
        positives.setdefault(query, []).append(item)
    ranks = np.full(len(s), s.shape[1])
    for query, row in enumerate(s):
        order = np.argsort(-row)
        for item in positives.get(query, []):
            ranks[query] = min(ranks[query], np.where(order == item)[0][0])
    return [
        *(100 * float((ranks < k).mean()) for k in (1, 5, 10)),
        float(np.median(ranks) + 1),
        float(ranks.mean() + 1),
    ]


def run(folder: Path, program: str) -> None:
    """One turn: a line of JSON with seconds, memory and numbers."""
    scores, graded, pairs = (np.load(folder / f"{name}.npy") for name in ("S", "R", "pairs"))
    wall, processor = time.perf_counter(), time.process_time()
    numbers = {"ours": ours, "upstream": upstream}[program](scores, graded, pairs)
    spent = {"seconds": time.perf_counter() - wall, "CPU seconds": time.process_time() - processor}
    print(json.dumps({**spent, "peak GiB": peak(), "numbers": numbers}))


def peak() -> float:
    """Most memory this process had, in GiB; what getrusage says includes the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def main(
    out: Annotated[Path | None, typer.Option(help="JSON to write")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="turns; the median counts")] = 3,
    epic: Annotated[Path | None, typer.Option(help="folder of EPIC_100_retrieval_test*.csv: real relevance")] = None,
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,
    program: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print a table of seconds, memory and ratios and write it; different numbers are an error."""
    if folder is not None:
        run(folder, program)
        return
    one_thread = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    turns: dict[str, list[dict]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as place:
        about = prepare(Path(place), epic)
        for _ in range(repeats):
            for name in PROGRAMS:
                words = [sys.executable, __file__, "--folder", place, "--program", name]
                done = subprocess.run(words, env=one_thread, capture_output=True, text=True, check=True)
                turns[name].append(json.loads(done.stdout))
    rows = {
        name: {key: statistics.median(turn[key] for turn in own) for key in ("seconds", "CPU seconds", "peak GiB")}
        for name, own in turns.items()
    }
    difference = float(np.abs(np.subtract(turns["ours"][0]["numbers"], turns["upstream"][0]["numbers"])).max())
    ratios = {key: rows["upstream"][key] / rows["ours"][key] for key in rows["ours"]}
    print("| program | s | CPU s | peak GiB |\n|---|---|---|---|")
    for name, row in [*rows.items(), ("upstream / ours", ratios)]:
        print(f"| {name} | {row['seconds']:.2f} | {row['CPU seconds']:.2f} | {row['peak GiB']:.2f} |")
    print(f"largest difference of the {len(turns['ours'][0]['numbers'])} numbers: {difference:.1e}")
    machine = {"cpus": os.cpu_count(), "processor": platform.processor() or platform.machine(), "numpy": np.__version__}
    if out is not None:
        content = {"machine": machine, "data": about, "turns": turns, "medians": rows, "ratios": ratios}
        files.write_json(out, {**content, "largest difference": difference}, sort_keys=False)
    if difference > 1e-9:
        raise SystemExit("the numbers differ")


if __name__ == "__main__":
    typer.run(main)
