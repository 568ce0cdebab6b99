"""Items and MILO's scores → entries of predictions.json: clips, their objects, their scores with every sentence."""

from typing import Any

import numpy as np

from pipeline_lib.coref.evaluation_items import Item
from pipeline_lib.coref.inputs import Inputs
from pipeline_lib.coref.scoring import Scores

_DIGITS = 6


def entry(inputs: Inputs, split: str, item: Item, scores: Scores) -> dict[str, Any]:
    """One video: seconds throughout, boxes x1 y1 x2 y2 in pixels of the video; matrices are clips × sentences.

    Scores are written in full: rounded, one that is close to the threshold would come to lie on its other side.
    """
    assert scores.by_object is not None
    return {
        "video_id": item.video_id,
        "split": split,
        "title": inputs.captions[item.video_id].get("title") or item.video_id,
        "duration": inputs.annotations[item.video_id]["duration"],
        "sentences": item.sentences,
        "events": [{"start": e["start"], "end": e["end"], "type": e.get("type") or None} for e in item.events],
        "clips": [
            {"start": float(start), "end": float(end), "objects": _objects(inputs, item.video_id, chosen)}
            for (start, end), chosen in zip(item.intervals, item.chosen, strict=True)
        ],
        "missed": item.missed,
        "gold": item.labels.astype(int).tolist(),
        "scores": {kind: values.tolist() for kind, values in scores.by_kind.items()},
        "object_scores": [
            _rounded(values[:, : len(chosen)]) for values, chosen in zip(scores.by_object, item.chosen, strict=True)
        ],
    }


def _objects(inputs: Inputs, video_id: str, chosen: list[tuple[int, int]]) -> list[dict[str, Any]]:
    found = inputs.objects(video_id)
    return [
        {
            "time": inputs.time(row[0]),
            "box": [round(float(edge), 1) for edge in found.boxes[row]],
            "label": found.labels[row].item(),
            "score": round(float(found.scores[row]), _DIGITS),
        }
        for row in chosen
    ]


def _rounded(values: np.ndarray) -> list[Any]:
    rounded: list[Any] = np.round(values, _DIGITS).tolist()
    return rounded
