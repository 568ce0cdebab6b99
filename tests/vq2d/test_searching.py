"""Queries searched with a detector whose answers are known: its score in a frame is the frame's grey level."""

import json

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.config.vq2d import Detection
from pipeline_lib.core import ledger
from pipeline_lib.core.errors import ItemError, Reason, StopStage, UserError
from pipeline_lib.vq2d import collect, detect, detections, json_files
from pipeline_lib.vq2d.annotations import Query
from pipeline_lib.vq2d.clip_reader import Images
from pipeline_lib.vq2d.detectors import Found
from pipeline_lib.vq2d.searching import search_clip

SIZE = (40, 20)  # original width and height
FRAMES = 12


class Grey:
    """Finds one box in every frame, and none in black ones; counts what it is asked."""

    def __init__(self):
        self.seen = []  # shapes of batches

    def background(self, pictures):
        return len(pictures)

    def query(self, reference, background):
        return int(reference.picture.mean())

    def regions(self, pictures, background):
        self.seen.append(pictures.shape)
        return [int(picture.mean()) for picture in pictures]

    def find(self, regions, query):
        if regions == 0:
            return Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), None)
        score = regions / 255
        return Found(
            np.array([[1, 2, 5.9, 9], [0, 0, 1, 1]], np.float32),
            np.array([score, score / 2], np.float32),
            query - regions,
        )


def query(number, query_frame, crop_frame=0, clip="c", **crop):
    visual = {"x": 4, "y": 2, "width": 8, "height": 8, "original_width": SIZE[0], "original_height": SIZE[1]}
    track = [{"frame_number": 2, **visual}]
    return {
        "metadata": {"video_uid": "v", "video_start_sec": 0, "video_end_sec": 2.2, "clip_fps": 5.0},
        "clip_uid": clip,
        "query_set": "1",
        "query_frame": query_frame,
        "response_track": track,
        "visual_crop": {"frame_number": crop_frame, **visual, **crop},
        "object_title": "mug",
        "dataset_uid": f"val_{number:010d}",
    }


@pytest.fixture
def folder(tmp_path):
    """JPEGs of the clips c and d, frame i grey level 20·i."""
    for clip in "cd":
        (tmp_path / "frames" / clip).mkdir(parents=True)
        for number in range(FRAMES):
            pixels = np.full((SIZE[1], SIZE[0], 3), 20 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "frames" / clip / f"color_{number:07d}.jpg")
    return tmp_path


OPTIONS = Detection(downscale_height=32)


def found(queries, folder, options=OPTIONS, batch=1, detector=None):
    named = [(one["dataset_uid"], Query.model_validate(one)) for one in queries]
    return dict(search_clip(named, Images(folder / "frames", "egoloc"), lambda: detector or Grey(), options, batch))


def test_frames_before_the_query_are_searched_and_boxes_return_to_the_original_size(folder):
    result = found([query(0, 4)], folder)["val_0000000000"]
    assert result.window == [0, 1, 2, 3]
    assert [len(boxes) for boxes in result.boxes] == [0, 2, 2, 2]
    assert result.boxes[1].tolist() == [[0, 1, 3, 5], [0, 0, 0, 0]]  # divided by 1.6, fractions dropped
    assert [round(float(scores[0]) * 255) for scores in result.scores[1:]] == [20, 40, 60]
    assert result.similarity == [None, -20, -40, -60]


def test_a_crop_after_the_query_is_read_but_not_searched(folder):
    result = found([query(0, 3, crop_frame=11)], folder)["val_0000000000"]
    assert result.window == [0, 1, 2] and result.similarity == [None, 200, 180]


def test_a_clips_frames_are_looked_at_once_for_all_queries(folder):
    detector = Grey()
    queries = [query(0, 5), query(1, 9), query(2, 3)]
    together = found(queries, folder, detector=detector)
    assert len(detector.seen) == 9
    for one in queries:
        alone = found([one], folder)[one["dataset_uid"]]
        same = together[one["dataset_uid"]]
        assert alone.window == same.window
        assert all((a == b).all() for a, b in zip(alone.boxes, same.boxes, strict=True))
        assert all((a == b).all() for a, b in zip(alone.scores, same.scores, strict=True))


