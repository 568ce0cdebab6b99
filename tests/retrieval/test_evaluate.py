"""Matrices in files → metrics of both directions, aligned by name; mismatches → one line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import directions, intervals, matrices, metrics
from pipeline_lib.retrieval.alignment import align
from pipeline_lib.retrieval.directions import TEXT_TO_VIDEO, VIDEO_TO_TEXT, Positives
from pipeline_lib.retrieval.matrices import Matrix

S = np.array([[0.9, 0.2, 0.1], [0.8, 0.3, 0.7]], np.float32)
R = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]])
VIDEOS, CAPTIONS = ["v", "w"], ["a", "b", "c"]
PAIRS = np.array([[0, 0], [1, 1], [1, 2]])


def test_both_directions_by_hand():
    found = directions.measure(S, R, PAIRS)
    assert found[VIDEO_TO_TEXT].rank.tolist() == [0, 1]  # w: a, c, b; its best is c
    assert found[TEXT_TO_VIDEO].rank.tolist() == [0, 0, 0]
    ideal = 1 + 0.5 / np.log2(3)
    assert found[VIDEO_TO_TEXT].ndcg == pytest.approx([1 / ideal, (1 / np.log2(3)) / (1 + 1 / np.log2(3))])
    assert found[TEXT_TO_VIDEO].ndcg == pytest.approx([1, 1, 1])
    reports = {name: one.report() for name, one in directions.summarise(found, resamples=0).items()}
    assert reports[VIDEO_TO_TEXT]["r1"] == {"value": 50.0}
    assert reports[VIDEO_TO_TEXT]["medr"] == {"value": 1.5}
    assert reports["mean"]["r1"] == {"value": 75.0}
    assert reports["mean"]["rsum"] == {"value": 50 + 100 + 100 + 3 * 100}


def test_median_and_mean_ranks_and_recalls_by_hand():
    ranks = [0, 4, 9, 10, 30]
    similarity, pairs = -np.tile(np.arange(40.0), (5, 1)), np.stack([np.arange(5), ranks], 1)
    values = intervals.direction(metrics.measure(similarity, np.ones((5, 40)), pairs), 0, 0).values
    assert [values[name] for name in ("r1", "r5", "r10", "medr", "meanr")] == pytest.approx([20, 40, 60, 10, 11.6])


def queries(seed, count=200):
    random = np.random.default_rng(seed)
    return metrics.measure(random.random((count, 30)), random.choice([0.0, 0.5, 1.0], (count, 30)))


def test_intervals_hold_the_value_and_are_the_same_for_a_seed():
    one = intervals.direction(queries(0), 300, seed=1)
    again, other = (intervals.direction(queries(0), 300, seed=seed).report() for seed in (1, 2))
    assert one.report() == again != other
    for name in intervals.NAMES:
        low, high = one.report()[name]["ci95"]
        assert low <= one.values[name] <= high
    width = np.ptp(one.report()["ndcg"]["ci95"])
    assert width == pytest.approx(2 * 1.96 * queries(0).ndcg.std() / np.sqrt(200), rel=0.2)


def test_videos_and_captions_are_drawn_independently():
    found = directions.summarise({TEXT_TO_VIDEO: queries(0), VIDEO_TO_TEXT: queries(0)}, 100)
    one, other = (found[name].resampled["ndcg"] for name in (TEXT_TO_VIDEO, VIDEO_TO_TEXT))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.5
    assert found["mean"].resampled["ndcg"] == pytest.approx((one + other) / 2)


def test_a_system_does_not_differ_from_itself():
    one = intervals.direction(queries(0), 100, seed=1)
    assert one.minus(one).report()["ndcg"] == {"value": 0.0, "ci95": [0.0, 0.0]}
    better = intervals.direction(queries(3), 100, seed=1)
    assert better.minus(one).values["ndcg"] == pytest.approx(better.values["ndcg"] - one.values["ndcg"])


def test_the_relevance_is_put_in_the_order_of_the_similarity():
    rows, columns = [1, 0], [2, 0, 1]
    given = Matrix(S[rows][:, columns], [VIDEOS[i] for i in rows], [CAPTIONS[j] for j in columns])
    found = align(given, Matrix(R, VIDEOS, CAPTIONS, PAIRS))
    np.testing.assert_array_equal(found.values, R[rows][:, columns])
    assert sorted(found.pairs.tolist()) == sorted([[1, 1], [0, 2], [0, 0]])
    straight = directions.summarise(directions.measure(S, R, PAIRS), 0)["mean"].values
    turned = directions.summarise(directions.measure(given.values, found.values, found.pairs), 0)["mean"].values
    assert straight == pytest.approx(turned)
    by_place = align(Matrix(S), Matrix(R, VIDEOS, CAPTIONS))
    np.testing.assert_array_equal(by_place.values, R)


@pytest.mark.parametrize(
    ("similarity", "message"),
    [
        (
            Matrix(S, ["v", "x"]),
            "1 video ids are only in the similarity: x; 1 video ids are only in the relevance: w; give",
        ),
        (Matrix(S[:1], ["v"]), "1 video ids are only in the relevance: w; give both of the same split"),
        (Matrix(S.T), "similarity is 3 × 2, the relevance 2 × 3: --rows says what the rows"),
        (Matrix(S[:, :2]), "similarity is 2 × 2, the relevance 2 × 3; both must be videos × captions"),
    ],
)
def test_what_does_not_match_is_named(similarity, message):
    with pytest.raises(UserError, match=message):
        align(similarity, Matrix(R, VIDEOS, CAPTIONS))


def test_what_counts_as_found():
    related = Matrix(R, pairs=PAIRS)
    assert directions.positives(Positives.AUTO, related)[0] == Positives.PAIRS
    assert directions.positives(Positives.AUTO, Matrix(R)) == (Positives.EXACT, None)
    square = directions.positives(Positives.DIAGONAL, Matrix(np.eye(2)))[1]
    assert square.tolist() == [[0, 0], [1, 1]]
    with pytest.raises(UserError, match="pairs video i with caption i, but there are 2 videos and 3 captions"):
        directions.positives(Positives.DIAGONAL, related)
    with pytest.raises(UserError, match="doesn't say which videos and captions belong together"):
        directions.positives(Positives.PAIRS, Matrix(R))


def test_special_queries_are_counted_and_named(caplog):
    relevance = Matrix(np.array([[1.0, 0.0], [0.0, 0.0]]), VIDEOS, CAPTIONS[:2])
    found = directions.counts(directions.measure(np.array([[0.5, 0.5], [0.1, 0.2]]), relevance.values), relevance)
    assert found[VIDEO_TO_TEXT] == {"queries": 2, "without_relevant": 1, "without_positive": 1, "tied": 1}
    assert "video_to_text: 1 queries have no relevant item: their nDCG and AP are 0 (first: w)" in caplog.text


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pipeline_lib.retrieval.evaluate", "--out", "M.json", *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "S.npy", S)
    np.save(tmp_path / "other.npy", S[:, ::-1])
    np.save(tmp_path / "turned.npy", S.T)
    np.save(tmp_path / "nan.npy", np.where(np.float32(0.7) == S, np.nan, S))
    matrices.write(tmp_path / "R.hdf5", [R], (2, 3), video_ids=VIDEOS, caption_ids=CAPTIONS, pairs=PAIRS)
    (tmp_path / "captions.txt").write_text("c\nb\na\n")
    return tmp_path


def test_the_command(folder):
    done = command(folder, "--similarity", "S.npy", "--relevance", "R.hdf5", "--baseline", "other.npy")
    assert done.returncode == 0, done.stderr
    assert "video to text" in done.stdout
    found = json.loads((folder / "M.json").read_text())
    assert found["positives"] == "pairs"
    assert found["results"]["text_to_video"]["r1"]["value"] == 100
    assert found["results"]["text_to_video"]["ndcg"]["ci95"] == [1, 1]
    gained = found["results"]["mean"]["ndcg"]["value"] - found["baseline"]["mean"]["ndcg"]["value"]
    assert found["difference"]["mean"]["ndcg"]["value"] == pytest.approx(gained)
    assert len(found["inputs"]["similarity_sha256"]) == 64
    again = command(folder, "--similarity", "S.npy", "--relevance", "R.hdf5", "--baseline", "other.npy")
    assert again.returncode == 0
    repeated = json.loads((folder / "M.json").read_text())
    assert {**repeated, "provenance": None} == {**found, "provenance": None}
    turned = command(folder, "--similarity", "turned.npy", "--relevance", "R.hdf5", "--rows", "captions")
    assert turned.returncode == 0, turned.stderr
    assert json.loads((folder / "M.json").read_text())["results"] == found["results"]
    named = command(folder, "--similarity", "other.npy", "--relevance", "R.hdf5", "--caption-ids", "captions.txt")
    assert named.returncode == 0, named.stderr
    assert json.loads((folder / "M.json").read_text())["results"]["mean"] == found["results"]["mean"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--similarity", "turned.npy"), "--rows says what"),
        (("--similarity", "nan.npy"), "similarity of query 1 and item 2 is nan; make that matrix again"),
        (("--similarity", "S.npy", "--video-ids", "captions.txt"), "captions.txt names 3 videos but S.npy has 2"),
        (("--similarity", "absent.npy"), "absent.npy does not exist"),
        (("--similarity", "S.npy", "--positives", "diagonal"), "there are 2 videos and 3 captions"),
    ],
)
def test_the_command_names_mistakes_in_one_line(folder, arguments, message):
    done = command(folder, "--relevance", "R.hdf5", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (folder / "M.json").exists()
