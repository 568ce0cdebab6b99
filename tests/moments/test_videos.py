"""Feature files → rows: side by side, of unit length, pooled, with their ends; what doesn't fit is named."""

import logging

import h5py
import numpy as np
import pytest

from pipeline_lib.config.moments import MomentsData
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import videos
from pipeline_lib.moments.videos import Scale, Videos

PLAIN = MomentsData(use_tef=False, normalise_video=False)


def store(path, stage="", step=None, **arrays):
    with h5py.File(path, "w") as file:
        for name, rows in arrays.items():
            file[name] = np.asarray(rows, np.float32)
        if step is not None:
            file.attrs.update({"spec": f'{{"stage":"{stage}"}}', "step": step, "start": 0.0})
    return path


def test_rows_of_two_files_are_of_unit_length_each_and_cut_to_the_shorter(tmp_path):
    one = store(tmp_path / "a.hdf5", v=[[3, 4], [0, 0], [1, 0]])
    two = store(tmp_path / "b.hdf5", v=[[2], [5]])
    with Videos([one, two], PLAIN.model_copy(update={"normalise_video": True, "use_tef": True})) as opened:
        expected = [[0.6, 0.8, 1, 0, 0.5], [0, 0, 1, 0.5, 1]]
        np.testing.assert_allclose(opened["v"].rows, expected, atol=1e-7)
        assert opened["v"].stored == 2 and opened.dim("v") == 5


def test_pooling_takes_means_between_rounded_boundaries():
    # 5 rows to 3: round(k / 3 · 5) = 0, 2, 3, 5 → 4; the last row belongs to none, as upstream
    rows = np.array([[0], [1], [2], [3], [4]], np.float32)
    assert videos.boundaries(5, 3).tolist() == [0, 2, 3, 4]
    assert videos.pooled(rows, 3).ravel().tolist() == [0.5, 2.0, 3.0]
    assert videos.pooled(rows, 5) is rows
    # 4 to 3: 0, 1.33, 2.67, 4 → 0, 1, 3, 3: the last boundary coincides with the one before it, so row 3 stands alone
    assert videos.boundaries(4, 3).tolist() == [0, 1, 3, 3]
    assert videos.pooled(rows[:4], 3).ravel().tolist() == [0.0, 1.5, 3.0]


def test_qvhighlights_is_cut_and_others_are_pooled(tmp_path):
    path = store(tmp_path / "a.hdf5", v=[[1], [3], [5], [9]])
    options = PLAIN.model_copy(update={"max_video": 2})
    with Videos([path], options, cut=True) as opened:
        assert opened["v"].rows.ravel().tolist() == [1, 3]
    with Videos([path], options) as opened:
        assert opened["v"].rows.ravel().tolist() == [2, 5] and opened["v"].stored == 4


def test_a_missing_video_and_uneven_files_are_left_out_and_named(tmp_path, caplog):
    one = store(tmp_path / "a.hdf5", v=np.ones((5, 1)), w=np.ones((5, 1)), x=np.ones((9, 1)))
    two = store(tmp_path / "b.hdf5", v=np.ones((6, 1)), x=np.ones((5, 1)))
    with Videos([one, two], PLAIN) as opened, caplog.at_level(logging.WARNING):
        assert opened.why_not("v") is None  # a clip more or less is rounding
        assert opened.why_not("w") == "not in b.hdf5"
        assert opened.why_not("x") == "5 clips in b.hdf5, 9 clips in a.hdf5"
        assert opened.usable(["v", "w", "x", "v"], "train") == {"v"}
        assert "train: 2 of 3 videos are left out: w (not in b.hdf5), x (5 clips" in caplog.text
        with pytest.raises(UserError, match=r"test: no video can be used, first w \(not in b.hdf5\)"):
            opened.usable(["w"], "test")
    caplog.clear()
    with Videos([one, two], PLAIN.model_copy(update={"uneven": "cut"})) as opened, caplog.at_level(logging.WARNING):
        assert opened.usable(["x"], "train") == {"x"} and len(opened["x"].rows) == 5
        assert "1 videos are cut to their shortest file: x (5 clips" in caplog.text


