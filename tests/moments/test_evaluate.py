"""The command on small files of every format: JSON and tables, several systems, and mistakes in one line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import evaluate


def annotations(folder: Path) -> Path:
    """Six queries about three videos, QVHighlights' format; the i-th is about [2i, 2i + 8] of 20 s."""
    path = folder / "val.jsonl"
    lines = [
        {
            "qid": i,
            "query": f"query {i}",
            "vid": f"v{i // 2}",
            "duration": 20,
            "relevant_windows": [[2 * i, 2 * i + 8]],
            "relevant_clip_ids": [i, i + 1],
            "saliency_scores": [[4, 4, 3], [1, 2, 3]],
        }
        for i in range(6)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def predictions(folder: Path, name: str, shift: float, **changes: Any) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    lines = [
        {
            "qid": i,
            "query": f"query {i}",
            "vid": f"v{i // 2}",
            "pred_relevant_windows": [[2 * i + shift, 2 * i + 8, 0.9], [0, 1, 0.1]],
            "pred_saliency_scores": [float(i == clip) for clip in range(10)],
            **changes,
        }
        for i in range(6)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def run(found: list[Path], gold: Path, out: Path, **options: Any) -> dict[str, Any]:
    evaluate.main(found, gold, out, options=json.dumps(options))
    return json.loads(out.read_text())


def test_one_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    content = run(
        [predictions(tmp_path, "ours.jsonl", 3)], annotations(tmp_path), tmp_path / "out/m.json", bootstrap=20
    )
    report = content["systems"]["ours"]
    assert content["dataset"] == "qvhighlights" and "differences" not in content
    assert (report["queries"], report["videos"], report["brief"]["MR-full-miou"]) == (6, 3, 62.5)
    assert report["ranges"]["full"]["R1@0.5"] == {"value": 100.0, "ci95": [100.0, 100.0]}
    assert report["ranges"]["short"]["mAP@0.75"]["value"] == 0
    assert report["highlights"]["VeryGood"]["HIT@1"]["value"] == 100
    assert content["files"]["annotations"]["name"] == "val.jsonl" and len(content["files"]["predictions"]["ours"]) == 64
    table = (tmp_path / "out/m.md").read_text()
    assert capsys.readouterr().out == table
    assert "6 queries about 3 videos (qvhighlights), in percent; 95 % intervals over videos." in table
    assert (
        "| ours | 100.00 [100.00, 100.00] | 100.00 [100.00, 100.00] | 0.00 [0.00, 0.00] | 62.50 [62.50, 62.50] |"
        in table
    )
    assert "| ours, 0–10 s, 6 queries |" in table and "| ours, VeryGood | 66.67 [66.67, 66.67] | 100.00" in table


def test_the_tables_do_not_take_the_place_of_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"m\.md is where the tables go"):
        run([predictions(tmp_path, "ours.jsonl", 3)], annotations(tmp_path), tmp_path / "m.md")


def test_what_is_read_is_not_overwritten(tmp_path: Path) -> None:
    found, gold = predictions(tmp_path, "ours.json", 3), annotations(tmp_path)
    before = found.read_text(), gold.read_text()
    (tmp_path / "link").symlink_to(tmp_path)
    for out in (tmp_path / "link/ours.json", gold):
        with pytest.raises(UserError, match=r"would overwrite .*, which is read; give another name"):
            run([found], gold, out)
    assert (found.read_text(), gold.read_text()) == before


def test_several_files_are_compared_with_the_first(tmp_path: Path) -> None:
    found = [predictions(tmp_path, "first.jsonl", 5), predictions(tmp_path, "a|b.jsonl", 0)]
    content = run(found, annotations(tmp_path), tmp_path / "m.json", bootstrap=20)
    assert content["baseline"] == "first" and list(content["differences"]) == ["a|b"]
    assert content["differences"]["a|b"]["ranges"]["full"]["R1@0.5"] == {"value": 100.0, "ci95": [100.0, 100.0]}
    table = (tmp_path / "m.md").read_text()
    assert "| a\\|b − first | +0.00 [+0.00, +0.00] | +100.00 [+100.00, +100.00] |" in table


def test_equal_bytes_for_equal_input_and_no_intervals_when_unwanted(tmp_path: Path) -> None:
    found, gold = [predictions(tmp_path, "ours.jsonl", 3)], annotations(tmp_path)
    run(found, gold, tmp_path / "a.json")
    run(found, gold, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    run(found, gold, tmp_path / "c.json", bootstrap=0)
    assert "intervals" not in (tmp_path / "c.md").read_text() and "ci95" not in (tmp_path / "c.json").read_text()


def test_files_of_one_name_are_called_by_their_folders(tmp_path: Path) -> None:
    found = [predictions(tmp_path, f"{folder}/ours.jsonl", 3) for folder in "ab"]
    assert list(evaluate.named(found)) == [str(path) for path in found]
    with pytest.raises(UserError, match="is given twice"):
        evaluate.named([found[0], found[1], found[0]])


def test_without_saliency_there_are_no_highlights(tmp_path: Path) -> None:
    found = predictions(tmp_path, "ours.jsonl", 3, pred_saliency_scores=None)
    content = run([found], annotations(tmp_path), tmp_path / "m.json", bootstrap=0)
    assert content["systems"]["ours"]["highlights"] == {}
    assert "Highlights" not in (tmp_path / "m.md").read_text()


def test_remarks_are_in_the_table(tmp_path: Path) -> None:
    found = predictions(tmp_path, "ours.jsonl", 3, pred_relevant_windows=[])
    found.write_text("\n".join(found.read_text().split("\n")[:4]))
    run([found], annotations(tmp_path), tmp_path / "m.json")
    table = (tmp_path / "m.md").read_text()
    assert "- ours: 2 queries without a prediction" in table and "- ours: 4 queries predicted without windows" in table


def test_charades_and_tacos(tmp_path: Path) -> None:
    (tmp_path / "charades_sta_test.txt").write_text("V1 0.0 8.0##a cat sits.\nV1 9 30##it runs\n")
    (tmp_path / "Charades_v1_test.csv").write_text("id,length\nV1,17\n")
    (tmp_path / "tacos.json").write_text(
        json.dumps({"V1": {"timestamps": [[0, 80], [90, 170]], "sentences": ["a", "b"], "fps": 10, "num_frames": 200}})
    )
    for name, first in (("charades_sta_test.txt", 0), ("tacos.json", 1)):
        path = tmp_path / f"{name}l"
        lines = [
            {"qid": first, "vid": "V1", "pred_relevant_windows": [[0, 8, 1]]},
            {"qid": first + 1, "vid": "V1", "pred_relevant_windows": [[9, 17, 1]]},
        ]
        path.write_text("\n".join(map(json.dumps, lines)))
        report = run([path], tmp_path / name, tmp_path / "m.json", bootstrap=0)["systems"][name.rpartition(".")[0]]
        assert report["brief"]["MR-full-miou"] == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--predictions", "unknown.jsonl"],
            "error: unknown: qid 9 is predicted but not annotated (1 of 6 such qids);",
        ),
        (["--predictions", "none.jsonl"], "error: none.jsonl does not exist"),
        (["--predictions", "ours.jsonl", "--dataset", "tacos"], "error: val.jsonl line 2: not valid JSON"),
        (["--predictions", "ours.jsonl", "--options", '{"top": 0}'], "error: top = 0:"),
        (
            ["--predictions", "ours.jsonl", "--durations", "val.jsonl"],
            "error: only charades_sta needs a file of durations",
        ),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    annotations(tmp_path)
    predictions(tmp_path, "ours.jsonl", 3)
    (tmp_path / "unknown.jsonl").write_text((tmp_path / "ours.jsonl").read_text().replace('"qid": 5', '"qid": 9'))
    words = [sys.executable, "-m", "pipeline_lib.moments.evaluate", "--annotations", "val.jsonl", "--out", "m.json"]
    done = subprocess.run([*words, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    last = done.stderr.strip().split("\n")[-1]
    assert last.startswith(message)
    assert not (tmp_path / "m.json").exists()
