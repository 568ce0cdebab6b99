"""coref_report.html from a handful of predictions: right numbers, right pictures, hostile text, equal bytes."""

import json
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from report_case import TITLE, predictions, work

from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import report
from pipeline_lib.coref.predictions import Counts, Predictions, read
from pipeline_lib.coref.report_view import Shown, video_view
from pipeline_lib.coref.strips import chosen, driver, key_times, strengths
from pipeline_lib.report.assets import Place


@pytest.fixture
def folder(tmp_path):
    return work(tmp_path)


def make(folder, **options):
    """The page's text, made by the module's main."""
    given = {"frames": folder / "frames", "captions": folder / "captions.json"} | options
    wanted = {"videos": None, "objects": None, "video": "{}", "every": 3.0, "limit": None, "most": 24, "side": 320}
    report.main(
        folder / "predictions.json", folder / "out/coref_report.html", **(wanted | {"place": Place.AUTO} | given)
    )
    return (folder / "out/coref_report.html").read_text()


def first():
    return Predictions.model_validate(predictions()).protocols["without_proposals"].videos[0]


def item(html, slug):
    return re.search(rf'<article id="at={slug}".*?</article>', html, re.DOTALL)[0]


def test_outcomes_compare_strictly():
    found = Predictions.model_validate(predictions()).protocols["with_proposals"]
    fire, calm, lost = found.videos
    assert fire.outcomes(0.4, "combined") == [
        ["correct", "negative", "negative"],
        ["false_positives", "false_negatives", "negative"],
    ]
    counts = fire.counts(0.4, "combined")
    assert counts == Counts(1, 1, 1) and counts.f1 == 0.5
    assert calm.counts(0.4, "combined") == Counts(1, 0, 0)
    assert lost.counts(0.4, "combined") == Counts(0, 0, 2)  # 0.4 does not exceed 0.4; one pair more has no clip
    assert Counts().f1 is None and Counts(0, 2, 0).recall is None


def test_types_of_a_clip():
    video = first()
    assert video.types(0) == ["explosion"] and video.types(1) == ["march"]
    half = video.model_copy(update={"clips": [video.clips[0].model_copy(update={"start": 1.5, "end": 6.0})]})
    assert half.types(0) == []  # 1.5 of 3 s are not more than half
    assert Predictions.model_validate(predictions()).protocols["with_proposals"].videos[2].types(0) == ["event"]


def test_strengths_and_driver():
    assert strengths([0.1, 0.4, -0.2]) == [0.25, 1.0, 0.0]
    assert strengths([-0.1, -0.4]) == [0.0, 0.0] and strengths([]) == []
    assert driver([0.1, 0.4, 0.2]) == 1 and driver([]) is None
    assert [chosen(first(), clip, "combined") for clip in (0, 1)] == [0, 0]


def test_key_times():
    assert key_times(first(), 24, "combined") == [[0.0, 3.0], [6.0, 9.0]]
    assert key_times(first(), 2, "combined") == [
        [0.0],
        [6.0],
    ]  # of the frames at 6 and 9 s the one whose object says 0.5
    assert key_times(first(), 1, "combined") == [[0.0], []]  # the clip with the higher score
    calm = Predictions.model_validate(predictions()).protocols["with_proposals"].videos[1]
    assert key_times(calm, 24, "combined") == [[3.0]]  # no objects: its middle


