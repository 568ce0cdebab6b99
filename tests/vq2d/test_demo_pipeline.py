"""The demo from videos to measures, through the modules that the workflow calls, with untrained weights."""

import json
from pathlib import Path

import pytest

from pipeline_lib.core import files
from pipeline_lib.features import weights
from pipeline_lib.vq2d import clips, demo, detect, detections, evaluate, frames, peaks, process

OPTIONS = json.dumps({"downscale_height": 144})


@pytest.mark.slow
def test_peaks_hit_the_last_appearance(tmp_path: Path) -> None:
    demo.main(tmp_path, "val", json.dumps({"val": 1, "seconds": 25}))
    process.main(tmp_path / "vq_val.json", process.Split.VAL, tmp_path / "annot.json.gz")
    clips.main([tmp_path / "vq_val.json"], tmp_path / "videos", tmp_path / "clips", jobs=2)
    frames.main(tmp_path / "clips", tmp_path / "frames")
    weights.main("objects", tmp_path / "objects.safetensors", lock=tmp_path / "lock", cache=tmp_path)
    detect.main(
        tmp_path / "annot.json.gz",
        tmp_path / "detections.json",
        tmp_path / "objects.safetensors",
        clips=tmp_path / "clips",
        options=OPTIONS,
        where="cpu",
    )
    found = list(detections.read(tmp_path / "detections.json"))
    assert len(found) >= 3 and all(len(one.boxes) == one.query_frame for one in found)
    assert len(list((tmp_path / "frames" / found[0].clip_uid).iterdir())) == 126
    peaks.main(tmp_path / "detections.json", tmp_path / "peaks.json", peaks.Mode.ALL)
    evaluate.main(tmp_path / "peaks.json", tmp_path / "annot.json.gz", tmp_path / "eval.json", evaluate.Metrics.PEAKS)
    measured = files.read_json(tmp_path / "eval.json")
    assert measured["queries"] == len(found) and measured["peaks"]["last_recall"] >= 90
