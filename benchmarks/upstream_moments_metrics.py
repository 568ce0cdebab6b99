"""Checkouts of MESM and Moment-DETR → how far our metrics and post-processing of moments are from theirs, on equal input.

python benchmarks/upstream_moments_metrics.py --mesm ../MESM --moment-detr ../moment_detr --data ../shared/data \
    --out benchmarks/results/upstream_moments_metrics.json

Their functions run as they are; what eval.py imports of MESM's network is stood in for. Whole evaluations are compared in the
two decimals that upstream prints, single queries in float64. `--data` holds qvhighlights/, charades_sta/ and tacos/: predictions
are drawn around the real moments, with many equal scores and windows; Moment-DETR's own sample of predictions is measured too.
"""

import contextlib
import importlib
import io
import json
import logging
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import typer

from pipeline_lib.annotations import datasets
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.core import files
from pipeline_lib.moments import highlights, metrics, packing, submission
from pipeline_lib.moments.submission import Prediction

Row = dict[str, Any]
PRINTED, EXACT, SINGLE = 1e-9, 1e-9, 3.1e-5  # numbers printed with 2 decimals; float64; up to 1000 s in float32
TESTS = {Dataset.QVHIGHLIGHTS: "val", Dataset.CHARADES_STA: "test", Dataset.TACOS: "test"}


def imported(folder: Path, names: Sequence[str], stand_ins: Sequence[str] = ()) -> list[Any]:
    """Modules of a checkout; those that `stand_ins` names do nothing. They stay importable: upstream's processes ask for them."""
    sys.modules.update({name: mock.MagicMock() for name in stand_ins})
    sys.path.insert(0, str(folder.resolve()))
    return [importlib.import_module(name) for name in names]


def row(what: str, theirs: Any, ours: Any, bound: float) -> Row:
    """A line of the table."""
    theirs, ours = np.asarray(theirs, np.float64), np.asarray(ours, np.float64)
    assert theirs.shape == ours.shape and theirs.size, (what, theirs.shape, ours.shape)
    difference = float(np.abs(theirs - ours).max())
    return {"what": what, "values": theirs.size, "largest difference": difference, "bound": bound}


def drawn(gold: Sequence[Moment], seed: int, clip: float) -> list[Prediction]:
    """Ten windows for each query: some near a gold one, others anywhere; whole clips and two decimals make many of them equal."""
    random = np.random.default_rng(seed)
    found = []
    for moment in gold:
        near = np.array(moment.windows)[random.integers(len(moment.windows), size=10)]
        near = near + random.normal(scale=0.2, size=(10, 2)) * (near[:, 1:] - near[:, :1])
        anywhere = random.uniform(0, moment.duration, size=(10, 2))
        spans = np.sort(np.where(random.random((10, 1)) < 0.5, near, anywhere), axis=1)
        rows = np.column_stack([spans, random.random(10).round(1)])
        clips = int(moment.duration / 2) + random.integers(-2, 3)
        saliency = random.normal(size=max(clips, 1)).round(1)
        windows = submission.finish(rows, clip, 1000.0)
        found.append(Prediction(moment.query_id, moment.sentence, moment.video_id, windows, saliency))
    return found


