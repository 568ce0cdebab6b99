"""Every id is counted once: in = kept + by reason, whatever the ledgers say."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.clean import funnel
from pipeline_lib.clean.funnel import DUPLICATES, STAGES, Fall, falls, steps
from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.core.ledger import Row


def ok(*ids):
    return {video_id: Row(video_id, "ok") for video_id in ids}


def test_an_id_is_counted_where_it_fell_first():
    stages = {
        "articles": ok("a", "b", "c", "e"),
        "captions": {**ok("a", "b", "c"), "e": Row("e", "failed", "rate_limited", "later")},
        "videos": {**ok("a", "b", "c"), "e": Row("e", "failed", "private")},
        "inspection": {**ok("a", "b", "c"), "e": Row("e", "skipped", "upstream", "private")},
        "due_diligence": {**ok("a", "c"), "b": Row("b", "failed", "black"), "e": Row("e", "skipped", "upstream")},
    }
    found = falls(stages, {"c": Fall(DUPLICATES, "same_bytes", "same_bytes of a"), "b": Fall(DUPLICATES, "x", "")})
    assert found == {
        "a": None,
        "b": Fall("due_diligence", "black", ""),
        "c": Fall(DUPLICATES, "same_bytes", "same_bytes of a"),
        "e": Fall("captions", "rate_limited", "later"),
    }
    table = [(step.stage, step.entered, dict(step.reasons), step.left) for step in steps(found)]
    assert table == [
        ("articles", 4, {}, 4),
        ("captions", 4, {"rate_limited": 1}, 3),
        ("videos", 3, {}, 3),
        ("inspection", 3, {}, 3),
        ("due_diligence", 3, {"black": 1}, 2),
        (DUPLICATES, 2, {"same_bytes": 1}, 1),
    ]


def test_an_id_that_a_ledger_forgot_is_not_lost():
    assert falls({"articles": ok("a", "b"), "captions": ok("a")}, {})["b"] == Fall(
        "captions", "upstream", "not in its ledger"
    )


ROW = st.one_of(
    st.none(),
    st.just(("ok", None)),
    st.sampled_from([("failed", "black"), ("failed", "private"), ("failed", "network"), ("skipped", "upstream")]),
)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.lists(ROW, min_size=len(STAGES), max_size=len(STAGES))),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_in_is_kept_plus_reasons(outcomes, equal):
    stages = {
        stage: {
            video_id: Row(video_id, *rows[number]) for video_id, rows in outcomes.items() if rows[number] is not None
        }
        for number, stage in enumerate(STAGES)
    }
    ids = {video_id for rows in stages.values() for video_id in rows}
    found = falls(stages, {video_id: Fall(DUPLICATES, "near_duplicate", "") for video_id in equal})
    table = steps(found)
    assert set(found) == ids
    kept = [video_id for video_id, fall in found.items() if fall is None]
    assert kept == [v for v in found if v not in equal and all(v in rows and rows[v].ok for rows in stages.values())]
    assert table[0].entered == len(ids) == len(kept) + sum(step.reasons.total() for step in table)
    assert table[-1].left == len(kept)
    assert all(step.left == after.entered for step, after in pairwise(table))


def test_dropped_are_only_those_that_go(tmp_path):
    pairs = [
        {"video_id": "a", "kept": "b", "reason": "split_leak", "found": "same_bytes", "drop": True},
        {"video_id": "c", "kept": "b", "reason": "near_duplicate", "found": "near_duplicate", "drop": False},
    ]
    files.write_json(tmp_path / "duplicates.json", {"pairs": pairs})
    assert funnel.dropped(tmp_path / "duplicates.json") == {"a": Fall(DUPLICATES, "split_leak", "same_bytes of b")}
    assert funnel.dropped(None) == {}


@pytest.mark.parametrize("content", [[], 3, {}, {"pairs": 3}, {"pairs": [3]}, {"pairs": [{"video_id": "a"}]}])
def test_another_file_is_no_duplicates_json(tmp_path, content):
    files.write_json(tmp_path / "duplicates.json", content)
    with pytest.raises(UserError, match=r"is no duplicates\.json"):
        funnel.dropped(tmp_path / "duplicates.json")
