"""Small annotation files, and the published one where it is → flat queries; what is wrong with some of them is said."""

import copy
import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.vq2d import annotations, clip_lists, process

DATA = Path(__file__).parents[3] / "shared" / "data" / "vq2d"

Json = dict[str, Any]


def box(frame: int, x: float = 10, y: float = 20.5, width: float = 30, height: float = 40.25) -> Json:
    size = {"rotation": 0, "original_width": 640, "original_height": 480}
    return {
        "frame_number": frame,
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        **size,
        "video_frame_number": frame * 6,
    }


def query_set(**more: Any) -> Json:
    fields = {"query_frame": 50, "response_track": [box(20), box(21)], "visual_crop": box(5), "object_title": "cup"}
    return {"is_valid": True, "errors": [], "warnings": [], **fields, **more}


def export(*sets: Json, split: str = "val", annotation: Json | None = None) -> Json:
    query_sets = {str(i): query_set for i, query_set in enumerate(sets, 1)}
    clip = {"clip_uid": "c1", "video_start_sec": 0.0, "video_end_sec": 20.0, "clip_fps": 5.0}
    clips = [{**clip, "annotations": [{"query_sets": query_sets, **(annotation or {})}]}]
    return {"version": "1", "videos": [{"video_uid": "v1", "split": split, "clips": clips}]}


def test_valid_query_sets_are_flattened_in_file_order() -> None:
    found = annotations.flatten(export(query_set(), {"is_valid": False}, query_set(object_title=None)), "val")
    metadata = {"video_uid": "v1", "video_start_sec": 0.0, "video_end_sec": 20.0, "clip_fps": 5.0}
    rest = {"query_frame": 50, "response_track": [box(20), box(21)], "visual_crop": box(5)}
    assert json.dumps(found.queries) == json.dumps(
        [
            {
                "metadata": metadata,
                "clip_uid": "c1",
                "query_set": name,
                **rest,
                "object_title": title,
                "dataset_uid": uid,
            }
            for name, title, uid in (("1", "cup", "val_0000000000"), ("3", None, "val_0000000001"))
        ]
    )
    assert (found.doubtful, found.malformed) == ([], [])
    assert found.counts == {"videos": 1, "clips": 1, "annotations": 2}


def test_the_unannotated_test_schema() -> None:
    sets = [{k: v for k, v in query_set().items() if k not in ("response_track", "object_title")}]
    found = annotations.flatten(export(*sets, split="test", annotation={"annotation_uid": "a1"}), "test")
    metadata = {"video_uid": "v1", "video_start_sec": 0.0, "video_end_sec": 20.0, "clip_fps": 5.0}
    metadata |= {"query_set": "1", "annotation_uid": "a1"}
    assert found.queries == [{"metadata": metadata, "clip_uid": "c1", "query_frame": 50, "visual_crop": box(5)}]
    found = annotations.flatten(export(*sets, split="test"), "test")
    assert found.malformed == ["clip c1, annotation 0, query set 1: 'annotation_uid' is missing"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"query_frame": None}, "query_frame = None"),
        ({"query_frame": -1}, "query_frame = -1"),
        ({"visual_crop": {**box(5), "width": 0}}, "visual_crop.width = 0: Input should be greater than 0"),
        ({"visual_crop": {**box(5), "x": float("nan")}}, "visual_crop.x = nan"),
        ({"visual_crop": {**box(5), "frame_number": "5"}}, "visual_crop.frame_number = '5'"),
        ({"response_track": []}, "response_track is empty"),
        ({"response_track": [box(20), {"frame_number": 21}]}, "response_track.1.x is missing"),
    ],
)
def test_a_malformed_query_is_named_and_left_out_and_the_others_keep_their_names(changed: Json, message: str) -> None:
    found = annotations.flatten(export(query_set(), query_set(**changed), query_set()), "val")
    assert [query["dataset_uid"] for query in found.queries] == ["val_0000000000", "val_0000000002"]
    (mistake,) = found.malformed
    assert mistake.startswith("clip c1, annotation 0, query set 2: ")
    assert message in mistake
    missing = query_set()
    del missing["object_title"]
    assert annotations.flatten(export(missing), "val").malformed == [
        "clip c1, annotation 0, query set 1: 'object_title' is missing"
    ]