def test_view_of_a_video():
    protocol = Predictions.model_validate(predictions()).protocols["without_proposals"]
    shown = Shown([[0.0, 3.0], [6.0]])
    view = video_view("without_proposals", protocol, first(), shown, {"explosion": 0, "march": 1}, lambda content: "")
    assert view["tokens"]["pairs"] == [
        "correct|explosion",
        "errors|march",
        "false_negatives|march",
        "false_positives|march",
        "negative|explosion",
        "negative|march",
    ]
    assert view["tokens"]["filter"] == ["correct", "errors", "false_negatives", "false_positives", "negative"]
    rows = view["clips"][0]["ranked"]
    assert [row["sentence"] for row in rows] == [0, 1, 2]
    assert (rows[0]["driver"], rows[0]["driver_score"]) == ("class 7", "0.4")
    assert (rows[1]["driver"], rows[1]["driver_score"]) == ("person", "0.3")
    boxes = view["clips"][0]["frames"][0]["boxes"]
    assert [box["strength"] for box in boxes] == [0.25, 1.0]
    assert boxes[1]["data"]["t"] == "0.4 -0.1 -0.1"
    assert [span["text"] for span in view["tracks"][1]["spans"]] == ["1 ✓", "2 ✗○"]


def test_page(folder):
    html = make(folder)
    assert (
        "<script>alert" not in html and "<b>today" not in html and "<i>smoke" not in html and "<b>evening" not in html
    )
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4
    assert html.count("<article id=") == 6
    assert html.count("<noscript>") == html.count("</noscript>") == 6
    fire = item(html, "without_proposals/fire0000001")
    assert '<a href="https://example.org/watch?v=fire0000001"' in fire
    assert "javascript:" not in html.split("<script>")[0]
    assert fire.count('src="data:image/jpeg;base64,') == 4
    assert "F1 0.50" in fire and "explosion" in fire
    assert [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td class=[^>]*>[\d.]+", fire)] == [
        *("0.70", "0.50"),
        *("0.20", "0.30"),
        *("0.10", "0.20"),
    ]
    lost = item(html, "with_proposals/lost0000001")
    assert "No pictures: truncated: the file ends at 3 s" in lost
    assert "1 gold pair is missed because no clip stands for the event" in lost
    assert "2 of 6 items have no pictures" in html


def test_summary_pools_pairs(folder):
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr><td.*?</tr>", make(folder))]
    assert rows == [
        ["without proposals", "val", "1", "combined", "0.4", "1", "1", "1", "0.5", "0.5", "0.5"],
        ["without proposals", "test", "2", "combined", "0.4", "1", "0", "1", "1.0", "0.5", "0.667"],
        ["with proposals", "val", "1", "combined", "0.4", "1", "1", "1", "0.5", "0.5", "0.5"],
        ["with proposals", "test", "2", "combined", "0.4", "1", "0", "2", "1.0", "0.333", "0.5"],
    ]


def test_the_similarity_of_the_threshold_decides(folder):
    """Combined scores find the pairs of fire at 0.4, regional ones the other way round."""
    content = predictions()
    protocol = content["protocols"]["without_proposals"]
    protocol["similarity"] = "regional"
    protocol["videos"][0]["scores"]["regional"] = [[0.1, 0.7, 0.2], [0.2, 0.5, 0.3]]
    (folder / "predictions.json").write_text(json.dumps(content))
    html = make(folder)
    assert ">regional<" in html
    fire = item(html, "without_proposals/fire0000001")
    assert re.findall(r"<td class=\"h\d ?(\w*)\">([\d.]+)", fire) == [
        *(("missed", "0.10"), ("", "0.20")),
        *(("wrong", "0.70"), ("correct", "0.50")),
        *(("", "0.20"), ("", "0.30")),
    ]
    assert re.findall(r"<tr[^>]*><th scope=\"row\"><i>(\d)</i><td>", fire) == ["2", "3", "1", "2", "3", "1"]
    assert 'aria-label="Regional score of every clip with every sentence"' in fire


def test_equal_input_equal_bytes(folder):
    assert make(folder) == make(folder)


