"""R1, mIoU and mAP: small cases worked out by hand, peculiar input, and equality with the plain definitions on random input."""

import logging
from pathlib import Path

import numpy as np
import plain_moments as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_lib.annotations import datasets
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import metrics
from pipeline_lib.moments.submission import Prediction

PLAIN = MomentsEvaluation(bootstrap=0)


def moment(qid: int, *windows: tuple[float, float], vid: str = "v", duration: float = 150.0, **others) -> Moment:
    return Moment(vid, qid, "", windows, duration, "val", **others)


def predicted(qid: int, *windows: tuple[float, float, float], vid: str = "v", saliency=None) -> Prediction:
    return Prediction(qid, "", vid, np.array(windows).reshape(-1, 3), saliency)


def values(found: list[Prediction], gold: list[Moment], part: str = "full", **options) -> dict[str, float]:
    report = metrics.evaluate(found, gold, MomentsEvaluation(bootstrap=0, **options))["ranges"][part]
    return {name: one["value"] if isinstance(one, dict) else one for name, one in report.items()}


def test_recall_takes_the_gold_window_of_highest_iou_and_counts_equality() -> None:
    gold = [moment(1, (0, 10), (20, 40)), moment(2, (0, 10)), moment(3, (50, 60))]
    found = [
        predicted(1, (20, 30, 0.5), (0, 10, 0.4)),  # IoU 0.5 with the second, exactly
        predicted(2, (0, 7, 0.9)),  # 0.7, exactly
        predicted(3, (0, 10, 0.9), (50, 60, 0.8)),  # the second would be right
    ]
    got = values(found, gold)
    assert got["R1@0.5"] == pytest.approx(100 * 2 / 3)
    assert got["R1@0.55"] == got["R1@0.7"] == pytest.approx(100 / 3)
    assert got["R1@0.75"] == 0
    assert got["mIoU"] == pytest.approx(100 * (0.5 + 0.7 + 0) / 3)
    assert (got["queries"], got["windows"]) == (3, 4)


