"""Three small videos, their predictions, stored frames and ledgers: what tests of pages are made from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_lib.config.video import Frames
from pipeline_lib.core import files, ledger
from pipeline_lib.core.ledger import FAILED, OK, Row
from pipeline_lib.video.decode import Frame
from pipeline_lib.video.frames import store

TITLE = '<script>alert(1)</script> "fire" & smoke'
SIZE = (160, 96)


def predictions() -> dict[str, Any]:
    """The threshold is 0.4. fire: one correct pair, one false positive, one false negative; calm: one correct pair; lost:
    one false negative, and with proposals another one that no clip stands for. With proposals the cuts are the events."""
    fire = {
        "video_id": "fire0000001",
        "split": "val",
        "title": TITLE,
        "duration": 12.0,
        "sentences": ["A house exploded.", "People marched </noscript><b>today</b>.", "It rained."],
        "events": [{"start": 0.0, "end": 3.0, "type": "explosion"}, {"start": 6.0, "end": 9.0, "type": "march"}],
        "clips": [
            {"start": 0.0, "end": 3.0, "objects": [one(0.0, "person"), one(0.0, 7), one(3.0, "<i>smoke</i>")]},
            {"start": 6.0, "end": 9.0, "objects": [one(6.0, "flag"), one(9.0, "flag")]},
        ],
        "gold": [[1, 0, 0], [0, 1, 0]],
        "scores": same([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]),
        "object_scores": [
            [[0.1, 0.4, 0.2], [0.3, -0.1, 0.0], [-0.2, -0.1, -0.3]],
            [[0.5, 0.25], [0.0, 0.5], [0.1, 0.1]],
        ],
    }
    calm = {
        "video_id": "calm0000001",
        "split": "test",
        "title": "A calm day",
        "duration": 6.0,
        "sentences": ["A crowd marched."],
        "events": [{"start": 0.0, "end": 6.0, "type": "march"}],
        "clips": [{"start": 0.0, "end": 6.0, "objects": []}],
        "gold": [[1]],
        "scores": same([[1.0]]),
        "object_scores": [[[]]],
    }
    lost = calm | {
        "video_id": "lost0000001",
        "title": "Lost pictures",
        "sentences": ["A ship sank.", "A flood came."],
        "events": [{"start": 0.0, "end": 6.0, "type": None}],
        "gold": [[0, 1]],
        "scores": same([[0.4, 0.4]]),
        "object_scores": [[[], []]],
    }
    return {
        "task": "multimodal event coreference",
        "notes": ["Generated <b>notes</b>."],
        "system": "milo",
        "protocols": {
            "without_proposals": {"threshold": 0.4, "videos": [fire, calm, lost]},
            "with_proposals": {"threshold": 0.4, "videos": [fire, calm, lost | {"missed": 1}]},
        },
    }


def one(time: float, label: int | str) -> dict[str, Any]:
    return {"time": time, "box": [16.0, 12.0, 80.0, 60.0], "label": label, "score": 0.9}


def same(scores: list[list[float]]) -> dict[str, list[list[float]]]:
    return {kind: [list(row) for row in scores] for kind in ("combined", "global", "regional")}


def shown(count: int = 5, every: float = 3.0) -> Iterator[Frame]:
    """Frames of smooth colours, each of another brightness; frame i is i·every + 0.04 s."""
    across, down = np.meshgrid(np.linspace(0, 200, SIZE[0]), np.linspace(0, 200, SIZE[1]))
    for index in range(count):
        pixels = np.dstack([across, down, np.full_like(across, 50 * index)]).astype(np.uint8)
        yield Frame(index, every * index, every * index + 0.04, SIZE, pixels)


def work(folder: Path) -> Path:
    """A work folder: predictions.json, captions.json, stored frames of two videos and a ledger that says why not of `lost`."""
    files.write_json(folder / "predictions.json", predictions())
    said = [{"start": 0.0, "duration": 2.0, "text": "Good <b>evening</b>."}]
    about = {"url": "https://example.org/watch?v=fire0000001", "captions": said}
    files.write_json(folder / "captions.json", {"fire0000001": about, "calm0000001": {"url": "javascript:alert(1)"}})
    rows = []
    for video_id in ("calm0000001", "fire0000001"):
        artefact = f"frames/items/{video_id}.tar"
        (folder / artefact).parent.mkdir(parents=True, exist_ok=True)
        store(shown(), folder / artefact, Frames())
        rows.append(Row(video_id, OK, artefact=artefact))
    rows.append(Row("lost0000001", FAILED, "truncated", "the file ends at 3 s"))
    ledger.write(folder / "frames/0000.parquet", rows)
    return folder
