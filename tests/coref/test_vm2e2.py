import json
from pathlib import Path

import pytest

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import vm2e2, vm2e2_articles, vm2e2_boxes, vm2e2_reader

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "vm2e2" / "vid_annotation.json"
TITLE = "Iraqs army enters Mosul - BBC News"


def argument(event=None, box=(10, 20, 30, 40)):
    return {"Bounding_Box": list(box), "Event_Type": 4, "ROLE_TYPE": 7, "Entity_Type": 2, "Event_Coreference": event}


def event(start, end, kind, *arguments):
    frames = [{"Timestamp": start, "Arguments": list(arguments)}]
    return {"Temporal_Boundary": [start, end], "Event_Type": kind, "Key_Frames": frames}


@pytest.fixture
def given(tmp_path):
    """Two videos, the first with two events that the article tells of, and the article of the first."""
    content = {
        f"{TITLE}.mp4": [
            event(1, 5, 4, argument(3), argument(None)),
            event(6, 9.5, 12, argument(1), argument(3)),
            event(9, 12, 0, argument()),
        ],
        "Another one.mp4": [event(0, 2, 1, argument(2))],
    }
    article = {"title": "Iraq's army enters Mosul: BBC News", "article": "Soldiers march. A bridge falls.\nOne died."}
    files.write_json(tmp_path / "vid_annotation.json", content)
    files.write_json(tmp_path / "articles.json", {"abc": {**article, "duration": 20.0}})
    return tmp_path


def run(folder, articles="articles.json", **tables):
    for name, value in tables.items():
        if isinstance(value, dict):
            files.write_json(folder / f"{name}.json", value)
            tables[name] = folder / f"{name}.json"
    vm2e2.main(folder / "vid_annotation.json", folder / articles, folder / "annotations.json", **tables)
    found, left_out = (files.read_json(folder / f"annotations{suffix}.json") for suffix in ("", ".left_out"))
    return found, left_out


def test_events_sentences_and_pairs(given):
    found, left_out = run(
        given,
        coreference={TITLE: {"1": [2], "3": ["A bridge falls.", 0], "9": [1]}},
        proposals={"abc": [5.5, 9]},
        splits={TITLE: "val"},
        types={"4": "march", "12": "die"},
    )
    assert found == {
        "abc": {
            "split": "val",
            "duration": 20.0,
            "article_sentences": ["Soldiers march.", "A bridge falls.", "One died."],
            "temporal_proposals": [5.5, 9.0],
            "events": [
                {"start": 1.0, "end": 5.0, "type": "march"},
                {"start": 6.0, "end": 9.5, "type": "die"},
                {"start": 9.0, "end": 12.0, "type": "type_0"},
            ],
            "event_coreference": [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]],
        }
    }
    assert left_out == {"Another one": "no article"}


def test_without_coreference_there_are_no_pairs_and_it_is_said(given, caplog):
    found, _ = run(given)
    assert found["abc"]["event_coreference"] == [] and found["abc"]["split"] in ("val", "test")
    assert "2 events corefer with the article, but --coreference doesn't say" in caplog.text


def test_a_folder_of_articles(given):
    folder = given / "texts"
    folder.mkdir()
    (folder / f"{TITLE}.txt").write_text("One. Two.")
    (folder / "Another one.info.json").write_text(json.dumps({"description": "Text of yt-dlp.", "duration": 3}))
    (folder / "Another one.description").write_text("Better text.")
    found, left_out = run(given, "texts")
    assert not left_out and sorted(entry["duration"] for entry in found.values()) == [3.0, 12.0]
    assert sorted(entry["article_sentences"] for entry in found.values()) == [["Better text."], ["One.", "Two."]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.update(abd=dict(table["abc"])), "2 articles have this title: abc, abd"),
        (lambda table: table["abc"].update(article=" \n"), "its article has no sentences"),
        (lambda table: table["abc"].update(duration=-1.0), "duration = -1.0"),
        (lambda table: table["abc"].update(duration=float("inf")), "should be a finite number"),
        (lambda table: table["abc"].update(article="Bad \ud800 text."), "surrogates not allowed"),
    ],
)
def test_a_bad_article_leaves_out_its_video_alone(given, change, reason):
    table = files.read_json(given / "articles.json")
    table["Another one"] = {"title": "", "article": "Fine."}
    change(table)
    (given / "articles.json").write_text(json.dumps(table))
    found, left_out = run(given)
    assert list(found) == ["Another one"] and reason in left_out[TITLE]


def test_two_videos_never_share_an_article(given):
    content = files.read_json(given / "vid_annotation.json")
    content["abc.mp4"] = content[f"{TITLE}.mp4"]
    files.write_json(given / "vid_annotation.json", content)
    found, left_out = run(given)
    assert list(found) == ["abc"] and f"is that of '{TITLE}'" in left_out["abc"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"splits": {TITLE: "dev"}}, "--splits"),
        ({"proposals": {TITLE: ["1"]}}, "--proposals"),
        ({"coreference": {TITLE: {"1": 3}}}, "--coreference"),
        ({"types": {"4": 4}}, "--types"),
        ({"splits": {TITLE: {"split": "val"}}}, rf"--splits .*train \| val \| test.*correct .*of '{TITLE}'"),
        ({"proposals": {TITLE: {"cuts": [1]}}}, rf"--proposals .*seconds of cuts.*correct .*of '{TITLE}'"),
        ({"types": {"4": {"name": "x"}}}, r"--types .*number of event type: name.*correct .*of '4'"),
    ],
)
def test_tables_of_another_form_are_named(given, tables, message):
    with pytest.raises(UserError, match=message):
        run(given, **tables)


