"""Tracks and peaks small enough to measure by hand → VQ2D's metrics; files that are none → one-line errors."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import evaluate, metrics, peak_metrics
from pipeline_lib.vq2d.evaluate import Metrics
from pipeline_lib.vq2d.tracks import NotContiguousError, Track, frame_ious, spatio_temporal_iou, temporal_iou

DATA = Path(__file__).parents[3] / "shared" / "data" / "vq2d"

Json = dict[str, Any]


def boxes(start: int, length: int, x: float = 0.0, size: float = 10.0) -> list[Json]:
    return [{"fno": i, "x1": x, "y1": 0.0, "x2": x + size, "y2": size} for i in range(start, start + length)]


def track(start: int, length: int, x: float = 0.0, score: float = 1.0, size: float = 10.0) -> Track:
    return Track.of(boxes(start, length, x, size), score)


GOLD = track(10, 4)  # frames 10..13, 100 px each: a volume of 400


@pytest.mark.parametrize(
    ("other", "temporal", "spatial", "frames"),
    [
        (track(10, 4), 1.0, 1.0, [1, 1, 1, 1]),
        (track(12, 4), 2 / 6, 200 / 600, [0, 0, 1, 1]),  # 12 and 13 of 10..15
        (track(8, 3), 1 / 6, 100 / 600, [1, 0, 0, 0]),
        (track(10, 4, x=5), 1.0, 200 / 600, [1 / 3] * 4),  # 50 of 150 px in each frame
        (track(10, 4, x=10), 1.0, 0.0, [0] * 4),  # they touch
        (track(14, 2), 0.0, 0.0, [0] * 4),
        (track(11, 1, size=20), 1 / 4, 100 / (400 + 400 - 100), [0, 100 / 400, 0, 0]),
        (track(0, 0), 0.0, 0.0, [0] * 4),
    ],
)
def test_overlaps(other: Track, temporal: float, spatial: float, frames: list[float]) -> None:
    assert temporal_iou(other, GOLD) == temporal_iou(GOLD, other) == pytest.approx(temporal)
    assert spatio_temporal_iou(other, GOLD) == spatio_temporal_iou(GOLD, other) == pytest.approx(spatial)
    assert frame_ious(GOLD, other) == pytest.approx(frames)


def test_areas_are_added_in_the_official_order() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        many = rng.uniform(0, 100, (40, 4)) + np.array([0, 0, 100, 100])
        tracks = Track(0, many), Track(10, many[::-1])
        volumes, both = [0.0, 0.0], 0.0
        for i, one in enumerate(tracks):
            for x1, y1, x2, y2 in one.boxes.tolist():
                volumes[i] += (x2 - x1) * (y2 - y1)
        for a, b in zip(tracks[0].boxes[10:].tolist(), tracks[1].boxes[:30].tolist(), strict=True):
            both += (min(a[2], b[2]) - max(a[0], b[0])) * (min(a[3], b[3]) - max(a[1], b[1]))
        assert spatio_temporal_iou(*tracks) == both / (volumes[0] + volumes[1] - both)


def test_tracks_without_area_overlap_nothing() -> None:
    flat = track(10, 4, size=0)
    assert spatio_temporal_iou(flat, flat) == 0.0
    assert frame_ious(flat, flat).tolist() == [0] * 4


def test_average_precision_by_hand() -> None:
    """Three queries, five predictions ranked 0.9 0.8 0.7 0.6 0.5.

    rank  query  overlap   at 0.25        precision  recall
    1     0      1         found          1          1/3
    2     1      0         no             1/2        1/3
    3     0      1         found already  1/3        1/3
    4     2      2/6       found          2/4        2/3
    5     1      1         found          3/5        3/3
    Each rise of recall counts the best precision from there on: 1/3 · (1 + 3/5 + 3/5) = 11/15.
    At 0.5 and above rank 4 is no hit: rank 5 has precision 2/5 and recall 2/3, so 1/3 · (1 + 2/5) = 7/15.
    """
    predicted = [
        [track(10, 4, score=0.9), track(10, 4, score=0.7)],
        [track(30, 4, score=0.8), track(10, 4, score=0.5)],
        [track(12, 4, score=0.6)],
    ]
    expected = pytest.approx([11 / 15, 7 / 15, 7 / 15, 7 / 15])
    assert metrics.average_precisions(predicted, [GOLD] * 3, temporal_iou) == expected
    assert metrics.average_precisions(predicted, [GOLD] * 3, spatio_temporal_iou) == expected
    found = metrics.measure(predicted, [GOLD] * 3, accessed=[50, 25, 100], total=[100, 100, 100])
    assert found["tAP"] == found["stAP"] == pytest.approx((11 + 7 + 7 + 7) / 60)
    # The best scored track of each query: whole, elsewhere, two of four frames (overlap 1/3).
    assert [found[f"success@{t}"] for t in ("0.05", "0.1", "0.2")] == pytest.approx([200 / 3] * 3)
    assert found["recovery@0.5"] == pytest.approx(100 * (4 + 0 + 2) / 12)
    assert found["search_efficiency"] == pytest.approx(100 * (0.5 + 0.75 + 0) / 3)


def test_recovery_counts_frames_not_queries() -> None:
    best = [track(0, 10), track(0, 1)]
    assert metrics.recovery(best, [track(0, 10), track(0, 30)], 0.5) == pytest.approx(100 * 11 / 40)
    assert metrics.recovery([track(10, 4, x=5)], [GOLD], 0.5) == 0.0  # 1/3 in every frame


def test_equal_scores_are_ranked_as_numpy_sorts_them_reversed() -> None:
    predicted = [[track(0, 1)] for _ in range(40)]
    order = np.ones(40).argsort()[::-1].tolist()
    assert [i for i, _ in metrics.ranked(predicted)] == order
    assert metrics.best_tracks([[track(0, 1), track(1, 1)], []])[1] is None


def test_queries_without_predictions_are_misses() -> None:
    found = metrics.measure([[track(10, 4)], []], [GOLD, GOLD])
    assert (found["tAP@0.95"], found["success@0.05"], found["recovery@0.95"]) == (0.5, 50.0, 50.0)
    assert "search_efficiency" not in found
    assert set(metrics.measure([[], []], [GOLD, GOLD]).values()) == {0.0}


@pytest.mark.parametrize("frames", [[3, 5], [3, 3, 5], [3, 3]])
def test_tracks_with_holes_are_refused(frames: list[int]) -> None:
    with pytest.raises(NotContiguousError, match="boxes are not on consecutive frames"):
        Track.of([boxes(i, 1)[0] for i in frames])


def test_tracks_may_come_in_any_order() -> None:
    assert Track.of(boxes(3, 5)[::-1]).start == 3


def kept(fno: int, score: float, x: float = 0.0) -> Json:
    return {**boxes(fno, 1, x)[0], "detection_score": score}


def test_peaks_by_hand() -> None:
    """Gold is 10..13 each time."""
    found = peak_metrics.measure(
        [
            [kept(2, 0.9), kept(11, 0.8, x=5)],  # hit by the last, not by the best one; overlap 1/3
            [kept(13, 0.9), kept(40, 0.8)],  # hit by the best, not by the last one; overlap 1
            [kept(9, 0.9), kept(14, 0.9)],  # a frame too early, a frame too late
            [],
        ],
        [GOLD] * 4,
    )
    assert found == {
        "recall": 50.0,
        "recall@0.25": 50.0,
        "recall@0.5": 25.0,
        "last_recall": 25.0,
        "top_recall": 25.0,
        "precision": pytest.approx(100 * 2 / 6),
        "boxes_per_query": 1.5,
    }


def annotation(uid: str, start: int = 10, length: int = 4) -> Json:
    track = [
        {"frame_number": i, "x": 0.0, "y": 0.0, "width": 10.0, "height": 10.0} for i in range(start, start + length)
    ]
    return {"dataset_uid": uid, "query_frame": 50, "response_track": track[::-1]}


def write(folder: Path, tracks: dict[str, Any], queries: list[Json]) -> dict[str, Path]:
    count = len(tracks)
    predictions = {"predicted_response_track": list(tracks.values()), "dataset_uids": list(tracks)}
    predictions |= {"accessed_frames": [25] * count, "total_frames": [50] * count}
    (folder / "p.json").write_text(json.dumps({"predictions": predictions, "metrics": {}}))
    (folder / "a.json").write_text(json.dumps(queries))
    return {"predictions": folder / "p.json", "annotations": folder / "a.json", "out": folder / "m.json"}


def test_evaluate_joins_by_uid_and_counts_what_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    holes = annotation("d")
    del holes["response_track"][1]
    tracks = {
        "b": {"bboxes": boxes(10, 4), "score": 0.5},
        "a": [{"bboxes": boxes(30, 1), "score": 1.0}],  # a list of candidates, as in the official file
        "e": {"bboxes": boxes(1, 1)},
        "d": {"bboxes": boxes(1, 1)},
    }
    paths = write(tmp_path, tracks, [annotation("a"), annotation("b"), annotation("c"), holes])
    (tmp_path / "objects.json").write_text('{"trained": false}')
    with caplog.at_level(logging.WARNING):
        evaluate.main(**paths, weights=[tmp_path / "objects.json"])
    result = json.loads((tmp_path / "m.json").read_text())
    assert (result["queries"], result["left_out"], result["missing"]) == (3, 1, 1)
    assert result["tracks"]["success@0.05"] == pytest.approx(100 / 3, abs=1e-6)
    assert result["tracks"]["tAP"] == pytest.approx(1 / 6, abs=1e-6)  # the hit is ranked second: 1/3 · 1/2
    assert result["tracks"]["search_efficiency"] == pytest.approx((50 + 50 + 0) / 3, abs=1e-6)
    assert result["peaks"]["recall"] == pytest.approx(100 / 3, abs=1e-6)
    assert result["notes"] == ["Untrained networks (objects): these numbers say nothing of real data."]
    assert "d is left out: of its gold track its 3 boxes are not on consecutive frames (10, 11, 13)" in caplog.text
    assert "1 annotated queries have no prediction" in caplog.text
    assert "1 predictions have no annotation" in caplog.text


def test_a_file_of_peaks_is_refused_with_the_way_out(tmp_path: Path) -> None:
    paths = write(tmp_path, {"a": {"bboxes": boxes(11, 1) + boxes(40, 1)}}, [annotation("a")])
    for wanted in (Metrics.BOTH, Metrics.TRACKS):
        with pytest.raises(
            UserError, match=r"a: its 2 boxes are not on consecutive frames \(11, 40\).*--metrics peaks"
        ):
            evaluate.main(**paths, wanted=wanted)
    evaluate.main(**paths, wanted=Metrics.PEAKS)
    result = json.loads((tmp_path / "m.json").read_text())
    assert result["peaks"]["recall"] == 100.0
    assert "tracks" not in result


def test_files_of_another_kind_are_named(tmp_path: Path) -> None:
    paths = write(tmp_path, {"a": {"bboxes": boxes(11, 1)}}, [annotation("b")])
    (tmp_path / "c.json").write_text('{"results": {"videos": []}}')
    with pytest.raises(UserError, match=r"c\.json is no val file"):
        evaluate.main(**{**paths, "predictions": tmp_path / "c.json"})
    with pytest.raises(UserError, match=r"p\.json is no list of queries"):
        evaluate.main(**{**paths, "annotations": tmp_path / "p.json"})
    (tmp_path / "a.json").write_text('[{"dataset_uid": "a"}]')
    with pytest.raises(UserError, match=r"wrong or missing entry: 'response_track'"):
        evaluate.main(**paths)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(UserError, match="no query has both"):
        evaluate.main(**paths)


def test_wrong_entries_are_named(tmp_path: Path) -> None:
    paths = write(tmp_path, {"a": {"bboxes": boxes(10, 4)}}, [annotation("a")])
    whole = json.loads(paths["predictions"].read_text())
    for key, value in (
        ("accessed_frames", []),
        ("predicted_response_track", ["a"]),
        ("predicted_response_track", [{"bboxes": boxes(10, 4, x=1e308)}]),
    ):
        paths["predictions"].write_text(json.dumps({"predictions": {**whole["predictions"], key: value}}))
        with pytest.raises(UserError, match="has a wrong or missing entry"):
            evaluate.main(**paths)
    twice = {key: value * 2 for key, value in whole["predictions"].items()}
    paths["predictions"].write_text(json.dumps({"predictions": twice}))
    with pytest.raises(UserError, match="query a is there twice"):
        evaluate.main(**paths)


@pytest.mark.skipif(not DATA.exists(), reason="the published peak file is not here")
def test_the_published_peaks(tmp_path: Path) -> None:
    paths = {"predictions": DATA / "vq2d_val_vq3d_peak_clip.json", "annotations": DATA / "val_annot_vq3d.json"}
    evaluate.main(**paths, out=tmp_path / "m.json", wanted=Metrics.PEAKS)
    found = json.loads((tmp_path / "m.json").read_text())
    # 169 of 228 queries have a kept frame in the gold track; counted by the three lines below.
    predictions = json.loads(paths["predictions"].read_text())["predictions"]
    spans = [[box["fno"] for box in track["bboxes"]] for track in predictions["ground_truth_response_track"]]
    frames = [[box["fno"] for box in track["bboxes"]] for track in predictions["predicted_response_track"]]
    hits = sum(bool(set(gold) & set(ours)) for gold, ours in zip(spans, frames, strict=True))
    assert (hits, found["peaks"]["recall"]) == (169, pytest.approx(100 * 169 / 228, abs=1e-6))
    assert found["peaks"]["boxes_per_query"] == pytest.approx(2783 / 228, abs=1e-6)
