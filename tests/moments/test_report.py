"""moments_report.html from five queries: right numbers, tones and curves, hostile text, pictures, equal bytes."""

import re
import subprocess
import sys
from pathlib import Path

import moments_case
import numpy as np
import pytest

from pipeline_lib.annotations import by_path
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import metrics, report, submission
from pipeline_lib.moments.report_view import Query, query_view
from pipeline_lib.moments.submission import Prediction
from pipeline_lib.report.assets import Place

OPTIONS = MomentsEvaluation(bootstrap=0)


def make(folder: Path, **given) -> str:
    found, gold = moments_case.write(folder)
    defaults = {"place": Place.AUTO, "every": 1.0, "count": 4, "side": 32, "shown": 5}
    report.main(found, gold, folder / "out/moments_report.html", **(defaults | given))
    return (folder / "out/moments_report.html").read_text()


def looked_at(folder: Path) -> dict[int, Query]:
    found, annotated = moments_case.write(folder)
    gold = by_path.read(annotated)[1]
    queries = report.looked_at(metrics.measure(submission.read(found), gold, OPTIONS), gold, OPTIONS)
    return {query.moment.query_id: query for query in queries}


def test_what_queries_score(tmp_path: Path) -> None:
    queries = looked_at(tmp_path)
    assert {qid: round(query.iou, 3) for qid, query in queries.items()} == {1: 1.0, 2: 0.2, 3: 0.0, 4: 0.0, 5: 0.0}
    assert [queries[qid].hits for qid in (1, 2)] == [(True, True), (False, False)]
    assert [queries[qid].later for qid in (1, 2, 3, 4)] == [None, 2, None, None]
    assert queries[1].precision == pytest.approx(1) and queries[2].precision == pytest.approx(0.25)


def test_the_first_window_is_right_where_r1_says_so() -> None:
    # Halves of a moment: IoU is 0.5, the last digit aside, which R1 computes in its own way.
    for gold, window, hit in (((12.6, 28.4), (20.5, 28.4), False), ((12.0, 35.6), (12.0, 23.8), True)):
        moment = Moment("v", 1, "a", (gold,), 40.0, "val")
        result = metrics.measure([Prediction(1, "", "v", np.array([(*window, 0.9)]))], [moment], OPTIONS)
        assert result.by_range["full"].values["R1@0.5"] == 100 * hit
        (query,) = report.looked_at(result, [moment], OPTIONS)
        view = query_view(query, OPTIONS.ranges, 5, str)
        assert (view["outcome"], view["later"]) == (("hit" if hit else "miss"), None)
        assert view["windows"][0]["mark"] == ("correct" if hit else "wrong")


def test_views(tmp_path: Path) -> None:
    queries = looked_at(tmp_path)
    views = {qid: query_view(query, OPTIONS.ranges, 1, str) for qid, query in queries.items()}
    assert views[1]["tokens"] == {"first": ["hit", "strict"], "length": ["short"], "iou": ["0.9-1"], "moments": ["one"]}
    assert views[2]["tokens"] == {
        "first": ["miss", "later"],
        "length": ["short", "middle"],
        "iou": ["0-0.3"],
        "moments": ["several"],
    }
    assert views[4]["tokens"]["first"] == views[5]["tokens"]["first"] == ["none", "miss"]
    assert views[3]["tokens"]["iou"] == ["0"] and views[4]["iou"] == "–"
    assert [len(views[qid]["windows"]) for qid in queries] == [1, 2, 1, 0, 0]  # of 2 the second is the right one
    assert [one["mark"] for one in views[2]["windows"]] == ["wrong", "correct"]
    assert (
        views[2]["tracks"][0]["spans"][1] | {"start": 10.0, "end": 30.0, "classes": "gold"}
        == views[2]["tracks"][0]["spans"][1]
    )
    assert views[5]["sentence"] == "(no sentence)"