@pytest.mark.parametrize(
    ("changed", "doubt"),
    [
        ({"visual_crop": box(90)}, None),  # after the query frame: as in two thirds of the published queries
        ({"visual_crop": box(5, x=-20)}, None),  # half of it outside
        ({"visual_crop": box(5, x=-30)}, "its visual crop (-30, 20.5, 0, 60.75) is outside the 640×480 frame"),
        ({"visual_crop": box(5, y=480)}, "its visual crop (10, 480, 40, 520.25) is outside the 640×480 frame"),
        ({"query_frame": 0}, "query_frame is 0: no frame lies before it"),
        ({"query_frame": 101}, None),  # 20 s at 5 fps are the frames 0..100
        ({"query_frame": 102}, "query_frame is at frame 102, but the clip has 101 frames"),
        ({"visual_crop": box(101)}, "visual_crop is at frame 101, but the clip has 101 frames"),
        ({"response_track": [box(101), box(100)]}, "response_track is at frame 101, but the clip has 101 frames"),
    ],
)
def test_queries_that_cannot_be_searched_are_kept_and_named(changed: Json, doubt: str | None) -> None:
    found = annotations.flatten(export(query_set(**changed)), "val")
    assert len(found.queries) == 1
    assert found.doubtful == ([f"clip c1, annotation 0, query set 1 (val_0000000000): {doubt}"] if doubt else [])


def test_queries_before_their_crop_are_named_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    early = query_set(query_frame=50, visual_crop=box(50))
    (tmp_path / "vq_val.json").write_text(json.dumps(export(query_set(), early, query_set(visual_crop=box(80)))))
    with caplog.at_level(logging.INFO):
        found = process.process(tmp_path / "vq_val.json", "val", tmp_path / "annot.json")
    assert len(found.queries) == 3 and found.doubtful == []
    assert "2 of 3 queries are before their crop, which is no mistake: val_0000000001, val_0000000002" in caplog.text


def test_a_clip_shorter_than_its_annotation_is_told_by_its_frames() -> None:
    (flat,) = annotations.flatten(export(query_set()), "val").queries
    query = annotations.Query.model_validate(flat)
    assert annotations.doubts(query, 50) == []
    assert annotations.doubts(query, 15) == [
        "query_frame is at frame 50, but the clip has 15 frames",
        "response_track is at frame 21, but the clip has 15 frames",
    ]
    assert annotations.doubts(query.model_copy(update={"clip_uid": None})) == ["it has no clip"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "has no list of videos"),
        ('{"videos": [3]}', "video 0 has no video_uid"),
        ('{"videos": [{"video_uid": "v", "split": "val"}]}', "video v has no clips"),
        (
            '{"videos": [{"video_uid": "v", "split": "train", "clips": []}]}',
            "of split 'train', not 'val'; give --split train",
        ),
        ('{"videos": []}', "no valid query"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "vq_val.json").write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        process.process(tmp_path / "vq_val.json", "val", tmp_path / "out.json")
    assert str(tmp_path / "vq_val.json") in str(caught.value)
    assert not (tmp_path / "out.json").exists()


