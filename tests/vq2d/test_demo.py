"""The generated videos: what is annotated is what the camera sees."""

from pathlib import Path

import av
import pytest

from pipeline_lib.config.vq2d import Demo
from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import annotations, demo
from pipeline_lib.vq2d.demo_camera import Pose
from pipeline_lib.vq2d.demo_queries import GAP, SEEN, appearances

SMALL = Demo(seconds=25, width=128, height=96)


@pytest.fixture(scope="module")
def entries():
    return [demo.annotate(demo.take("val", number, 0, SMALL), "val", SMALL) for number in range(6)]


def test_a_view_is_where_its_pose_says():
    straight = Pose(100, 50, 1.0, 0.0)
    assert straight.see((90, 40, 110, 60), (64, 48)) == (22, 14, 42, 34)
    assert straight.affine((64, 48)) == (1, 0, 68, 0, 1, 26)
    near = Pose(100, 50, 0.5, 0.0)
    assert near.see((90, 40, 110, 60), (64, 48)) == (12, 4, 52, 44)


def test_queries_ask_for_the_last_appearance_and_show_another(entries):
    flat = annotations.flatten({"videos": entries}, "val")
    assert len(flat.queries) >= 20 and not flat.doubtful and not flat.malformed
    assert len({query["dataset_uid"] for query in flat.queries}) == len(flat.queries)
    for query in flat.queries:
        numbers = [box["frame_number"] for box in query["response_track"]]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) >= SEEN
        assert query["query_frame"] >= numbers[-1] + GAP
        assert query["visual_crop"]["frame_number"] not in numbers
        for box in [*query["response_track"], query["visual_crop"]]:
            assert box["x"] >= 0 and box["x"] + box["width"] <= 128.01 and box["height"] > 5
            assert (box["original_width"], box["original_height"]) == (128, 96)
    assert any(q["visual_crop"]["frame_number"] > q["query_frame"] for q in flat.queries)  # as in Ego4D


def test_nothing_is_seen_between_track_and_query(entries):
    shown = demo.take("val", 0, 0, SMALL)
    poses = shown.poses[: 25 * SMALL.fps + 1 : SMALL.fps // 5]
    sets = entries[0]["clips"][0]["annotations"][0]["query_sets"].values()
    assert sets
    for query in sets:
        things = [thing for thing in shown.room.things if thing.title == query["object_title"]]
        assert len(things) == 1
        seen = {fno for run in appearances(things[0], poses, SMALL) for fno, _ in run}
        last = query["response_track"][-1]["frame_number"]
        assert last in seen and not seen & set(range(last + 1, query["query_frame"]))


def test_clips_follow_each_other_and_frames_are_counted_in_the_video(entries):
    first, second = entries[1]["clips"]
    assert (first["video_start_frame"], first["video_end_frame"]) == (0, 250)
    assert (second["video_start_frame"], second["video_end_frame"]) == (250, 500)
    assert (second["video_start_sec"], second["video_end_sec"]) == (25, 50)
    box = next(iter(second["annotations"][0]["query_sets"].values()))["visual_crop"]
    assert box["video_frame_number"] == 250 + 2 * box["frame_number"]


def test_the_test_split_has_no_gold():
    entry = demo.annotate(demo.take("test", 0, 0, SMALL), "test", SMALL)
    flat = annotations.flatten({"videos": [entry]}, "test")
    assert flat.queries and all("response_track" not in query for query in flat.queries)
    assert all("annotation_uid" in query["metadata"] for query in flat.queries)


def test_a_demo_without_queries_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "query_sets", lambda *_: {})
    with pytest.raises(UserError, match=r"in 20 s of val with seed 0; set vq2d\.demo\.seconds higher"):
        demo.main(tmp_path / "demo", options='{"val": 1, "seconds": 20, "width": 128, "height": 96, "fps": 5}')
    assert not (tmp_path / "demo").exists()


def test_equal_seeds_give_equal_bytes(tmp_path: Path):
    tiny = Demo(seconds=20, width=128, height=96, fps=5)
    entries = [demo.make("val", 3, tiny, tmp_path / name, 0) for name in "ab"]
    assert entries[0] == entries[1]
    files = [tmp_path / name / "videos" / f"{entries[0]['video_uid']}.mp4" for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    with av.open(str(files[0])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 2 * 20 * 5 + 1
    assert demo.make("val", 4, tiny, tmp_path / "c", 0)["video_uid"] != entries[0]["video_uid"]