def test_windows_beyond_the_video_are_cut_where_they_are_drawn() -> None:
    moment = Moment("v", 1, "a", ((0.0, 4.0),), 10.0, "val")
    one = Prediction(1, "a", "v", np.array([[8.0, 14.0, 1.0]]))
    view = query_view(Query(moment, one, np.zeros(1), (False, False), 0.0), {}, 5, str)
    span = view["tracks"][1]["spans"][0]
    assert (span["start"], span["end"]) == (8.0, 10.0) and "beyond the video: 8–14 s" in span["title"]
    assert (view["windows"][0]["start"], view["windows"][0]["end"]) == (8.0, 14.0)


def test_curves() -> None:
    moment = Moment("v", 1, "a", ((0.0, 4.0),), 6.0, "val", (1,), ((4, 2),))
    curves = query_view(
        Query(
            moment,
            Prediction(1, "", "v", np.zeros((0, 3)), np.array([-1.0, 0.0, 1.0])),
            np.zeros(0),
            (False, False),
            0.0,
        ),
        {},
        5,
        str,
    )["curves"]
    assert [(one["label"], one["count"], one["path"]) for one in curves] == [
        ("saliency", 3, "M0 100V95H1V50H2V5H3V100Z"),
        ("ratings", 3, "M0 100V95H1V28H2V95H3V100Z"),
    ]
    long = Prediction(1, "", "v", np.zeros((0, 3)), np.r_[np.zeros(999), 1.0])
    curve = query_view(Query(moment, long, np.zeros(0), (False, False), 0.0), {}, 5, str)["curves"][0]
    assert curve["count"] == 200 and curve["path"].endswith("V95H199V5H200V100Z")  # the highest of neighbours stays
    flat = Prediction(1, "", "v", np.zeros((0, 3)), np.ones(2))
    assert (
        query_view(Query(moment, flat, np.zeros(0), (False, False), 0.0), {}, 5, str)["curves"][0]["path"]
        == "M0 100V50H1V50H2V100Z"
    )


def test_page(tmp_path: Path) -> None:
    html = make(tmp_path)
    assert "<script>alert" not in html and "</noscript><b>" not in html and "\u202e" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &#34;fire&#34; &amp; &lt;/noscript&gt;" in html
    assert len(re.findall("<article ", html)) == 5
    assert "predictions: predicted windows of 5 queries about 2 videos" in html
    for note in (
        "1 of 5 queries have no prediction",
        "1 of 5 queries are predicted without windows",
        "go beyond the video",
    ):
        assert note in html
    assert "Nothing was predicted for this query." in html and "window 2 is right" in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)


def test_equal_input_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert make(tmp_path / "a") == make(tmp_path / "b")


def test_pictures(tmp_path: Path, video: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/calm_0.0_4.0.mp4").symlink_to(video)
    html = make(tmp_path, videos=tmp_path / "videos", place=Place.INLINE)
    assert len(re.findall(r'<img src="data:image/jpeg[^"]*" alt="frame at 0:0', html)) == 8  # two queries, four each
    assert "3 of 5 queries have no pictures; each says why." in html
    assert "No pictures: neither stored frames nor the video are at hand" in html
    html = make(tmp_path, videos=tmp_path / "videos", place=Place.FOLDER)
    kept = {path.name for path in (tmp_path / "out/moments_report_assets").iterdir()}
    assert kept == set(re.findall(r'<img src="moments_report_assets/([0-9a-f]{64}\.jpg)"', html))
    make(tmp_path)
    assert not (tmp_path / "out/moments_report_assets").exists()


def test_limit(tmp_path: Path) -> None:
    html = make(tmp_path, limit=2)
    assert len(re.findall("<article ", html)) == 2 and "The first 2 of 5 queries are shown" in html


def test_folder_without_videos(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no ledgers"):
        make(tmp_path, videos=tmp_path)


def test_command_line(tmp_path: Path) -> None:
    moments_case.write(tmp_path)
    words = [sys.executable, "-m", "pipeline_lib.moments.report", "--annotations", "val.jsonl", "--out", "page.html"]
    subprocess.run([*words, "--predictions", "predictions.jsonl"], cwd=tmp_path, check=True, capture_output=True)
    assert "A calm day" in (tmp_path / "page.html").read_text()
    done = subprocess.run([*words, "--predictions", "val.jsonl"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "error: val.jsonl line 1: pred_relevant_windows is missing" in done.stderr
