"""The features that no task here needs, frames that are not stored, and the files for other people's code."""

import json

import h5py
import numpy as np
import pytest
from workflow_project import TINY

from pipeline_lib.core import ledger

pytestmark = pytest.mark.slow

ALSO = {
    "also": ["resnet152", "resnext101", "clip", "clip_text"],
    "resnet152": {"fps": 0.5, "size": 64},
    "resnext101": {"fps": 4.0, "size": 64},
    "clip": {"every": 4.0},
}


def test_every_other_feature_and_export(project):
    project.configure(features={**TINY["features"], **ALSO})
    exports = ("work/export/objects.tsv", "work/export/objects_npz", "work/export/videoID2obj.json")
    project.run("all", *exports)
    work = project.folder / "work"
    rows = {"resnet152": 4, "resnext101": 2, "clip": 3, "clip_text": None}
    for feature, expected in rows.items():
        with h5py.File(work / f"{feature}.hdf5") as store:
            assert len(store) == 12
            for video in store.values():
                assert video.dtype == np.float16 and video.shape[1] == (512 if "clip" in feature else 2048)
                assert np.linalg.norm(video[:].astype(np.float32), axis=1) == pytest.approx(1.0, abs=2e-3)
                assert expected is None or abs(len(video) - expected) <= 1
    with h5py.File(work / "objects.hdf5") as store:
        frames = sum(len(group["features"]) for group in store.values())
        assert {(group.attrs["width"], group.attrs["height"]) for group in store.values()} == {(96, 64)}
    assert len((work / "export/objects.tsv").read_text().splitlines()) == frames
    assert len(list((work / "export/objects_npz").glob("*.npz"))) == frames
    assert len(json.loads((work / "export/videoID2obj.json").read_text())) == 12
    assert project.planned() == {}


def test_frames_needn_be_stored(project):
    """Then objects are made from the videos; here from their keyframes, in windows of another preset as well."""
    features = {
        **TINY["features"],
        "s3d": {"preset": "dense_16fps_32", "frames": 8, "stride": 8, "size": 64, "fps": 4.0},
    }
    project.configure(frames={"store": False, "mode": "keyframe"}, features=features)
    assert "frames" not in project.planned()
    project.run()
    rows = ledger.read_shards(project.folder / "work/objects", 2)
    assert all(row.ok for row in rows.values()) and {row.rows for row in rows.values()} == {3}
    assert project.planned() == {}