def lines(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Predictions as upstream's functions take them."""
    return [
        {"qid": one.qid, "vid": one.vid, "pred_relevant_windows": one.windows.tolist()}
        | ({} if one.saliency is None else {"pred_saliency_scores": one.saliency.tolist()})
        for one in predictions
    ]


def truth(gold: Sequence[Moment]) -> list[dict[str, Any]]:
    """Annotations as upstream's functions take them."""
    return [
        {
            "qid": moment.query_id,
            "duration": moment.duration,
            "relevant_windows": [list(window) for window in moment.windows],
            "relevant_clip_ids": list(moment.clips),
            "saliency_scores": [list(scores) for scores in moment.saliency],
        }
        for moment in gold
    ]


def printed(theirs: dict[str, Any], ours: dict[str, Any]) -> tuple[list[float], list[float]]:
    """All numbers that upstream prints, and ours in its rounding."""
    pairs = []
    for name, own in ours["ranges"].items():
        if name not in theirs:
            continue
        for threshold, value in theirs[name]["MR-mAP"].items():
            pairs.append((value, own["mAP" if threshold == "average" else f"mAP@{threshold}"]))
        for threshold, value in theirs[name]["MR-R1"].items():
            pairs.append((value, own["mIoU" if threshold == "miou" else f"R1@{threshold}"]))
    for level, own in ours["highlights"].items():
        if level_found := theirs.get(f"HL-min-{level}"):
            pairs += [(level_found["HL-mAP"], own["mAP"]), (level_found["HL-Hit1"], own["HIT@1"])]
    return [value for value, _ in pairs], [float(f"{own['value']:.2f}") for _, own in pairs]


def whole(what: str, evaluate: Any, gold: Sequence[Moment], predictions: Sequence[Prediction], **options: Any) -> Row:
    """One evaluation by upstream and by us."""
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = evaluate(lines(predictions), truth(gold), verbose=False, **options)
    ours = metrics.evaluate(predictions, gold, MomentsEvaluation(bootstrap=0))
    return row(what, *printed(theirs, ours), PRINTED)


def singles(what: str, utils: Any, gold: Sequence[Moment], predictions: Sequence[Prediction]) -> list[Row]:
    """Average precision and overlap of each query, average precision of each query's raters."""
    thresholds = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    theirs = []
    for moment, one in zip(gold, predictions, strict=True):
        spans = [{"video-id": 0, "t-start": start, "t-end": end} for start, end in moment.windows]
        guesses = [{"video-id": 0, "t-start": a, "t-end": b, "score": s} for a, b, s in one.windows[:10].tolist()]
        theirs.append(utils.compute_average_precision_detection(spans, guesses, thresholds))
    packed = packing.pack(predictions, gold, 10)
    ours = metrics.precisions(packed, thresholds)
    own = np.stack([ours[f"mAP@{one:g}"] for one in thresholds], axis=1) / 100
    rows = [row(f"average precision of each query, {what}", theirs, own, EXACT)]
    best = [
        utils.compute_temporal_iou_batch_cross(p.windows[:1, :2], np.array(m.windows))[0].max()
        for p, m in zip(predictions, gold, strict=True)
    ]
    rows.append(row(f"IoU of each query, {what}", best, metrics.recalls(packed, [0.5])["mIoU"] / 100, EXACT))
    if not any(moment.clips for moment in gold):
        return rows
    theirs, own = [], []
    found = highlights.columns(predictions, gold, 2.0)
    for level, least in highlights.LEVELS.items():
        own.append(found[level][0]["mAP"] / 100)
        for moment, one in zip(gold, predictions, strict=True):
            clips = int(moment.duration / 2)
            positive = np.zeros((clips, 3))
            positive[list(moment.clips)] = np.array(moment.saliency) >= least
            scores = np.zeros(clips)
            scores[: len(one.saliency)] = one.saliency[:clips]
            theirs.append(np.mean([utils.get_ap(positive[:, person], scores) for person in range(3)]))
    return [*rows, row(f"highlights' average precision of each query, {what}", theirs, np.concatenate(own), EXACT)]


def processed(mesm: Any, seed: int = 0) -> list[Row]:
    """Post-processing of windows as a network gives them, and suppression."""
    random = np.random.default_rng(seed)
    rows = []
    for clip, longest in ((2, 150), (1, 150), (0.17, 150), (-1, 1000)):
        spans = np.sort(random.uniform(-3, longest + 10, size=(2000, 10, 2)).astype(np.float32), axis=2)
        scores = random.random((2000, 10, 1)).astype(np.float32)
        drawn_windows = np.concatenate([spans, scores], axis=2)
        handed = [
            [[float(f"{e:.4f}") for e in window] for window in sorted(one, key=lambda window: window[2], reverse=True)]
            for one in drawn_windows.tolist()
        ]
        names = ("clip_ts", "round_multiple") if clip != -1 else ("clip_ts",)
        process = mesm.PostProcessorDETR(
            clip_length=clip, min_ts_val=0, max_ts_val=longest, min_w_l=2, max_w_l=150, process_func_names=names
        )
        with contextlib.redirect_stderr(io.StringIO()):
            theirs = [
                one["pred_relevant_windows"] for one in process([{"pred_relevant_windows": one} for one in handed])
            ]
        ours = [submission.finish(one, clip, longest) for one in drawn_windows]
        rows.append(row(f"post-processing, clips of {clip} s", theirs, ours, SINGLE))
        for most in (0.3, 0.7):
            kept = [mesm.temporal_nms(one.tolist(), most, 5) for one in ours]
            thinned = [submission.finish(one, clip, longest, nms=most, keep=5).tolist() for one in drawn_windows]
            different = [one != other for one, other in zip(kept, thinned, strict=True)]
            rows.append(
                row(f"suppression above {most}, clips of {clip} s: queries that differ", [0] * 2000, different, 0)
            )
    return rows


def main(
    mesm: Annotated[Path, typer.Option(help="checkout of lntzm/MESM")],
    moment_detr: Annotated[Path, typer.Option(help="checkout of jayleicn/moment_detr")],
    data: Annotated[Path, typer.Option(help="folder of qvhighlights/, charades_sta/ and tacos/")],
    out: Annotated[Path, typer.Option(help="JSON to write")],
) -> None:
    """Print a table of differences and write it; one that is too large is an error."""
    (of_mesm,) = imported(mesm, ["eval"], ["runner", "dataset"])
    of_detr, utils = imported(moment_detr, ["standalone_eval.eval", "standalone_eval.utils"])
    logging.disable()
    rows = []
    sample = moment_detr / "standalone_eval/sample_val_preds.jsonl"
    for dataset, split in TESTS.items():
        gold = datasets.read(dataset, data / dataset, split)
        systems = {"drawn": drawn(gold, 0, {Dataset.QVHIGHLIGHTS: 2.0, Dataset.CHARADES_STA: 1.0}.get(dataset, -1.0))}
        if dataset == Dataset.QVHIGHLIGHTS:
            by_qid = {one.qid: one for one in submission.read(sample)}
            systems["Moment-DETR's sample"] = [by_qid[moment.query_id] for moment in gold]
            published = json.loads(sample.with_name("sample_val_preds_metrics_raw.json").read_text())
            ours = metrics.evaluate(systems["Moment-DETR's sample"], gold, MomentsEvaluation(bootstrap=0))
            rows.append(row("published numbers of Moment-DETR's sample", *printed(published, ours), PRINTED))
        for name, predictions in systems.items():
            what = f"{dataset} {split}, {name}"
            options = {"dataset_name": "tacos" if dataset == Dataset.TACOS else "charades"}
            rows.append(whole(f"MESM's evaluation, {what}", of_mesm.eval_submission, gold, predictions, **options))
            if dataset == Dataset.QVHIGHLIGHTS:
                rows.append(whole(f"Moment-DETR's evaluation, {what}", of_detr.eval_submission, gold, predictions))
            rows += singles(what, utils, gold, predictions)
    rows += processed(of_mesm)
    print("| what | values | largest difference |\n|---|---|---|")
    for one in rows:
        print(f"| {one['what']} | {one['values']} | {one['largest difference']:.1e} |")
    machine = {"processor": platform.processor() or platform.machine(), "numpy": np.__version__}
    files.write_json(out, {"machine": machine, "rows": rows}, sort_keys=False)
    if wrong := [one["what"] for one in rows if not one["largest difference"] <= one["bound"]]:
        raise SystemExit(f"too far from upstream: {', '.join(wrong)}")


if __name__ == "__main__":
    typer.run(main)