def test_clip_lists_of_every_kind(tmp_path: Path) -> None:
    for name, content in (
        ("clips.txt", "a\n\n b \n"),
        ("marked.txt", "\ufeffa\nb\n"),  # a byte order mark, as some editors leave it
        ("list.json", '["a", "b"]'),
        ("marked.json", '\ufeff["a", "b"]'),
        ("splits.json", '{"train": ["a"], "val": ["b"]}'),
        ("vq3d.json", '{"videos": [{"clips": [{"clip_uid": "a"}, {"clip_uid": "b"}]}]}'),
        ("mapping.json", '{"v1": {"a": {"0": {"1": {"ai": 0, "qset_id": "1"}}}}, "v2": {"b": {}}}'),
    ):
        (tmp_path / name).write_text(content)
        assert clip_lists.read(tmp_path / name) == {"a", "b"}, name
    for content in ("[]", "3", '{"videos": [{"clips": [{}]}]}', '{"videos": [{}]}'):
        (tmp_path / "wrong.json").write_text(content)
        with pytest.raises(UserError, match=r"wrong\.json"):
            clip_lists.read(tmp_path / "wrong.json")


def test_process_writes_both_splits_and_prints_their_sizes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    whole = export(query_set(), query_set(query_frame=0), {**query_set(), "query_frame": "x"})
    other = copy.deepcopy(whole["videos"][0]["clips"][0]) | {"clip_uid": "c2"}
    whole["videos"][0]["clips"].append(other)
    (tmp_path / "vq_train.json").write_text(json.dumps(export(query_set(), split="train")))
    (tmp_path / "vq_val.json").write_text(json.dumps(whole))
    with caplog.at_level(logging.WARNING):
        process.main(annot_root=tmp_path, save_root=tmp_path / "out")
    with gzip.open(tmp_path / "out/val_annot.json.gz", "rt") as stream:
        assert stream.read() == json.dumps(annotations.flatten(whole, "val").queries)
    assert annotations.read_flat(tmp_path / "out/train_annot.json.gz")[0]["dataset_uid"] == "train_0000000000"
    shown = capsys.readouterr().out
    assert (
        "# videos     : 1\n# clips      : 2\n# annotations: 4\n# left out   : 2 malformed\n# doubtful   : 2, kept\n"
        in shown
    )
    assert "left out: clip c1, annotation 0, query set 3: query_frame = 'x'" in caplog.text
    before = (tmp_path / "out/val_annot.json.gz").read_bytes()
    (tmp_path / "clips.txt").write_text("c2\nc3\n")
    process.main(tmp_path / "vq_val.json", process.Split.VAL, tmp_path / "c2.json", clips=tmp_path / "clips.txt")
    chosen = json.loads((tmp_path / "c2.json").read_text())
    assert [(query["clip_uid"], query["dataset_uid"]) for query in chosen] == [
        ("c2", "val_0000000000"),
        ("c2", "val_0000000001"),
    ]
    assert "1 of 2 listed clips have no query" in caplog.text
    process.main(annot_root=tmp_path, save_root=tmp_path / "out")
    assert (tmp_path / "out/val_annot.json.gz").read_bytes() == before


def test_options_that_contradict_each_other_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give --annotations, --split and --out"):
        process.main()
    with pytest.raises(UserError, match="leave out --annotations"):
        process.main(annot_root=tmp_path, out=tmp_path / "x.json")
    with pytest.raises(UserError, match=r"vq_train\.json does not exist"):
        process.main(annot_root=tmp_path)


def test_a_file_named_for_another_split_is_to_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "vq_train.json").write_text(json.dumps(export(query_set(), split="val")))
    with pytest.raises(UserError, match=r"vq_train\.json: video v1 is of split 'val', not 'train'; .*rename the file"):
        process.main(annot_root=tmp_path, save_root=tmp_path / "out")


@pytest.mark.skipif(not DATA.exists(), reason="the published annotations are not here")
def test_the_published_list_comes_out_value_by_value(tmp_path: Path) -> None:
    found = process.process(DATA / "vq_val_vq3d.json", "val", tmp_path / "val_annot_vq3d.json")
    golden = json.loads((DATA / "val_annot_vq3d.json").read_text())
    assert (tmp_path / "val_annot_vq3d.json").read_text() == json.dumps(
        golden
    )  # keys' order and 0 against 0.0 included
    assert found.counts == {"videos": 17, "clips": 44, "annotations": 228}
    assert (found.doubtful, found.malformed) == ([], [])