def test_folder_of_pictures(folder):
    assets = folder / "out/coref_report_assets"
    assets.mkdir(parents=True)
    (assets / f"{0:064x}.jpg").touch()
    (assets / "notes.txt").touch()
    html = make(folder, place=Place.FOLDER)
    named = set(re.findall(r'src="coref_report_assets/([0-9a-f]{64}\.jpg)"', html))
    assert len(named) == 4  # at 0, 3, 6 and 9 s of fire; the one of calm equals that at 3 s
    assert {path.name for path in assets.iterdir()} == named | {"notes.txt"}
    assert "data:image" not in html.split("</head>")[1]
    (assets / "notes.txt").unlink()
    assert "data:image/jpeg" in make(folder, place=Place.INLINE)
    assert not assets.exists()


def test_limit(folder):
    assert make(folder, limit=1).count("<article id=") == 2


def test_without_any_pictures(folder):
    html = make(folder, frames=None, captions=None)
    assert html.count("No pictures: neither stored frames nor the video are at hand") == 6
    assert html.count("<rect") == 10


def test_captions_that_are_none_and_another_file(folder):
    master = json.loads((folder / "captions.json").read_text())
    master["fire0000001"]["captions"] = None
    (folder / "captions.json").write_text(json.dumps(master))
    assert 'class="said"' not in item(make(folder), "without_proposals/fire0000001")
    (folder / "captions.json").write_text("[]")
    with pytest.raises(UserError, match=r"give vid2article_master_filtered\.json"):
        make(folder)


def test_objects_that_were_not_used(folder):
    with h5py.File(folder / "objects.hdf5", "w") as file:
        file.attrs.update({"spec": "{}", "step": 3.0, "start": 0.0})
        group = file.create_group("fire0000001")
        boxes = np.zeros((4, 3, 4), "f4")
        boxes[0, :2] = [[16, 12, 80, 60], [1, 2, 3, 4]]  # the first is used at 0 s
        boxes[1, 0] = [np.nan, 0, 1, 1]
        group["boxes"] = boxes
    fire = item(make(folder, objects=folder / "objects.hdf5"), "without_proposals/fire0000001")
    assert re.findall(r'class="others" d="(.*?)"', fire) == ["M1.0 2.0H3.0V4.0H1.0Z"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda video: video.pop("clips"), r"clips .*fire0000001.*Field required"),
        (lambda video: video["gold"].pop(), "gold is not 2 clips × 3 sentences"),
        (lambda video: video["gold"][0].__setitem__(0, 2), "fire0000001"),
        (lambda video: video["scores"]["global"][0].pop(), "global is not 2 clips"),
        (lambda video: video["object_scores"][0][0].pop(), "object_scores is not clips × sentences × objects"),
        (lambda video: video["object_scores"].pop(), "object_scores has 1 rows for 2 clips"),
        (lambda video: video["clips"][0].update(end=-1), "end"),
        (lambda video: video["events"][0].update(start=5.0), "before it starts"),
    ],
)
def test_wrong_predictions_are_named(tmp_path, change, message):
    content = predictions()
    change(content["protocols"]["without_proposals"]["videos"][0])
    (tmp_path / "predictions.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path / "predictions.json")
    assert "\n" not in str(error.value)


def test_hostile_ids_and_odd_text(folder):
    content = predictions()
    for protocol in content["protocols"].values():
        protocol["videos"][0] |= {
            "video_id": '../x"><img src=x onerror=alert(1)>\ud800',
            "title": "\x00\ud800 " + TITLE,
        }
    (folder / "predictions.json").write_text(json.dumps(content))
    html = make(folder)
    assert "<img src=x" not in html and "\x00" not in html


def test_command_line(folder):
    command = [sys.executable, "-m", "pipeline_lib.coref.report", "--predictions", str(folder / "predictions.json")]
    command += ["--frames", str(folder / "frames"), "--out", str(folder / "page.html")]
    subprocess.run(command, check=True, capture_output=True)
    assert "<article" in (folder / "page.html").read_text()
    command[command.index("--frames") + 1] = str(folder)
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr.strip().splitlines()[-1].startswith("error: ") and "holds no ledgers" in failed.stderr
