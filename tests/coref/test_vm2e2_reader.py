from pathlib import Path

import pytest

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import vm2e2_reader as vm2e2

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "vm2e2" / "vid_annotation.json"


@pytest.mark.skipif(not REAL.exists(), reason="the published annotations are not here")
def test_the_published_file():
    videos = vm2e2.read(REAL)
    events = [event for entries in videos.values() for event in entries]
    frames = [frame for event in events for frame in event.key_frames]
    arguments = [argument for frame in frames for argument in frame.arguments]
    assert (len(videos), len(events), len(frames), len(arguments)) == (860, 1803, 5600, 9724)
    assert {event.type for event in events} == set(range(20))
    assert sum(event.corefers for event in events) == 562
    assert sum(argument.role is not None for argument in arguments) == 9545
    assert all(0 <= event.start < event.end for event in events)
    assert max(argument.box[2] for argument in arguments) < vm2e2.FRAME[0] + 2
    assert not any(title.endswith(".mp4") for title in videos)


def test_boxes_and_polygons():
    assert vm2e2.box([10, 20, 30, 40]) == (10, 20, 40, 60)
    assert vm2e2.box([5, 9, 1, 2, 8, 4]) == (1, 2, 8, 9)
    with pytest.raises(ValueError, match="neither"):
        vm2e2.box([1, 2, 3])


@pytest.mark.parametrize(
    "content", [[], {}, {"abc": {"title": "Fire", "article": "Text."}}, {"Fire.mp4": 3}, {"Fire.mp4": ["event"]}]
)
def test_another_file(tmp_path, content):
    files.write_json(tmp_path / "a.json", content)
    with pytest.raises(UserError, match=r"a\.json should be an object .*give VM2E2's vid_annotation\.json"):
        vm2e2.read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("change", "reason"), [({"Key_Frames": 3}, "a list, an object or a number stands"), ({}, "Key_Frames is missing")]
)
def test_what_is_wrong_with_an_event_is_said_in_words(tmp_path, change, reason):
    event = {"Temporal_Boundary": [1.0, 2.0], "Event_Type": 3, **change}
    files.write_json(tmp_path / "a.json", {"Fire.mp4": [event]})
    with pytest.raises(UserError, match=reason) as error:
        vm2e2.read(tmp_path / "a.json")
    assert "Error" not in str(error.value)


def test_a_malformed_event_is_named(tmp_path):
    files.write_json(
        tmp_path / "a.json", {"Fire.mp4": [{"Temporal_Boundary": [1.0], "Event_Type": 3, "Key_Frames": []}]}
    )
    with pytest.raises(UserError, match=r"an event of 'Fire\.mp4' is not of the expected form"):
        vm2e2.read(tmp_path / "a.json")
