"""Detections → the official intermediate JSON and back; files of other writers; damaged files."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import detections, json_files
from pipeline_lib.vq2d.detections import QueryDetections

CROP = {"frame_number": 7, "x": 1.5, "y": 2.0, "width": 10.0, "height": 20.0}
TRACK = [{"frame_number": 2, "x": 0.0}, {"frame_number": 1, "x": 1.0}]
BOXES = [np.array([[1, 2, 3, 4], [5, 6, 7, 8]]), np.empty((0, 4), dtype=int), np.array([[9, 10, 11, 12]])]
SCORES = [np.array([0.75, 0.5], dtype=np.float32), np.empty(0), np.array([0.1], dtype=np.float32)]


def val(uid: str = "val_0000000000", **more: object) -> QueryDetections:
    return QueryDetections(uid, "clip", 3, CROP, BOXES, SCORES, response_track=TRACK, **more)  # type: ignore[arg-type]


def box(fno: int, x1: int, y1: int, x2: int, y2: int) -> dict[str, int]:
    return {"fno": fno, "x1": x1, "x2": x2, "y1": y1, "y2": y2}


def test_bytes_are_those_of_json_dump_in_the_official_order(tmp_path: Path) -> None:
    expected = {
        "dataset_uids": ["val_0000000000", "val_0000000001"],
        "dataset_predictions": [
            {
                "top_boxes_per_clip": [[box(0, 1, 2, 3, 4), box(0, 5, 6, 7, 8)], [], [box(2, 9, 10, 11, 12)]],
                "top_scores_per_clip": [[0.75, 0.5], [], [float(np.float32(0.1))]],
                "clip_uid": "clip",
                "query_frame": 3,
                "visual_crop": CROP,
                "visual_crop_fno": 7,
                "response_track": TRACK[::-1],
            }
        ]
        * 2,
    }
    assert detections.write(tmp_path / "d.json", iter([val(), val("val_0000000001")])) == 2
    assert (tmp_path / "d.json").read_text() == json.dumps(expected)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    annotation = {"metadata": {"annotation_uid": "a", "query_set": "2"}, "clip_uid": "clip"}
    test = QueryDetections(
        annotation,
        "clip",
        9,
        CROP,
        BOXES,
        SCORES,
        metadata=annotation["metadata"],  # type: ignore[arg-type]
        frames=[2, 5, 8],
        clip_similarity=[0.25, None, -1.0],
    )
    detections.write(tmp_path / "d.json.gz", [val(), test])
    first, second = detections.read(tmp_path / "d.json.gz")
    assert (first.dataset_uid, first.response_track, first.metadata) == ("val_0000000000", TRACK[::-1], None)
    assert first.frame_numbers.tolist() == [0, 1, 2]
    assert first.clip_similarity is None
    assert (second.dataset_uid, second.uid, second.visual_crop_fno) == (annotation, "a/2", 7)
    assert second.frame_numbers.tolist() == [2, 5, 8]
    assert second.clip_similarity == [0.25, None, -1.0]
    for ours, read in ((BOXES, second.boxes), (SCORES, second.scores)):
        for one, other in zip(ours, read, strict=True):
            np.testing.assert_array_equal(one, other)
    detections.write(tmp_path / "again.json.gz", detections.read(tmp_path / "d.json.gz"))
    assert (tmp_path / "again.json.gz").read_bytes() == (tmp_path / "d.json.gz").read_bytes()


def test_empty_files_and_keys_in_another_order(tmp_path: Path) -> None:
    assert detections.write(tmp_path / "none.json", []) == 0
    assert list(detections.read(tmp_path / "none.json")) == []
    detections.write(tmp_path / "d.json", [val()])
    value = json.loads((tmp_path / "d.json").read_text())
    (tmp_path / "d.json").write_text(
        json.dumps({"extra": [{"a": 1}], "n": 12, **dict(reversed(value.items()))}, indent=3)
    )
    assert [q.uid for q in detections.read(tmp_path / "d.json")] == ["val_0000000000"]


def test_frame_numbers_of_a_subsampled_file_come_from_its_boxes(tmp_path: Path) -> None:
    detections.write(tmp_path / "d.json", [val(frames=[2, 5, 8])])
    value = json.loads((tmp_path / "d.json").read_text())
    del value["dataset_predictions"][0]["search_frames"]
    (tmp_path / "d.json").write_text(json.dumps(value))
    (query,) = detections.read(tmp_path / "d.json")
    assert query.frame_numbers.tolist() == [2, 5, 8]  # 5 lies between the two that have boxes


def test_elements_are_read_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "_CHUNK", 1)
    (tmp_path / "x.json").write_text('{"first": 12, "x": [ 1234, "a\\"]", {"b": [1, 2]} , [], -5]}')
    assert list(json_files.elements(tmp_path / "x.json", "x")) == [1234, 'a"]', {"b": [1, 2]}, [], -5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"no '\{' at character 0"),
        (b"{}", "has no key 'dataset_uids'; this is no detection file"),
        (b'[{"query_frame": 5}]', "is a list, .*; this is no detection file"),
        (b'{"dataset_uids": 3}', "dataset_uids is not an array"),
        (b'{"dataset_uids": ["a"', r"no ',' at character 21"),
        (b'{"dataset_uids": ["a"], "dataset_predictions": [{"top', "not valid JSON .*at character"),
        (b'{"dataset_uids": ["a"], "dataset_predictions": []}', "has 1 dataset_uids but not as many"),
        (b'{"dataset_uids": ["a"], "dataset_predictions": [{}]}', "prediction 0 has no 'top_boxes_per_clip'"),
        (b'{"dataset_uids": ["a"], "dataset_predictions": [7]}', "prediction 0: "),
        (gzip.compress(b'{"dataset_uids": []}', mtime=0)[:-9], "is damaged"),
        (gzip.compress(b'{"dataset_uids": []}', mtime=0)[:10] + b"\xff" * 30, "is damaged"),
        (b'{"dataset_uids": ["\xff"]}', "is damaged"),
        (b'{"dataset_uids": [' + b"[" * 10**5, "is not valid JSON"),
        (b'{"dataset_uids": [' + b"1" * 5000 + b"]}", "is not valid JSON"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "d.json").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        list(detections.read(tmp_path / "d.json"))
    assert str(tmp_path / "d.json") in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"visual_crop": {}}, "prediction 0 has no 'frame_number'"),
        ({"response_track": [3]}, "prediction 0: .*make the file again"),
        ({"top_boxes_per_clip": [[{**box(0, 1, 2, 3, 4), "x2": 10**30}]], "top_scores_per_clip": [[1.0]]}, "too large"),
        ({"search_frames": [None, 1, 2]}, "prediction 0: "),
    ],
)
def test_wrong_entries_are_named(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    detections.write(tmp_path / "d.json", [val()])
    value = json.loads((tmp_path / "d.json").read_text())
    value["dataset_predictions"][0] |= changed
    (tmp_path / "d.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=message):
        list(detections.read(tmp_path / "d.json"))


@pytest.mark.parametrize("content", ["[NaN]", "[-Infinity]", "[1e999]", "[" * 10**5, "1" * 5000])
def test_what_json_does_not_have_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=r"x\.json is not valid JSON"):
        json_files.read(tmp_path / "x.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"d\.json does not exist"):
        list(detections.read(tmp_path / "d.json"))
    with pytest.raises(UserError, match="is a folder"):
        list(detections.read(tmp_path))


def test_a_query_that_contradicts_itself_is_refused() -> None:
    for changed, message in (
        ({"scores": SCORES[:2]}, "boxes of 3 frames, scores of 2"),
        ({"scores": [SCORES[0], SCORES[0], SCORES[2]]}, r"frame 1: boxes \(0, 4\) and scores \(2,\)"),
        ({"scores": [np.array([np.nan, 0]), *SCORES[1:]]}, "frame 0: a score is not finite"),
        ({"frames": [1]}, "frames has 1 entries for 3 frames"),
        ({"frames": [4, 2, 3]}, "frames are not ascending"),
        ({"frames": [0, 1, "a"]}, "invalid literal"),
        ({"clip_similarity": [1.0, None, np.inf]}, "clip_similarity is not finite"),
    ):
        fields = {"boxes": BOXES, "scores": SCORES, **changed}
        with pytest.raises(ValueError, match=message):
            QueryDetections("a", "clip", 3, CROP, **fields)  # type: ignore[arg-type]


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    detections.write(tmp_path / "d.json", [val()])
    before = (tmp_path / "d.json").read_bytes()

    def broken() -> Iterator[QueryDetections]:
        yield val("val_0000000009")
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        detections.write(tmp_path / "d.json", broken())
    assert (tmp_path / "d.json").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["d.json"]