def test_average_precision_by_hand() -> None:
    gold = [moment(1, (0, 10), (20, 30))]
    # ranks: hit, miss, hit -> precisions 1, 1/2, 2/3, interpolated 1 and 2/3
    found = [predicted(1, (0, 10, 0.9), (100, 110, 0.8), (20, 29, 0.7))]
    got = values(found, gold)
    assert got["mAP@0.5"] == got["mAP@0.9"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert got["mAP@0.95"] == pytest.approx(50)
    assert got["mAP"] == pytest.approx((9 * 100 * (1 + 2 / 3) / 2 + 50) / 10)


def test_a_gold_window_is_found_once_and_the_score_decides_not_the_place() -> None:
    gold = [moment(1, (0, 10))]
    assert values([predicted(1, (50, 60, 0.1), (0, 10, 0.9))], gold)["mAP@0.5"] == 100
    assert values([predicted(1, (50, 60, 0.1), (0, 10, 0.9))], gold)["R1@0.5"] == 0  # R1 takes the first as it stands
    # two windows on the same one: the second is a false positive, which the interpolation forgives only after the last hit
    both = [moment(1, (0, 10), (20, 30))]
    assert values([predicted(1, (0, 10, 0.9), (0, 9, 0.8), (20, 30, 0.7))], both)["mAP@0.5"] == pytest.approx(
        100 * (1 + 2 / 3) / 2
    )


def test_a_taken_window_leaves_the_next_best_one() -> None:
    gold = [moment(1, (0, 10), (2, 12))]
    # both windows overlap the first gold window most; the second takes the other, IoU 7/11 with it
    assert values([predicted(1, (0, 10, 0.9), (0, 9, 0.8))], gold)["mAP@0.5"] == pytest.approx(100)
    assert values([predicted(1, (0, 10, 0.9), (0, 9, 0.8))], gold)["mAP@0.65"] == pytest.approx(50)


def test_equal_scores_stand_in_the_order_of_the_file() -> None:
    gold = [moment(1, (0, 10))]
    assert values([predicted(1, (0, 10, 0.5), (50, 60, 0.5))], gold)["mAP@0.5"] == 100
    assert values([predicted(1, (50, 60, 0.5), (0, 10, 0.5))], gold)["mAP@0.5"] == 50


def test_of_equal_overlaps_the_last_gold_window_is_taken() -> None:
    gold = [moment(1, (0, 10), (10, 20))]
    # (5, 15) overlaps both by 1/3; (2, 10) fits the first only, which must still be free
    found = [predicted(1, (5, 15, 0.9), (2, 10, 0.8))]
    assert values(found, gold, precision_at=[0.3])["mAP@0.3"] == pytest.approx(100)
    assert values(found, [moment(1, (10, 20), (0, 10))], precision_at=[0.3])["mAP@0.3"] == pytest.approx(50)


def test_only_the_top_windows_count() -> None:
    gold = [moment(1, (0, 10))]
    wrong = [(50, 60, 0.9)] * 10
    assert values([predicted(1, *wrong, (0, 10, 0.8))], gold)["mAP@0.5"] == 0
    assert values([predicted(1, *wrong, (0, 10, 0.8))], gold, top=11)["mAP@0.5"] == pytest.approx(100 / 11)
    assert values([predicted(1, *wrong, (0, 10, 0.8))], gold, top=1)["R1@0.5"] == 0


def test_ranges_hold_their_upper_end_and_their_own_gold_windows_only() -> None:
    gold = [moment(1, (0, 10), (20, 40)), moment(2, (0, 30)), moment(3, (0, 149))]
    found = [predicted(1, (20, 40, 0.9)), predicted(2, (0, 30, 0.9)), predicted(3, (0, 149, 0.9))]
    short, middle = values(found, gold, "short"), values(found, gold, "middle")
    assert (short["queries"], short["windows"], short["R1@0.5"], short["mAP"]) == (1, 1, 0, 0)
    assert (middle["queries"], middle["windows"], middle["R1@0.95"], middle["mAP"]) == (2, 2, 100, 100)
    assert values(found, gold, "long")["mIoU"] == 100
    assert values(found, gold)["mAP@0.5"] == pytest.approx(100 * (0.5 + 1 + 1) / 3)
    assert "superlong" not in metrics.evaluate(found, gold, PLAIN)["ranges"]
    assert values(found, gold, "tiny", ranges={"tiny": (5, 10)})["queries"] == 1


def test_a_window_of_another_range_counts_as_wrong_there() -> None:
    gold = [moment(1, (0, 10), (20, 40))]
    assert values([predicted(1, (20, 40, 0.9), (0, 10, 0.8))], gold, "short")["mAP@0.5"] == pytest.approx(50)


def test_missing_and_empty_predictions_are_misses(caplog: pytest.LogCaptureFixture) -> None:
    gold = [moment(1, (0, 10)), moment(2, (0, 10)), moment(3, (0, 10))]
    with caplog.at_level(logging.WARNING):
        report = metrics.evaluate([predicted(1, (0, 10, 1.0)), predicted(3)], gold, PLAIN)
    assert (report["missing"], report["empty"]) == ([2], [3])
    for name in ("R1@0.5", "mIoU", "mAP", "mAP@0.75"):
        assert report["ranges"]["full"][name]["value"] == pytest.approx(100 / 3)
    assert "1 of 3 queries have no prediction and count as misses (first: qid 2)" in caplog.text
    assert "1 of 3 queries are predicted without any window" in caplog.text


def test_no_prediction_at_all_is_zero() -> None:
    assert set(metrics.evaluate([], [moment(1, (0, 10))], PLAIN)["brief"].values()) == {0.0}


def test_an_end_that_rounding_moved_is_not_beyond_the_video() -> None:
    gold = [moment(qid, (0, 10), duration=10.00004) for qid in (1, 2)]
    report = metrics.evaluate([predicted(1, (0, 10.0001, 0.9)), predicted(2, (0, 10.0003, 0.9))], gold, PLAIN)
    assert report["beyond_video"] == [2]


def test_peculiar_windows_are_measured_and_named(caplog: pytest.LogCaptureFixture) -> None:
    gold = [moment(1, (0, 10), duration=10), moment(2, (5, 5)), moment(3, (0, 10))]
    found = [predicted(1, (0, 20, 0.9)), predicted(2, (5, 5, 0.9)), predicted(3, (5, 5, 0.1), (0, 9, 0.9))]
    report = metrics.evaluate(found, gold, PLAIN)
    assert (report["beyond_video"], report["unsorted"]) == ([1], [3])
    assert report["ranges"]["full"]["mIoU"]["value"] == pytest.approx(100 * 0.5 / 3)  # 5-5 on 5-5 has IoU 0, not NaN
    assert report["ranges"]["full"]["windows"] == 3 and report["ranges"]["short"]["windows"] == 2
    assert "beyond the video" in caplog.text and "aren't best first" in caplog.text


@pytest.mark.parametrize(
    ("found", "gold", "message"),
    [
        ([predicted(1), predicted(1)], [moment(1, (0, 1))], "qid 1 is predicted twice"),
        ([predicted(1)], [moment(1, (0, 1)), moment(1, (0, 1))], "qid 1 stands twice in the annotations"),
        ([predicted(1), predicted(4)], [moment(1, (0, 1))], r"qid 4 is predicted but not annotated \(1 of 2"),
        ([predicted(1)], [moment(1)], "qid 1 has no windows in the annotations"),
        ([predicted(1, vid="w")], [moment(1, (0, 1))], "qid 1 is predicted for w but annotated for v"),
        ([], [], "no annotated queries"),
    ],
)
def test_what_does_not_fit_is_named(found: list, gold: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        metrics.evaluate(found, gold, PLAIN)


def test_tacos_videos_may_lack_their_suffix() -> None:
    gold = [moment(1, (0, 10), vid="s17-d69.avi")]
    assert metrics.evaluate([predicted(1, (0, 10, 1), vid="s17-d69")], gold, PLAIN)["brief"]["MR-full-mAP"] == 100


def test_brief_has_upstreams_names_and_rounding() -> None:
    gold = [moment(qid, (0, 20)) for qid in (1, 2, 3)]
    report = metrics.evaluate([predicted(1, (0, 20, 1.0))], gold, PLAIN)
    assert report["brief"] == {
        **{f"MR-full-R1@{one}": 33.33 for one in (0.1, 0.3, 0.5, 0.7)},
        **{f"MR-full-{one}": 33.33 for one in ("miou", "mAP", "mAP@0.5", "mAP@0.75")},
        "MR-middle-mAP": 33.33,
    }


def test_options_that_make_no_sense() -> None:
    for wrong in (
        {"recall_at": [0.5, 0.3]},
        {"ranges": {"full": (0, 1)}},
        {"ranges": {"a": (5, 5)}},
        {"recall_at": [0]},
    ):
        with pytest.raises(ValueError):
            MomentsEvaluation(**wrong)


TIMES = st.integers(0, 12).map(lambda time: time * 2.5)  # few values: ties and windows without length are frequent


@st.composite
def windows(draw: st.DrawFn) -> tuple[float, float]:
    start, end = sorted((draw(TIMES), draw(TIMES)))
    return start, end


SCORED = st.tuples(windows(), st.sampled_from([0.0, 0.25, 0.5, 1.0])).map(lambda one: (*one[0], one[1]))
QUERIES = st.lists(
    st.tuples(st.lists(SCORED, max_size=6), st.lists(windows(), min_size=1, max_size=5)), min_size=1, max_size=6
)


@settings(max_examples=150, deadline=None)
@given(QUERIES, st.integers(1, 6))
def test_equal_to_the_plain_definitions(queries: list, top: int) -> None:
    found = [predicted(qid, *ours) for qid, (ours, _) in enumerate(queries)]
    gold = [moment(qid, *theirs) for qid, (_, theirs) in enumerate(queries)]
    thresholds = [0.25, 0.5, 0.75, 1.0]
    options = MomentsEvaluation(
        bootstrap=0,
        top=top,
        recall_at=thresholds,
        precision_at=thresholds,
        ranges={"short": (0, 10), "middle": (10, 30)},
    )
    report = metrics.evaluate(found, gold, options)["ranges"]
    for name, (low, high) in {"full": (-1, 1e9), **options.ranges}.items():
        kept = [(ours, [one for one in theirs if low < one[1] - one[0] <= high]) for ours, theirs in queries]
        kept = [(ours, theirs) for ours, theirs in kept if theirs]
        if not kept:
            assert name not in report
            continue
        ious = [plain.best_overlap(*one) for one in kept]
        assert report[name]["mIoU"]["value"] == pytest.approx(100 * np.mean(ious), abs=1e-9)
        for threshold in thresholds:
            recall = 100 * np.mean([iou >= threshold for iou in ious])
            assert report[name][f"R1@{threshold:g}"]["value"] == pytest.approx(recall, abs=1e-9)
            precision = 100 * np.mean([plain.average_precision(*one, threshold, top) for one in kept])
            assert report[name][f"mAP@{threshold:g}"]["value"] == pytest.approx(precision, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(QUERIES, st.randoms(use_true_random=False))
def test_order_of_queries_is_of_no_account(queries: list, random) -> None:
    found = [predicted(qid, *ours) for qid, (ours, _) in enumerate(queries)]
    gold = [moment(qid, *theirs) for qid, (_, theirs) in enumerate(queries)]
    before = metrics.evaluate(found, gold, PLAIN)["brief"]
    random.shuffle(found)
    random.shuffle(gold)
    assert metrics.evaluate(found, gold, PLAIN)["brief"] == pytest.approx(before, abs=0.011)


def test_intervals_are_over_videos_and_differences_are_paired() -> None:
    gold = [moment(10 * video + query, (0, 10), vid=f"v{video}") for video in range(8) for query in range(3)]
    hits = [
        predicted(one.query_id, (0, 10, 1.0) if one.query_id < 40 else (50, 60, 1.0), vid=one.video_id) for one in gold
    ]
    worse = [*hits[1:], predicted(0, (50, 60, 1.0), vid="v0")]
    options = MomentsEvaluation(bootstrap=300, seed=5)
    first, second = metrics.measure(hits, gold, options), metrics.measure(worse, gold, options)
    recall = first.report()["ranges"]["full"]["R1@0.5"]
    drawn = first.by_range["full"].resampled["R1@0.5"]
    assert recall["value"] == 50 and set(np.round(drawn / 12.5, 9) % 1) == {0.0}  # whole videos: eighths
    assert recall["ci95"] == pytest.approx([np.percentile(drawn, 2.5), np.percentile(drawn, 97.5)])
    assert first.report() == metrics.measure(hits, gold, options).report()
    lead = first.minus(second)["ranges"]["full"]["R1@0.5"]
    assert lead["value"] == pytest.approx(100 / 24) and lead["ci95"][0] >= 0
    assert "ci95" not in metrics.evaluate(hits, gold, PLAIN)["ranges"]["full"]["mAP"]


def test_resamples_without_a_range_do_not_spoil_its_interval() -> None:
    gold = [moment(1, (0, 5), vid="a"), moment(2, (0, 20), vid="b")]
    report = metrics.evaluate([predicted(1, (0, 5, 1), vid="a")], gold, MomentsEvaluation(bootstrap=50))
    assert report["ranges"]["short"]["R1@0.5"] == {"value": 100.0, "ci95": [100.0, 100.0]}


DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.parametrize("dataset", Dataset)
def test_the_gold_moments_of_published_data_measure_perfectly(dataset: Dataset) -> None:
    split = {"qvhighlights": "val", "charades_cd": "test_ood", "charades_cg": "novel_word"}.get(dataset, "test")
    if not (DATA / dataset / datasets.splits(dataset)[split]).is_file():
        pytest.skip(f"needs ../shared/data/{dataset}, which is not published here")
    gold = datasets.read(dataset, DATA / dataset, split)
    found = [
        Prediction(one.query_id, "", one.video_id, np.c_[np.array(one.windows), np.zeros(len(one.windows))])
        for one in gold
    ]
    report = metrics.evaluate(found, gold, MomentsEvaluation(bootstrap=0, top=50))
    assert {value["value"] for key, value in report["ranges"]["full"].items() if isinstance(value, dict)} == {100.0}
    assert sum(report["ranges"][name]["windows"] for name in report["ranges"] if name != "full") == sum(
        len(one.windows) for one in gold
    )
