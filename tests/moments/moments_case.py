"""Queries of QVHighlights' format about two short videos, hostile text among them, and predictions, for tests of the page."""

import json
from pathlib import Path
from typing import Any

SENTENCE = '<script>alert(1)</script> "fire" & </noscript><b>smoke</b>\u202e'
VIDEOS = {"calm_0.0_4.0": 4.0, "../fire <i>": 40.0}


def annotations() -> list[dict[str, Any]]:
    """1: found at once; 2: found second; 3: missed; 4: not predicted; 5: predicted without windows."""
    calm, fire = VIDEOS
    rated = {"relevant_clip_ids": [0, 1], "saliency_scores": [[4, 3, 2], [0, 1, 2]]}
    return [
        {"qid": 1, "query": "A calm day", "vid": calm, "duration": 4, "relevant_windows": [[0, 2]], **rated},
        {"qid": 2, "query": SENTENCE, "vid": fire, "duration": 40, "relevant_windows": [[0, 4], [10, 30]]},
        {"qid": 3, "query": "It rains", "vid": fire, "duration": 40, "relevant_windows": [[20, 39]]},
        {"qid": 4, "query": "It snows", "vid": fire, "duration": 40, "relevant_windows": [[5, 8]]},
        {"qid": 5, "query": "", "vid": calm, "duration": 4, "relevant_windows": [[1, 4]]},
    ]


def predictions() -> list[dict[str, Any]]:
    """IoU of the first window: 1 → 1; 2 → 0.25, its second 1; 3 → 0, and beyond the end; 5 → none."""
    found = {
        1: [[0, 2, 0.9], [0, 4, 0.5]],
        2: [[5, 15, 0.8], [10, 30, 0.7], [0, 1, 0.1]],
        3: [[0, 10, 0.9], [30, 50, 0.2]],
        5: [],
    }
    of = {one["qid"]: one["vid"] for one in annotations()}
    saliency = {1: [0.5, -0.5], 2: [0.1 * i for i in range(20)], 3: [1.0] * 20, 5: []}
    return [
        {"qid": qid, "vid": of[qid], "pred_relevant_windows": rows, "pred_saliency_scores": saliency[qid]}
        for qid, rows in found.items()
    ]


def write(folder: Path) -> tuple[Path, Path]:
    """predictions.jsonl and val.jsonl."""
    paths = folder / "predictions.jsonl", folder / "val.jsonl"
    for path, lines in zip(paths, (predictions(), annotations()), strict=True):
        path.write_text("\n".join(map(json.dumps, lines)))
    return paths
