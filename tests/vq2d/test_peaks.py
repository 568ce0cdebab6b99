"""Scripted score signals → peaks worked out by hand, in both schemas; the published file, random signals → properties of them."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.config.vq2d_peaks import Peaks
from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import detections, peak_files, peaks
from pipeline_lib.vq2d.detections import QueryDetections
from pipeline_lib.vq2d.peak_files import Schema
from pipeline_lib.vq2d.peaks import Mode

DATA = Path(__file__).parents[3] / "shared" / "data" / "vq2d"
CROP = {
    "frame_number": 90,
    "x": 1.0,
    "y": 2.0,
    "width": 3.0,
    "height": 4.0,
    "original_width": 64,
    "original_height": 48,
}
TRACK = [
    {"frame_number": 41, "x": 2.9, "y": -0.5, "width": 3.2, "height": 4.0},
    {"frame_number": 40, "x": 1.0, "y": 2.0, "width": 3.9, "height": 4.9},
]

Json = dict[str, Any]


def query(signal: Sequence[float], uid: str | Json = "val_0000000000", **more: Any) -> QueryDetections:
    """A detector that finds two boxes per frame, the second one half as good; none where the signal is 0."""
    empty = np.empty((0, 4), dtype=int)
    boxes = [np.array([[i, 2 * i, i + 10, 2 * i + 20], [0, 0, 9, 9]]) if s else empty for i, s in enumerate(signal)]
    scores = [np.array([s, s / 2]) if s else np.empty(0) for s in signal]
    fields = {"query_frame": len(signal), "response_track": TRACK, **more}
    return QueryDetections(uid, "c1", visual_crop=CROP, boxes=boxes, scores=scores, **fields)


def scripted() -> list[float]:
    """80 frames of 0.125 with three bumps and a spike.

    frames  7..13   0.5   7 wide: a peak at the middle of its plateau, 10
            33..37  0.75, but 0.875 at 35: the median filter makes it 0.75 all over; a peak at 35, just 25 frames after 10
            50..54  0.625: a peak at 52, 17 frames after 35 and lower than it: it gives way
            70      1.0   alone: the median of 5 frames takes it away
    """
    signal = [0.125] * 80
    signal[7:14] = [0.5] * 7
    signal[33:38] = [0.75, 0.75, 0.875, 0.75, 0.75]
    signal[50:55] = [0.625] * 5
    signal[70] = 1.0
    return signal


def run(tmp_path: Path, queries: Sequence[QueryDetections], **options: Any) -> Any:
    detections.write(tmp_path / "d.json", queries)
    peaks.main(tmp_path / "d.json", tmp_path / "p.json", **options)
    return json.loads((tmp_path / "p.json").read_text())


def entry(fno: int, clip_score: float, score: float) -> Json:
    """The first box of a frame as `query` makes it."""
    corners = {"x1": fno, "x2": fno + 10, "y1": 2 * fno, "y2": 2 * fno + 20}
    return {"fno": fno, **corners, "clip_score": clip_score, "detection_score": score}


def test_the_scripted_signal_is_smoothed_and_searched_as_by_hand() -> None:
    found = peaks.find(query(scripted()), Peaks())
    # The ends are padded with two zeros: 0 0 0.125 0.125 0.125 has the median 0.125, so nothing changes there.
    expected = np.full(80, 0.125)
    expected[7:14], expected[33:38], expected[50:55] = 0.5, 0.75, 0.625
    np.testing.assert_array_equal(found.smoothed, expected)
    assert found.signal.tolist() == scripted()
    assert (found.peaks.tolist(), found.kept, found.is_fall_back) == ([10, 35], [10, 35], False)
    # 35 is higher than 10 and 52; with less distance 52 comes back, with more 10 goes.
    assert peaks.find(query(scripted()), Peaks(distance=17)).kept == [10, 35, 52]
    assert peaks.find(query(scripted()), Peaks(distance=18)).kept == [10, 35]
    assert peaks.find(query(scripted()), Peaks(distance=26)).kept == [35]
    # Heights above 0.125: 0.375 and 0.625.
    assert peaks.find(query(scripted()), Peaks(prominence=0.376)).kept == [35]
    # At half their height plateaus begin and end half a frame outside: 13.5 - 6.5 = 7 frames and 37.5 - 32.5 = 5.
    assert peaks.find(query(scripted()), Peaks(width=5.5)).kept == [10]
    assert peaks.find(query(scripted()), Peaks(peak_similarity_thresh=0.75)).kept == [35]
    # Within three frames of its middle the plateau at 10 has no foot, the narrower one at 35 has.
    assert peaks.find(query(scripted()), Peaks(wlen=7)).kept == [35]
    # A filter of 2 is one of 3; the spike of one frame goes, 35 becomes 0.75 as well.
    assert peaks.find(query(scripted()), Peaks(smoothing_sigma=2)).kept == [10, 35]
    # Unsmoothed, the spike is 1 wide: too narrow for width 3, but not for 1; 52 is 18 frames before it.
    assert peaks.find(query(scripted()), Peaks(smoothing_sigma=1, width=1)).kept == [10, 35, 70]


def test_every_field_of_the_val_file_equals_the_hand_worked_answer(tmp_path: Path) -> None:
    similarity: list[float | None] = [0.0] * 80
    # Shares e^(100·0.30) : e^(100·0.31) = 1 : e, that is 0.26894142 and 0.73105858. In float16 numbers from 1/4 to 1/2 are
    # 1/4096 apart, 0.26894142 · 4096 = 1101.58 -> 1102/4096; from 1/2 to 1 1/2048, 0.73105858 · 2048 = 1497.21 -> 1497/2048.
    similarity[10], similarity[35] = 0.30, 0.31
    second = query([0.125] * 3, "val_0000000001", query_frame=7, response_track=[TRACK[0]])
    content = run(tmp_path, [query(scripted(), clip_similarity=similarity), second], mode=Mode.ALL)
    third = 1365 / 4096  # 1/3 in float16: 1/3 · 4096 = 1365.33
    gold = [
        {"fno": 40, "x1": 1, "x2": 4, "y1": 2, "y2": 6},  # 4.9 and 6.9, cut
        {"fno": 41, "x1": 2, "x2": 6, "y1": 0, "y2": 3},  # -0.5 is cut to 0; 6.1, 3.5
    ]
    assert content == {
        "predictions": {
            "predicted_response_track": [
                {"bboxes": [entry(10, 1102 / 4096, 0.5), entry(35, 1497 / 2048, 0.875)]},
                {"bboxes": [entry(0, third, 0.125), entry(1, third, 0.125), entry(2, third, 0.125)]},
            ],
            "ground_truth_response_track": [{"bboxes": gold, "score": None}, {"bboxes": gold[1:], "score": None}],
            "visual_crop": [CROP, CROP],
            "dataset_uids": ["val_0000000000", "val_0000000001"],
            "accessed_frames": [80, 3],
            "total_frames": [80, 7],
        },
        "metrics": {},
    }
    assert list(content["predictions"]["predicted_response_track"][0]["bboxes"][0]) == list(entry(0, 0, 0))


def test_the_last_peak_and_its_fall_back(tmp_path: Path) -> None:
    queries = [query(scripted()), query([0.25, 0.25, 0.0], "val_0000000001"), query([0.0] * 3, "val_0000000002")]
    tracks = run(tmp_path, queries, mode=Mode.LAST)["predictions"]["predicted_response_track"]
    assert tracks == [
        {"bboxes": [entry(35, 1.0, 0.875)], "score": 1.0},
        {"bboxes": [entry(1, 1.0, 0.25)], "score": 1.0},  # the last frame that has a box
        {"bboxes": [], "score": 0.0},
    ]
    thresholded = run(tmp_path, queries[:1], mode=Mode.LAST, options='{"peak_similarity_thresh": 0.8}')
    assert thresholded["predictions"]["predicted_response_track"][0]["bboxes"][0]["fno"] == 79


def test_the_challenge_schema_keeps_the_order_of_annotations(tmp_path: Path) -> None:
    def place(annotation: str, set_id: str) -> Json:
        return {"metadata": {"video_uid": "v1", "query_set": set_id, "annotation_uid": annotation}, "clip_uid": "c1"}

    queries = [
        query(scripted(), place(a, s), metadata=place(a, s)["metadata"], response_track=None)
        for a, s in (("a1", "2"), ("a1", "1"), ("a2", "1"))
    ]
    boxes = {"bboxes": [entry(10, 0.5, 0.5), entry(35, 0.5, 0.875)]}
    clip = {
        "clip_uid": "c1",
        "predictions": [
            {"query_sets": {"2": boxes, "1": boxes}, "annotation_uid": "a1"},
            {"query_sets": {"1": boxes}, "annotation_uid": "a2"},
        ],
    }
    head = {"version": "1.0", "challenge": "ego4d_vq2d_challenge"}
    content = run(tmp_path, queries)
    assert content == {**head, "results": {"videos": [{"video_uid": "v1", "clips": [clip]}]}}
    assert list(content["results"]["videos"][0]["clips"][0]["predictions"][0]["query_sets"]) == ["2", "1"]
    annotated = {
        "version": "1",
        "videos": [
            {"video_uid": "v0", "clips": []},
            {
                "video_uid": "v1",
                "clips": [
                    {
                        "clip_uid": "c1",
                        "annotations": [
                            {"annotation_uid": "a0", "query_sets": {"1": {"is_valid": False}}},
                            {"annotation_uid": "a2", "query_sets": {"1": {"is_valid": True}, "3": {"is_valid": True}}},
                        ],
                    }
                ],
            },
        ],
    }
    (tmp_path / "test.json").write_text(json.dumps(annotated))
    last = {"bboxes": [entry(35, 1.0, 0.875)], "score": 1.0}
    clip["predictions"] = [
        {"query_sets": {}, "annotation_uid": "a0"},
        {"query_sets": {"1": last, "3": {"bboxes": [], "score": 0.0}}, "annotation_uid": "a2"},
    ]
    assert run(tmp_path, queries, mode=Mode.LAST, annotations=tmp_path / "test.json") == {
        "version": "1",
        "challenge": "ego4d_vq2d_challenge",
        "results": {"videos": [{"video_uid": "v0", "clips": []}, {"video_uid": "v1", "clips": [clip]}]},
    }


def test_queries_without_detections_keep_their_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["val_0000000000", "val_0000000001"]
    wanted = [{"dataset_uid": n, "query_frame": 9, "visual_crop": CROP, "response_track": TRACK} for n in names]
    (tmp_path / "a.json").write_text(json.dumps(wanted))
    with caplog.at_level(logging.WARNING):
        found = run(tmp_path, [query(scripted(), names[1]), query([1.0], "val_7")], annotations=tmp_path / "a.json")
    predictions = found["predictions"]
    assert predictions["dataset_uids"] == names
    assert [[b["fno"] for b in t["bboxes"]] for t in predictions["predicted_response_track"]] == [[], [10, 35]]
    assert (predictions["accessed_frames"], predictions["total_frames"]) == ([0, 80], [9, 9])
    assert "1 queries have no detections and get empty lists: val_0000000000" in caplog.text
    assert "1 queries with detections are not in the annotations and are left out: val_7" in caplog.text


def test_short_windows_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        run(tmp_path, [query([0.5] * 4, query_frame=9), query([], "val_1", query_frame=3), query([0.5] * 2, "val_2")])
    assert "val_0000000000: searched to frame 3 of 8 only" in caplog.text
    assert "val_1: no frame has a box; its list is empty" in caplog.text
    assert "val_2" not in caplog.text
    shown = capsys.readouterr().out
    assert shown == "# queries    : 3\n# boxes kept : 6\n# fall-backs : 3 without a peak\n# empty      : 1\n"


def test_a_subsampled_window_gives_frame_numbers_of_the_clip() -> None:
    kept = peaks.keep(query(scripted(), frames=list(range(100, 260, 2)), query_frame=260), Peaks())
    assert [box.fno for box in kept.boxes] == [120, 170]
    assert kept.searched == 80


def test_the_best_box_is_kept_wherever_it_stands() -> None:
    boxes, scores = [np.array([[1, 1, 2, 2], [3, 3, 4, 4]])], [np.array([0.25, 0.75])]
    (kept,) = peaks.keep(QueryDetections("a", "c", 1, CROP, boxes, scores), Peaks()).boxes
    assert (kept.x1, kept.x2, kept.detection_score) == (3, 4, 0.75)


def test_a_peak_without_a_box_takes_the_nearest_one() -> None:
    signal = [0.125] * 11
    signal[3:8] = [
        0.5,
        0.5,
        0.0,
        0.5,
        0.5,
    ]  # smoothed: 0.5 from 3 to 7, peak at 5, which has no box; 4 and 6 are as near
    found = peaks.find(query(signal), Peaks())
    assert (found.peaks.tolist(), found.kept) == ([5], [4])


@pytest.mark.parametrize(
    ("values", "smoothed"),
    [
        ([], []),
        ([0.9], [0.0]),  # 0 0 0.9 0 0
        ([0.3, 0.9, 0.6], [0.3, 0.3, 0.3]),  # 0 0 .3 .9 .6 | 0 .3 .9 .6 0 | .3 .9 .6 0 0
        ([0.9, 0.7, 0.8, 0.6, 0.5], [0.7, 0.7, 0.7, 0.6, 0.5]),  # first: least of three; second: second least of four
    ],
)
def test_ends_are_padded_with_zeros(values: list[float], smoothed: list[float]) -> None:
    assert peaks.smooth(np.array(values), 5).tolist() == smoothed


def test_signals_without_a_peak_keep_every_frame() -> None:
    for flat in ([0.5] * 30, [i / 30 + 0.01 for i in range(30)], [0.1] * 15 + [0.9] * 15):
        found = peaks.find(query(flat), Peaks())
        assert (found.kept, found.is_fall_back) == (list(range(30)), True)


def test_clip_scores() -> None:
    assert peaks.clip_scores(None, [4, 7], 100) == [0.5, 0.5]
    assert peaks.clip_scores([None, None], [0, 1], 100) == [0.5, 0.5]
    assert peaks.clip_scores([0.25, None, 0.25], [0, 1, 2], 100) == [0.5, 0.0, 0.5]
    assert peaks.clip_scores([0.5, 0.0], [0, 1], 1000) == [1.0, 0.0]
    assert peaks.clip_scores(None, [], 100) == []


def test_wrong_options_and_schemas_are_named(tmp_path: Path) -> None:
    for changed, message in (
        ({"options": '{"distance": 0}'}, "distance = 0"),
        ({"prominence": -1.0}, "prominence = -1"),
        ({"options": '{"sigma": 3}'}, "sigma: no such key"),
        ({"schema": Schema.TEST}, "has no metadata with an annotation_uid; use --schema val"),
    ):
        with pytest.raises(UserError, match=message):
            run(tmp_path, [query(scripted())], **changed)
    test = query(scripted(), {"metadata": {"annotation_uid": "a", "query_set": "1"}}, metadata={"annotation_uid": "a"})
    with pytest.raises(UserError, match=r"query a/1 has no dataset_uid of its own.*use --schema test"):
        run(tmp_path, [test], schema=Schema.VAL)
    with pytest.raises(UserError, match="say --schema val or --schema test"):
        run(tmp_path, [])
    assert run(tmp_path, [], schema=Schema.TEST)["results"] == {"videos": []}


def test_what_is_wrong_with_annotations_is_one_line(tmp_path: Path) -> None:
    good = {"dataset_uid": "val_0000000000", "query_frame": 80, "visual_crop": CROP, "response_track": TRACK}
    box = {key: value for key, value in TRACK[0].items() if key != "width"}
    for changed, message in (
        ([{**good, "response_track": [box]}], "a.json: a query has no 'width'; give val_annot"),
        ([{**good, "response_track": [{**TRACK[0], "x": "left"}]}], "a.json: a query is malformed .*; give val_annot"),
        ([{key: value for key, value in good.items() if key != "dataset_uid"}], "a query has no 'dataset_uid'; give"),
        ([good, good], "query val_0000000000 is there twice"),
    ):
        (tmp_path / "a.json").write_text(json.dumps(changed))
        with pytest.raises(UserError, match=message):
            run(tmp_path, [query(scripted())], annotations=tmp_path / "a.json")
    with pytest.raises(UserError, match="query val_0000000000 is there twice"):
        run(tmp_path, [query(scripted()), query(scripted())])
    with pytest.raises(UserError, match="the detections: a query has no 'x'; make the detections again"):
        run(tmp_path, [query(scripted(), response_track=[{"frame_number": 2}])])


def check(frames: list[int], query_frame: int, clip_scores: list[float]) -> None:
    """What holds for every query of the published file."""
    assert frames == sorted(set(frames))
    assert frames[-1] <= query_frame - 1
    gaps = np.diff(frames)
    assert (gaps >= 25).all() or frames == list(range(query_frame))
    # Each share is off by at most half a float16's spacing: 2^-12 of it, or 2^-25 if it is tiny.
    assert abs(sum(clip_scores) - 1) <= 2**-11 + len(frames) * 2**-25
    assert all(float(np.float16(score)) == score for score in clip_scores)


@given(st.data())
def test_properties_hold_for_random_signals(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 400))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    steps = np.repeat(rng.uniform(0.01, 1, length), rng.integers(1, 40, length))[:length]
    values = np.clip(steps + rng.normal(0, data.draw(st.sampled_from([0, 0.05, 0.5])), length), 0.01, 1)
    similarity = rng.uniform(-0.2, 0.4, length).tolist()
    kept = peaks.keep(query(values.tolist(), clip_similarity=similarity), Peaks())
    check([box.fno for box in kept.boxes], length, [box.clip_score for box in kept.boxes])
    assert [box.detection_score for box in kept.boxes] == [values[box.fno] for box in kept.boxes]
    assert kept.is_fall_back == (len(kept.boxes) == length)
    last = peaks.keep(query(values.tolist()), Peaks(mode="last"))
    assert [box.fno for box in last.boxes] == [kept.boxes[-1].fno]


@pytest.mark.skipif(not DATA.exists(), reason="the published peak file is not here")
def test_properties_hold_for_the_published_file() -> None:
    predictions = json.loads((DATA / "vq2d_val_vq3d_peak_clip.json").read_text())["predictions"]
    tracks = [track["bboxes"] for track in predictions["predicted_response_track"]]
    for boxes, query_frame in zip(tracks, predictions["accessed_frames"], strict=True):
        check([box["fno"] for box in boxes], query_frame, [box["clip_score"] for box in boxes])
    assert predictions["accessed_frames"] == predictions["total_frames"]


@pytest.mark.skipif(not DATA.exists(), reason="the published peak file is not here")
def test_all_but_the_detections_of_the_published_file_comes_out(tmp_path: Path) -> None:
    """Detections that have the published boxes and scores, each for seven frames, give the published file."""
    annotations = json.loads((DATA / "val_annot_vq3d.json").read_text())
    published = json.loads((DATA / "vq2d_val_vq3d_peak_clip.json").read_text())
    found, possible = [], []
    for annotation, track in zip(annotations, published["predictions"]["predicted_response_track"], strict=True):
        frames = annotation["query_frame"]
        is_fall_back = len(track["bboxes"]) == frames
        boxes, scores = [np.empty((0, 4), dtype=int)] * frames, [np.empty(0)] * frames
        similarity: list[float | None] = [None] * frames
        for box in track["bboxes"]:
            fno = box["fno"]
            similarity[fno] = float(np.log(max(box["clip_score"], 1e-12))) / 100
            for near in [fno] if is_fall_back else range(max(fno - 3, 0), min(fno + 4, frames)):
                boxes[near] = np.array([[box[edge] for edge in ("x1", "y1", "x2", "y2")]])
                scores[near] = np.array([box["detection_score"]])
        more = {key: annotation[key] for key in ("clip_uid", "query_frame", "visual_crop", "response_track")}
        one = QueryDetections(annotation["dataset_uid"], boxes=boxes, scores=scores, clip_similarity=similarity, **more)
        found.append(peaks.keep(one, Peaks(prominence=0.2 if is_fall_back else 0.0)))
        # A bump that touches an end is no peak.
        possible.append(is_fall_back or all(3 < box["fno"] < frames - 4 for box in track["bboxes"]))
    ours = peak_files.content(found, Schema.VAL, "all")
    tracks = ours["predictions"].pop("predicted_response_track")
    expected = published["predictions"].pop("predicted_response_track")
    assert ours == published
    assert sum(possible) > 200
    for one_track, other, is_possible in zip(tracks, expected, possible, strict=True):
        for box, published_box in zip(one_track["bboxes"], other["bboxes"], strict=True) if is_possible else ():
            assert box.pop("clip_score") == pytest.approx(published_box.pop("clip_score"), abs=2**-11)
            assert box == published_box
