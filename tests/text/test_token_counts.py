"""Sentences → count files: small ones worked out by hand, and the published ones of Charades-STA byte for byte."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.text import sentences, token_counts, tokens
from pipeline_lib.text.token_counts import Tokenizer, count

CHARADES = Path(__file__).parents[3] / "shared" / "data" / "charades_sta"


def test_glove_words() -> None:
    assert tokens.glove("A man's hat, sun-dried  (TWICE)!") == ["a", "man", "s", "hat", "sun", "dried", "twice"]
    assert tokens.glove("… “quoted” é") == ["…", "“quoted”", "é"]  # only ASCII punctuation is cut
    assert tokens.glove(" ,. ") == []


def test_clip_ids() -> None:
    assert tokens.clip("a person's hat. $%&amp; 12") == [320, 2533, 568, 3801, 269, 3, 4, 261, 272, 273]
    assert tokens.clip("A  PERSON'S\nhat") == tokens.clip("a person's hat")
    assert tokens.clip("") == []


def test_clip_vocabulary_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "BPE_SHA256", "0" * 64)
    with pytest.raises(UserError, match="not CLIP's vocabulary"):
        tokens._clip_encoder.__wrapped__()


def test_glove_counts_are_by_number_then_first_appearance() -> None:
    # sorted words: a=2 cat=3 dog=4 runs=5 the=6
    lines = count(["The dog runs.", "the cat", "a dog, a cat"], Tokenizer.GLOVE)
    assert lines == ["the 6 2", "dog 4 2", "cat 3 2", "a 2 2", "runs 5 1"]


def test_clip_counts_leave_out_start_end_and_what_is_cut_off() -> None:
    assert count(["a person", "person person a"], Tokenizer.CLIP) == ["2533 3", "320 2"]
    assert count(["a person", "person person a"], Tokenizer.CLIP, context=4) == ["2533 3", "320 1"]
    assert count([], Tokenizer.CLIP) == []


def test_captions_are_taken_by_id_and_time(tmp_path: Path) -> None:
    entries = {
        "b": {"captions": [{"start": 0, "duration": 1, "text": "third"}], "title": "x"},
        "a": {"captions": [{"start": 2.5, "text": "second"}, {"start": 1, "text": "first"}], "article": "One. Two"},
        "c": {"captions": None},
    }
    file = tmp_path / "captions.json"
    file.write_text(json.dumps(entries))
    read = sentences.read(file)
    assert list(sentences.captions(read)) == ["first", "second", "third"]
    assert list(sentences.articles(read)) == ["One.", "Two"]
    out = tmp_path / "counts.txt"
    token_counts.main(file, Tokenizer.GLOVE, out)
    assert out.read_bytes() == b"first 2 1\nsecond 3 1\nthird 4 1\n"


def test_wrong_captions_are_named(tmp_path: Path) -> None:
    file = tmp_path / "captions.json"
    file.write_text('{"a": {"captions": [{"start": 0}]}}')
    with pytest.raises(UserError, match=r"captions\.json: a\.captions\.0\.text: Field required"):
        sentences.read(file)
    with pytest.raises(UserError, match="does not exist"):
        sentences.read(tmp_path / "absent.json")


def charades() -> Iterator[str]:
    """Sentences of Charades-STA, train then test, without those that start after their video ends (mesm §2)."""
    for split in ("train", "test"):
        with open(CHARADES / f"Charades_v1_{split}.csv", newline="") as stream:
            seconds = {row["id"]: float(row["length"]) for row in csv.DictReader(stream)}
        for line in (CHARADES / f"charades_sta_{split}.txt").read_text().splitlines():
            place, _, sentence = line.partition("##")
            video_id, start, _ = place.split()
            if float(start) <= seconds[video_id]:
                yield sentence.rstrip()


@pytest.mark.skipif(not CHARADES.is_dir(), reason="needs ../shared/data/charades_sta, which is not published here")
@pytest.mark.parametrize(
    ("tokenizer", "published", "context"), [("glove", "GloVe", 32), ("clip", "CLIP", 16), ("clip", "CLIP", 32)]
)
def test_published_charades_files_byte_for_byte(tokenizer: str, published: str, context: int) -> None:
    texts = list(charades())
    assert len(texts) == 12405 + 3720
    ours = "".join(f"{line}\n" for line in count(texts, Tokenizer(tokenizer), context))
    assert ours.encode() == (CHARADES / f"{published}_tokenized_count.txt").read_bytes()