def test_rows_with_times_are_put_on_clips(tmp_path):
    # windows of 1.6 s: [0, 1.6), [1.6, 3.2), [3.2, 4.8); frames at 0, 3 s
    windows = store(tmp_path / "s3d.hdf5", "s3d", 1.6, v=[[1], [2], [3]])
    frames = store(tmp_path / "clip.hdf5", "clip", 3.0, v=[[10], [20]])
    with Videos([windows, frames], PLAIN.model_copy(update={"clip_len": 0.8})) as opened:
        assert opened.why_not("v") is None
        # clips of 0.8 s: each window stands for two; the frame at 0 is nearest up to 1.5 s, that at 3 s from there on
        assert opened["v"].rows[:, 0].tolist() == [1, 1, 2, 2, 3, 3]
        assert opened["v"].rows[:, 1].tolist() == [10, 10, 20, 20, 20, 20]
    with Videos([windows], PLAIN.model_copy(update={"clip_len": 3.2})) as opened:
        assert opened["v"].rows[0, 0] == 1.5  # both windows whose middles lie in the clip
    with Videos([windows], PLAIN.model_copy(update={"clip_len": -1})) as opened:
        assert opened["v"].rows.ravel().tolist() == [1, 2, 3]


def test_files_with_times_may_differ_by_what_their_last_rows_can_not_tell(tmp_path):
    windows = store(tmp_path / "s3d.hdf5", "s3d", 1.6, v=np.ones((9, 1)), w=np.ones((9, 1)))
    # 15 s: 9 whole windows of 1.6 s (14.4 s), frames at 0, 3 … 15 s; 30 s of frames is another film
    frames = store(tmp_path / "clip.hdf5", "clip", 3.0, v=np.ones((6, 1)), w=np.ones((11, 1)))
    with Videos([windows, frames], PLAIN.model_copy(update={"clip_len": 1.6})) as opened:
        assert opened.why_not("v") is None
        assert opened.why_not("w") == "9 clips in s3d.hdf5, 20.62 clips in clip.hdf5"


def test_standardised_rows(tmp_path):
    path = store(tmp_path / "a.hdf5", v=[[1, 7], [3, 7]])
    with Videos([path], PLAIN) as opened:
        opened.scales = opened.measure(["v"])
        assert opened["v"].rows.tolist() == [[-1, 0], [1, 0]]
    assert Scale.of([np.zeros((3, 2))]).std.tolist() == [1, 1]


def test_broken_features_are_named(tmp_path):
    path = store(tmp_path / "a.hdf5", v=[[np.nan]], w=np.zeros((0, 4)))
    with Videos([path], PLAIN) as opened:
        with pytest.raises(UserError, match="the features of v hold NaN"):
            opened["v"]
        assert opened.why_not("w") == "no rows in a.hdf5"
    (tmp_path / "b.hdf5").write_text("no")
    with pytest.raises(UserError, match=r"b.hdf5 can't be read as HDF5"):
        Videos([tmp_path / "b.hdf5"], PLAIN)
    with pytest.raises(UserError, match=r"c.hdf5 does not exist"):
        Videos([tmp_path / "c.hdf5"], PLAIN)


def test_windows_may_lack_a_last_one_and_frames_may_not(tmp_path):
    eight = store(tmp_path / "a.hdf5", v=np.ones((8, 1)))
    for stage, reason in (("s3d", None), ("clip", "6 clips in b.hdf5, 8 clips in a.hdf5")):
        timed = store(tmp_path / "b.hdf5", stage=stage, step=3.0, v=np.ones((2, 1)))  # 6 s, or up to 9 s
        with Videos([eight, timed], PLAIN) as opened:
            assert opened.why_not("v") == reason


def test_what_cannot_be_standardised_is_named_by_its_video(tmp_path):
    nan = store(tmp_path / "a.hdf5", v=[[1, 2]], w=[[1, np.nan]])
    with (
        Videos([nan], PLAIN) as opened,
        pytest.raises(UserError, match="the features of w hold NaN"),
    ):  # not v, the first
        opened.measure(["v", "w"])
    two = store(tmp_path / "b.hdf5", v=[[1]], w=[[1, 2]])
    message = r"b.hdf5: videos have features of different columns \(1 of v, 2 of w\); give one kind"
    with Videos([two], PLAIN) as opened, pytest.raises(UserError, match=message):
        opened.measure(["v", "w"])


def test_a_squeezed_video_is_one_row(tmp_path):
    with Videos([store(tmp_path / "a.hdf5", v=[1, 2, 3])], PLAIN) as opened:
        assert opened["v"].rows.tolist() == [[1, 2, 3]]