def test_queries_of_two_original_sizes_are_two_passes(folder):
    detector = Grey()
    wide = {"original_width": 80, "original_height": 40}
    together = found([query(0, 5), query(1, 5, **wide), query(2, 5)], folder, detector=detector)
    assert len(detector.seen) == 2 * 5
    assert [together[f"val_{i:010d}"].boxes[1].tolist()[0] for i in range(3)] == [
        [0, 1, 3, 5],
        [1, 2, 7, 11],
        [0, 1, 3, 5],
    ]


def test_incomplete_batches_are_filled_up(folder):
    detector = Grey()
    result = found([query(0, 5)], folder, batch=4, detector=detector)["val_0000000000"]
    assert detector.seen == [(4, 32, 64, 3)] * 2 and len(result.boxes) == 5


@pytest.mark.parametrize(
    "words", ["CUDA out of memory. Tried to allocate 2 GiB", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"]
)
def test_a_full_device_stops_the_stage_with_what_to_do(folder, words):
    class Full(Grey):
        def regions(self, pictures, background):
            raise RuntimeError(words)

    with pytest.raises(StopStage, match="batch = 4 pictures don't fit into the device's memory; lower it"):
        found([query(0, 6)], folder, batch=4, detector=Full())


def test_recency_and_subsampling(folder):
    result = found([query(0, 8)], folder, Detection(downscale_height=32, recency_factor=0.5, subsampling_factor=0.5))
    assert result["val_0000000000"].window == [4, 7]


def test_what_cannot_be_searched_is_named_and_the_others_go_on(folder):
    queries = [query(0, 5), query(1, 5, x=100), query(2, 0), query(3, 5, crop_frame=12), query(4, 13)]
    results = found(queries, folder)
    assert len(results["val_0000000000"].boxes) == 5
    reasons = {name: one.reason for name, one in results.items() if isinstance(one, ItemError)}
    assert reasons == {
        "val_0000000001": Reason.BAD_ANNOTATION,
        "val_0000000002": Reason.BAD_ANNOTATION,
        "val_0000000003": Reason.TOO_SHORT,
        "val_0000000004": Reason.TOO_SHORT,
    }
    missing = found([query(0, 5, clip="gone")], folder)["val_0000000000"]
    assert missing.reason == Reason.MISSING_FILE


def test_a_broken_picture_ends_its_clip_only(folder):
    (folder / "frames/c/color_0000003.jpg").write_bytes(b"no picture")
    result = found([query(0, 5)], folder)["val_0000000000"]
    assert result.reason == Reason.UNDECODABLE and "color_0000003.jpg" in result.detail


@pytest.fixture
def run(folder, monkeypatch):
    detectors = []

    def build(*_):
        detectors.append(Grey())
        return detectors[-1]

    monkeypatch.setattr(detect, "build", build)
    (folder / "weights").write_bytes(b"")

    def main(queries, out="d.json", **options):
        json_files.write(folder / "annot.json.gz", queries)
        detect.main(
            folder / "annot.json.gz",
            folder / out,
            folder / "weights",
            images=folder / "frames",
            options='{"downscale_height": 32}',
            where="cpu",
            **options,
        )
        return detectors

    return main


QUERIES = [query(0, 5, clip="d"), query(1, 0), query(2, 7), query(3, 4, clip="gone"), query(4, 3, crop_frame=9)]


def test_the_official_file_has_the_queries_in_order(run, folder):
    run(QUERIES)
    found = list(detections.read(folder / "d.json"))
    assert [one.dataset_uid for one in found] == ["val_0000000000", "val_0000000002", "val_0000000004"]
    assert [len(one.boxes) for one in found] == [5, 7, 3] and found[0].clip_uid == "d"
    raw = json.loads((folder / "d.json").read_text())["dataset_predictions"][0]
    assert raw["top_boxes_per_clip"][1][0] == {"fno": 1, "x1": 0, "x2": 3, "y1": 1, "y2": 5}
    assert raw["top_boxes_per_clip"][0] == [] == raw["top_scores_per_clip"][0]
    assert raw["clip_similarity"][:2] == [None, -20] and "search_frames" not in raw
    rows = ledger.read(folder / "d.queries/0000.parquet")
    assert rows["val_0000000001"].reason == "bad_annotation" and rows["val_0000000003"].reason == "missing_file"


def test_a_killed_run_goes_on_and_gives_the_same_bytes(run, folder, monkeypatch):
    run(QUERIES, out="whole.json")
    original, calls = Grey.find, []

    def dies(self, regions, query):
        calls.append(regions)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return original(self, regions, query)

    monkeypatch.setattr(Grey, "find", dies)
    with pytest.raises(KeyboardInterrupt):
        run(QUERIES)
    assert not (folder / "d.json").exists()
    monkeypatch.setattr(Grey, "find", original)
    detectors = run(QUERIES)
    assert (folder / "d.json").read_bytes() == (folder / "whole.json").read_bytes()
    before = len(detectors)
    assert len(run(QUERIES)) == before  # nothing to do: no network is built
    assert (folder / "d.json").read_bytes() == (folder / "whole.json").read_bytes()


def test_shards_give_the_same_file(run, folder):
    run(QUERIES)
    for shard in range(3):
        run(QUERIES, out="s.json", shard=shard, shards=3)
    assert not (folder / "s.json").exists()
    ledgers = sorted((folder / "s.queries").glob("*.parquet"))
    collect.main(ledgers, folder / "annot.json.gz", folder / "s.json")
    assert (folder / "s.json").read_bytes() == (folder / "d.json").read_bytes()
    with pytest.raises(UserError, match="no ledger has query"):
        collect.main(ledgers[:1], folder / "annot.json.gz", folder / "s.json")


def test_what_does_not_fit_the_ledgers_is_not_collected(run, folder):
    run(QUERIES)
    made = [folder / "d.queries/0000.parquet"], folder / "annot.json.gz", folder / "again.json"
    collect.main(*made)
    json_files.write(folder / "annot.json.gz", [query(0, 6, clip="d"), *QUERIES[1:]])
    with pytest.raises(UserError, match="query val_0000000000 is not what was searched under that name"):
        collect.main(*made)
    json_files.write(folder / "annot.json.gz", QUERIES)
    (stored,) = folder.glob("d.queries/items/*/0000/val_0000000002.npz")
    stored.write_bytes(b"PK")
    with pytest.raises(UserError, match="detections of query val_0000000002 are gone or damaged"):
        collect.main(*made)
    stored.unlink()
    with pytest.raises(UserError, match="detections of query val_0000000002 are gone or damaged"):
        collect.main(*made)


def test_an_empty_file_is_said(run, folder, caplog):
    with caplog.at_level("INFO"):
        run([query(0, 0), query(1, 100)])
    assert "d.json is empty: none of 2 queries could be searched" in caplog.text
    assert list(detections.read(folder / "d.json")) == []


def test_a_changed_query_is_searched_again(run, folder):
    run(QUERIES)
    changed = [query(0, 6, clip="d"), *QUERIES[1:]]
    run(changed)
    assert [len(one.boxes) for one in detections.read(folder / "d.json")] == [6, 7, 3]


def test_the_test_split_keeps_its_metadata(run, folder):
    flat = query(0, 4)
    for key in ("dataset_uid", "response_track", "object_title", "query_set"):
        del flat[key]
    flat["metadata"] |= {"annotation_uid": "a", "query_set": "1"}
    run([flat])
    (found,) = detections.read(folder / "d.json")
    assert found.dataset_uid == flat and found.metadata == flat["metadata"] and found.response_track is None


def test_a_folder_without_any_of_the_clips_is_refused_and_nothing_written(run, folder):
    with pytest.raises(UserError, match="neither gone nor any other; give --frames"):
        run([query(0, 4, clip="gone")])
    (folder / "frames").rename(folder / "moved")
    with pytest.raises(UserError, match="frames is no folder; give --frames"):
        run(QUERIES)
    assert not (folder / "d.queries").exists() and not (folder / "d.json").exists()


def test_a_shard_may_find_no_clips_while_others_are_cut(run, folder):
    (folder / "frames/ledger").mkdir()
    run([query(0, 4, clip="gone")], shard=0, shards=1)
    assert ledger.read(folder / "d.queries/0000.parquet")["val_0000000000"].reason == "missing_file"


def test_a_detector_that_cannot_be_built_leaves_nothing(run, folder, monkeypatch):
    def broken(*_):
        raise UserError("wrong weights")

    monkeypatch.setattr(detect, "build", broken)
    with pytest.raises(UserError, match="wrong weights"):
        run(QUERIES)
    assert not (folder / "d.queries").exists()


def test_mistakes_are_one_line(run, folder):
    with pytest.raises(UserError, match="query val_0000000000 is there twice"):
        run([query(0, 4), query(0, 4)])
    with pytest.raises(UserError, match="--shard 4 of --shards 2"):
        run(QUERIES, shard=4, shards=2)
    with pytest.raises(UserError, match="give either --clips or --frames"):
        run(QUERIES, clips=folder)
