import json

import pytest

from pipeline_lib.collect import master
from pipeline_lib.collect.annotations import check
from pipeline_lib.collect.master import merge
from pipeline_lib.collect.search import search
from pipeline_lib.collect.split import main as split_main
from pipeline_lib.collect.split import split
from pipeline_lib.core import files, ledger
from pipeline_lib.core.errors import UserError


class Fruit:
    name = "fruit"
    hits = {"red": ["apple", "cherry"], "sweet": ["cherry", "pear"]}  # noqa: RUF012

    def search(self, query, limit):
        return {
            video_id: {"url": "u", "title": video_id, "duration": 1.0, "channel": "c"}
            for video_id in self.hits[query][:limit]
        }

    def version(self, video_id):
        return f"v-{video_id}"


def test_an_id_found_twice_keeps_both_queries():
    found = search(Fruit(), ["red", "sweet"], 10)
    assert {key: value["queries"] for key, value in found.items()} == {
        "apple": ["red"],
        "cherry": ["red", "sweet"],
        "pear": ["sweet"],
    }
    assert found["pear"]["version"] == "v-pear"
    assert list(search(Fruit(), ["red", "sweet"], 1)) == ["apple", "cherry"]


def test_nothing_found_says_what_to_change(monkeypatch):
    monkeypatch.setitem(Fruit.hits, "red", [])
    with pytest.raises(UserError, match=r"source\.queries"):
        search(Fruit(), ["red"], 10)


def test_split_keeps_every_id_and_a_new_one_touches_one_shard():
    videos = {f"video{i}": {} for i in range(100)} | {"../../x": {}, "a\nb": {}}
    shards = split(videos, 7)
    assert sorted(key for shard in shards for key in shard) == sorted(videos)
    more = split({**videos, "one more": {}}, 7)
    assert sum(a != b for a, b in zip(shards, more, strict=True)) == 1


def test_masters_hold_what_is_ok_everywhere(tmp_path):
    articles = [ledger.Row(v, "ok", artefact=f"articles/{v}.json") for v in "ba"] + [
        ledger.Row("c", "failed", "private")
    ]
    captions = [ledger.Row(v, "ok", artefact=f"captions/{v}.json") for v in "abc"]
    clean = [ledger.Row("a", "ok", artefact="due_diligence/a.json"), ledger.Row("b", "failed", "truncated")]
    for stage, rows in {"articles": articles, "captions": captions, "due_diligence": clean}.items():
        ledger.write(tmp_path / stage / "0000.parquet", rows)
        for v in "abc":
            files.write_json(tmp_path / stage / f"{v}.json", {stage: v})
    folders = [tmp_path / stage for stage in ("articles", "captions", "due_diligence")]
    assert dict(merge(folders[:1], 1)) == {"a": {"articles": "a"}, "b": {"articles": "b"}}
    assert [name for name, _ in merge(folders[:2], 1)] == ["a", "b"]
    assert dict(merge(folders, 1)) == {"a": {"articles": "a", "captions": "a"}}


GOLD = {
    "split": "test",
    "duration": 9.0,
    "article_sentences": ["A car stops.", "It rains."],
    "temporal_proposals": [3.0],
    "events": [{"start": 1.0, "end": 4.0, "type": "stop"}],
    "event_coreference": [[0, 0]],
}


def test_annotations_are_checked():
    assert check({"b": GOLD, "a": GOLD}, "gold.json") == json.loads(json.dumps({"a": GOLD, "b": GOLD}))
    with pytest.raises(UserError, match=r"gold\.json: .*is beyond its"):
        check({"a": {**GOLD, "event_coreference": [[0, 2]]}}, "gold.json")
    with pytest.raises(UserError, match=r"a\.split = 'dev'"):
        check({"a": {**GOLD, "split": "dev"}}, "gold.json")
    with pytest.raises(UserError, match="before its start"):
        check({"a": {**GOLD, "events": [{"start": 4, "end": 1}], "event_coreference": []}}, "gold.json")


def test_what_duplicates_drop_is_left_out_of_the_master(tmp_path):
    ledger.write(
        tmp_path / "articles/0000.parquet", [ledger.Row(v, "ok", artefact=f"articles/{v}.json") for v in "abc"]
    )
    for v in "abc":
        files.write_json(tmp_path / f"articles/{v}.json", {"title": v})
    pairs = [{"video_id": "b", "kept": "a", "reason": "same_bytes", "found": "same_bytes", "drop": True}]
    pairs += [{"video_id": "c", "kept": "a", "reason": "near_duplicate", "found": "near_duplicate", "drop": False}]
    files.write_json(tmp_path / "duplicates.json", {"pairs": pairs})
    out = tmp_path / "filtered.json"
    master.main([tmp_path / "articles"], out, 1, tmp_path / "duplicates.json")
    assert list(files.read_json(out)) == ["a", "c"]


@pytest.mark.parametrize("content", [[], {"pairs": []}])
def test_a_list_of_videos_that_is_none(tmp_path, content):
    files.write_json(tmp_path / "vid_urls.json", content)
    with pytest.raises(UserError, match=r"vid_urls\.json must be an object"):
        split_main(videos=tmp_path / "vid_urls.json", shards=2, out=tmp_path / "shards.json")
    assert not (tmp_path / "shards").exists()
