import copy

import pytest

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.coref import summary, tables


def metric(value, low, high):
    return {"value": value, "ci95": [low, high]}


def system(value):
    every = {name: metric(value, value - 0.05, value + 0.05) for name in tables.HEADINGS}
    kinds = {"burn|<b>": {"events": 3, "positive_pairs": 2, **every}}
    return {**every, "threshold": 0.35, "threshold_from": "val", "similarity": "combined", "by_event_type": kinds}


def difference(value, low, high):
    return {name: metric(value, low, high) for name in tables.HEADINGS}


@pytest.fixture
def content():
    counts = ("videos", "clips", "sentences", "pairs", "positive_pairs", "positive_pairs_without_clip")
    result = {
        "counts": dict.fromkeys(counts, 7),
        "sentences_per_article": {"one_sentence_share": 0.125},
        "left_out": {"x": "its article has no sentences"},
        "systems": {"random": system(0.2), "milo": system(0.7), "clip": system(0.3), "mil_nce": system(0.6)},
        "milo_minus": {
            "random": difference(0.5, 0.4, 0.6),
            "clip": difference(-0.4, -0.5, -0.3),
            "mil_nce": difference(0.1, -0.1, 0.3),
        },
    }
    protocol = {"protocol": "chosen_on_val", "softmax": "per_clip", "matching": "iou", "min_iou": 0.5}
    return {
        "task": "multimodal event coreference",
        "notes": ["Generated <script>."],
        "protocol": {**protocol, "bootstrap": 1000, "weight_global": 0.3},
        "results": {"with_proposals": {"test": result}, "without_proposals": {"test": copy.deepcopy(result)}},
        "provenance": {"device": "cpu"},
    }


def test_order_values_and_verdicts(content):
    found = tables.tables(content)
    assert [table.caption for table in found][:3] == [
        "test, without proposals",
        "test, without proposals: differences, paired by video",
        "test, without proposals: MILO by event type",
    ]
    assert [row[0] for row in found[0].rows] == ["MILO", "CLIP", "MIL-NCE", "random"]
    assert found[0].rows[0][3] == "0.700 [0.65, 0.75]" and found[0].rows[0][-1] == "0.35"
    assert {row[0]: row[-1] for row in found[1].rows} == {
        "CLIP": "worse",
        "MIL-NCE": "not told apart",
        "random": "better",
    }
    assert found[1].rows[2][1] == "+0.500 [+0.40, +0.60]"
    assert found[-2].rows[0][-1] == "12.5%"
    assert found[-1].rows == [["test", "x", "its article has no sentences"]]  # once, though both protocols lack it


def test_markdown_keeps_its_cells(content):
    text = tables.markdown(content)
    assert "burn\\|&lt;b>" in text and "<script>" not in text
    for line in text.splitlines():
        if line.startswith("| system") or line.startswith("| MILO |"):
            assert line.count("|") == 8
    assert "temporal IoU is at least 0.5" in text


def test_html_is_escaped_and_whole(content):
    page = tables.html(content)
    assert "burn|&lt;b&gt;" in page and "Generated &lt;script&gt;" in page
    assert page.count("<table") == len(tables.tables(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "fixed", "sim_threshold": 0.25}, "The threshold is 0.25 for all"),
        ({"protocol": "as_published"}, "0.08 … 0.16"),
        ({"matching": "centre_inside"}, "the middle of the event"),
        ({"matching": "overlap", "min_overlap": 0.4}, "covers at least 0.4"),
        ({"softmax": "none"}, "no softmax"),
    ],
)
def test_the_lead_says_how(content, change, said):
    content["protocol"] |= change
    assert said in tables.lead(content)


def test_command_lines(content, tmp_path, capsys):
    result = tmp_path / "coref_eval.json"
    files.write_json(result, content)
    tables.main(result, tmp_path / "coref_eval.md", tmp_path / "coref_eval.html")
    assert (tmp_path / "coref_eval.md").read_text() == tables.markdown(content)
    summary.main(result)
    shown = capsys.readouterr().out
    assert "▲" in shown and "▼" in shown and "≈" in shown and "note: Generated <script>." in shown
    assert str(tmp_path / "coref_eval.html") in shown.replace("\n", "")


def test_a_result_of_another_task_is_refused(tmp_path):
    (tmp_path / "moments_eval.json").write_text('{"task": "moment retrieval"}')
    with pytest.raises(UserError, match=r"give coref_eval\.json"):
        summary.main(tmp_path / "moments_eval.json")
    with pytest.raises(UserError, match=r"give coref_eval\.json"):
        tables.main(tmp_path / "moments_eval.json", tmp_path / "a.md", tmp_path / "a.html")
