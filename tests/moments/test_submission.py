"""Predictions files: what is written is read back, malformed lines are named, and post-processing is MESM's."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import submission
from pipeline_lib.moments.submission import Prediction, finish


def line(**changes: object) -> str:
    values = {"qid": 1, "query": "a dog", "vid": "v", "pred_relevant_windows": [[0, 2, 0.5]]}
    return json.dumps({**values, **changes})


def test_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    windows = np.array([[0.0, 4.0, 0.9], [6.0, 8.0, 0.1]])
    submission.write(
        path,
        [
            Prediction(7, "a \u2028 dog 'née'", "v_1", windows, np.array([0.25, -1.5])),
            Prediction(8, "", "v", windows[:0]),
        ],
    )
    first, second = submission.read(path)
    assert (first.qid, first.query, first.vid) == (7, "a \u2028 dog 'née'", "v_1")
    np.testing.assert_array_equal(first.windows, windows)
    np.testing.assert_array_equal(first.saliency, [0.25, -1.5])
    assert second.windows.shape == (0, 3) and second.saliency is None
    content = [json.loads(one) for one in path.read_text().split("\n") if one]
    assert content[0]["pred_relevant_windows"] == [[0.0, 4.0, 0.9], [6.0, 8.0, 0.1]]
    assert "pred_saliency_scores" not in content[-1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 2: not valid JSON"),
        ("[" * 100_000, "line 2: brackets too deep"),
        ("[]", "line 2: no object"),
        (line(qid=None), "line 2: qid = None"),
        (line(qid=0), "line 2: qid 0 stands in line 1 already; expected each qid once"),
        (line(pred_relevant_windows=[[0, 1]]), "line 2: pred_relevant_windows.0.2 is missing"),
        (line(pred_relevant_windows=[[0, 1, float("nan")]]), "line 2: pred_relevant_windows.0.2 = nan"),
        (line(pred_relevant_windows=[[0, float("inf"), 1]]), "line 2: pred_relevant_windows.0.1 = inf"),
        (
            line(pred_relevant_windows=[[0, 1, 1], [9, 5, 1]]),
            "line 2: qid 1: window 2 starts at 9 s, after its end at 5 s",
        ),
        (line(pred_saliency_scores=[0.5, float("nan")]), "line 2: pred_saliency_scores.1 = nan"),
        ('{"qid": 1}', "line 2: pred_relevant_windows is missing"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text(f"{line(qid=0)}\n{content}\n")
    with pytest.raises(UserError) as caught:
        submission.read(path)
    assert str(caught.value).startswith(f"{path} {message}")
    assert "\n" not in str(caught.value)


def test_files_without_predictions(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n \n")
    with pytest.raises(UserError, match=r"empty\.jsonl holds no predictions"):
        submission.read(tmp_path / "empty.jsonl")
    with pytest.raises(UserError, match="does not exist"):
        submission.read(tmp_path / "none.jsonl")


def test_broken_predictions_are_neither_made_nor_written(tmp_path: Path) -> None:
    for windows in (np.zeros((2, 2)), np.array([[0, np.nan, 1]]), np.array([[3, 2, 1]])):
        with pytest.raises(ValueError, match="window"):
            Prediction(1, "", "", windows)
    with pytest.raises(ValueError, match="saliency"):
        Prediction(1, "", "", np.zeros((0, 3)), np.array([np.nan]))
    with pytest.raises(RuntimeError):
        submission.write(tmp_path / "p.jsonl", (_broken() for _ in range(2)))
    assert list(tmp_path.iterdir()) == []


def _broken() -> Prediction:
    raise RuntimeError


def test_finish_by_hand() -> None:
    windows = [[-1.0, 2.9, 0.2], [3.0, 5.0, 0.91236], [148.9, 151.2, 0.91234], [7.1, 7.3, 0.3]]
    assert finish(windows, clip_length=2).tolist() == [
        [4.0, 4.0, 0.9124],  # 1.5 and 2.5 clips: both to the even number of clips
        [148.0, 150.0, 0.9123],
        [8.0, 8.0, 0.3],
        [0.0, 2.0, 0.2],
    ]
    assert finish(windows, clip_length=-1, longest=1000).tolist() == [
        [3.0, 5.0, 0.9124],
        [148.9, 151.2, 0.9123],
        [7.1, 7.3, 0.3],
        [0.0, 2.9, 0.2],
    ]
    assert finish([[0.333333, 1.0, 0.1]], clip_length=0.17).tolist() == [[0.34, 1.02, 0.1]]
    assert finish(np.zeros((0, 3)), clip_length=2).shape == (0, 3)


def test_whole_clips_end_with_the_video() -> None:
    assert finish([[3.2, 30.6, 0.9]], clip_length=1, longest=30.6).tolist() == [[3.0, 30.6, 0.9]]  # not 31
    assert finish([[3.2, 30.6, 0.9]], clip_length=1, longest=30.4).tolist() == [[3.0, 30.0, 0.9]]


def test_equal_scores_keep_their_order_and_rounding_makes_none_swap() -> None:
    windows = [[0, 1, 0.50001], [1, 2, 0.50004], [2, 3, 0.50001], [3, 4, 0.50003]]
    assert finish(windows, clip_length=1)[:, 0].tolist() == [1, 3, 0, 2]


def test_suppression_by_hand() -> None:
    windows = [[0, 10, 0.9], [0, 8, 0.8], [0, 5, 0.7], [8, 20, 0.6], [20, 20, 0.5], [20, 20, 0.4]]
    # IoU with the first: 0.8, 0.5 (not more than 0.5), 0.1; windows of no length overlap nothing
    assert finish(windows, clip_length=1, nms=0.5)[:, 2].tolist() == [0.9, 0.7, 0.6, 0.5, 0.4]
    assert finish(windows, clip_length=1, nms=0.5, keep=2)[:, 2].tolist() == [0.9, 0.7]


@given(
    st.lists(st.tuples(st.floats(-5, 200), st.floats(0, 60), st.floats(0, 1)), max_size=12),
    st.sampled_from([-1.0, 0.17, 1.0, 2.0]),
)
def test_finished_windows_are_valid_and_stay_when_finished_again(rows: list, clip_length: float) -> None:
    windows = [(start, start + length, score) for start, length, score in rows]
    found = finish(windows, clip_length)
    assert Prediction(1, "", "", found).best_first
    assert len(found) == len(rows) and ((found[:, :2] >= 0) & (found[:, :2] <= 150)).all()
    np.testing.assert_allclose(finish(found, clip_length), found, atol=1e-9)