def test_sentences_that_are_not_there_leave_out_the_video(given):
    for sentence in (3, -1, "Nobody wrote this."):
        found, left_out = run(given, coreference={TITLE: {"1": [sentence]}})
        assert not found and "--coreference names sentence" in left_out[TITLE]


def test_names_in_tables_that_are_of_no_video(given, caplog):
    run(given, splits={"Iraq": "val"})
    assert "--splits: 1 names are of no video, the first: Iraq" in caplog.text


def test_splits_depend_on_seed_and_title_alone():
    titles = [f"Title {number}" for number in range(400)]
    known = vm2e2.Known(val=0.25, seed=1)
    splits = [known.split(title, "x") for title in titles]
    assert 70 < splits.count("val") < 130 and set(splits) == {"val", "test"}
    assert [known.split(f" title, {number}", "y") for number in range(400)] == splits
    assert [vm2e2.Known(val=0.25, seed=2).split(title, "x") for title in titles] != splits


def test_boxes_in_pixels_of_the_video(given):
    run(given, boxes_out=given / "boxes.json", sizes={"abc": [1280, 1080]})
    written = files.read_json(given / "boxes.json")["abc"]
    assert written["size"] == [1280, 1080] and len(written["boxes"]) == 5
    assert written["boxes"][0] == {
        "event": 0,
        "time": 1.0,
        "box": [20.0, 60.0, 80.0, 180.0],
        "role": 7,
        "entity": 2,
        "article_event": 3,
    }
    outside = vm2e2_reader.Argument((-5.0, 350.0, 641.0, 372.0), None, None, None)
    frames = (vm2e2_reader.KeyFrame(0.0, (outside,)),)
    assert vm2e2_boxes.of_events([vm2e2_reader.Event(0, 1, 2, frames)], (640, 360))[0]["box"] == [0, 350, 640, 360]


@pytest.mark.parametrize(
    ("sizes", "fix"), [(None, "give --sizes"), ({"other": [1280, 720]}, "sizes.json doesn't have them")]
)
def test_boxes_of_videos_of_unknown_size_are_said_to_be_in_640_by_360(given, caplog, sizes, fix):
    run(given, boxes_out=given / "boxes.json", sizes=sizes)
    assert "of 1 of 1 videos the size isn't known, their boxes are in pixels of 640x360" in caplog.text
    assert fix in caplog.text
    written = files.read_json(given / "boxes.json")["abc"]
    assert written["size"] == [640, 360] and written["boxes"][0]["box"] == [10.0, 20.0, 40.0, 60.0]


def test_of_known_size_or_without_boxes_nothing_is_said(given, caplog):
    run(given)
    run(given, boxes_out=given / "boxes.json", sizes={"abc": [1280, 720]})
    assert "pixels" not in caplog.text


def test_sizes_without_boxes(given):
    with pytest.raises(UserError, match="--sizes is only for --boxes"):
        run(given, sizes={"abc": [1280, 720]})
    assert not (given / "annotations.json").exists()


@pytest.mark.parametrize(
    ("articles", "there"),
    [({"x": {"title": "Ours", "article": "One."}}, "1 articles, e.g. 'Ours' (x)"), ({}, "0 articles, it is empty")],
)
def test_no_article_of_any_video_is_an_error(given, articles, there):
    files.write_json(given / "articles.json", articles)
    with pytest.raises(UserError, match=r"no annotated video has an article in .*looked for 2 titles") as error:
        run(given)
    assert repr(TITLE) in str(error.value) or "'Another one'" in str(error.value)
    assert there in str(error.value)
    assert not list(given.glob("annotations*"))


@pytest.mark.parametrize("title", ["Iraqs army enters Mosul BBC News", "IRAQ'S ARMY enters_Mosul – BBC News"])
def test_titles_lose_what_file_names_lose(title):
    assert vm2e2_articles.normalised(title) == vm2e2_articles.normalised(TITLE)


@pytest.mark.skipif(not REAL.exists(), reason="the published annotations are not here")
def test_the_published_file(tmp_path):
    """All 860 titles find their articles, though these have the characters that file names lose; 562 events are linked."""
    events = vm2e2_reader.read(REAL)
    table = {
        f"id{place}": {
            "title": title.replace(" - BBC", ": BBC").upper(),
            "article": "First. Second.",
            "duration": 600.0,
        }
        for place, title in enumerate(events)
    }
    numbers = {
        title: {str(number): [0] for one in entries for number in one.article_events}
        for title, entries in events.items()
    }
    files.write_json(tmp_path / "articles.json", table)
    files.write_json(tmp_path / "numbers.json", numbers)
    out = tmp_path / "annotations.json"
    vm2e2.main(
        REAL, tmp_path / "articles.json", out, coreference=tmp_path / "numbers.json", boxes_out=tmp_path / "b.json"
    )
    found = files.read_json(out)
    assert len(found) == 860 and files.read_json(out.with_suffix(".left_out.json")) == {}
    assert sum(len(entry["events"]) for entry in found.values()) == 1803
    assert sum(len(entry["event_coreference"]) for entry in found.values()) == 562
    assert {one["type"] for entry in found.values() for one in entry["events"]} == {f"type_{i}" for i in range(20)}
    boxes = [box["box"] for entry in files.read_json(tmp_path / "b.json").values() for box in entry["boxes"]]
    assert len(boxes) == 9724 and all(0 <= a <= c <= 640 and 0 <= b <= d <= 360 for a, b, c, d in boxes)
