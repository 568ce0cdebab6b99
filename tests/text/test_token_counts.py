"""Sentences → count files: small ones worked out by hand, and the published ones byte for byte."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError
from pipeline_lib.text import corpora, sentences, token_counts, tokens
from pipeline_lib.text.corpora import Corpus
from pipeline_lib.text.token_counts import Tokenizer, count

DATA = Path(__file__).parents[3] / "shared" / "data"


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
        tokens.clip_encoder.__wrapped__()


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
    token_counts.main(Tokenizer.GLOVE, out, captions=file)
    assert out.read_bytes() == b"first 2 1\nsecond 3 1\nthird 4 1\n"
    (tmp_path / "vid2article.json").write_text('{"a": {"captions": [{"start": 0, "text": "folder"}]}}')
    token_counts.main(Tokenizer.GLOVE, out, Corpus.CAPTIONS, tmp_path)
    assert out.read_bytes() == b"folder 2 1\n"
    for wrong in ({}, {"captions": file, "annotations": file}, {"captions": file, "dataset": Corpus.TACOS}):
        with pytest.raises(UserError, match="give --dataset and --annotations, or --captions alone"):
            token_counts.main(Tokenizer.GLOVE, out, **wrong)
    with pytest.raises(UserError, match="captions have no splits"):
        token_counts.main(Tokenizer.GLOVE, out, captions=file, splits="train")


def test_wrong_captions_are_named(tmp_path: Path) -> None:
    file = tmp_path / "captions.json"
    file.write_text('{"a": {"captions": [{"start": 0}]}}')
    with pytest.raises(UserError, match=r"captions\.json: a\.captions\.0\.text: Field required"):
        sentences.read(file)
    with pytest.raises(UserError, match="does not exist"):
        sentences.read(tmp_path / "absent.json")


def test_files_without_captions_are_refused(tmp_path: Path) -> None:
    file, out = tmp_path / "annotations.json", tmp_path / "counts.txt"
    file.write_text('{"a": {"split": "train"}, "b": {"captions": null}}')
    with pytest.raises(UserError, match=r"no entry of .*annotations\.json has captions"):
        token_counts.main(Tokenizer.GLOVE, out, captions=file)
    assert not out.exists()
    file.write_text("{}")  # nothing has passed due diligence
    token_counts.main(Tokenizer.GLOVE, out, captions=file)
    assert out.read_bytes() == b""


def test_context_is_of_clip(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--context has no use with --tokenizer glove"):
        token_counts.main(Tokenizer.GLOVE, tmp_path / "counts.txt", captions=tmp_path / "x.json", context=8)


TEXTS = st.text(
    st.one_of(st.sampled_from("aaAbeÉß ſ'’s .,!?&;<>#\t\n\x1c\u3000Σσ”♪12\ud800"), st.characters()), max_size=30
)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_clip_is_open_clips_tokenizer(text: str) -> None:
    assert tokens.clip(text) == open_clip_tokenizer().encode(text)


@functools.cache
def open_clip_tokenizer() -> Any:
    """The class that CLIP published, which MESM has a copy of."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def test_clips_own_special_tokens() -> None:
    assert tokens.clip("<|startoftext|>a<|endoftext|>") == [49406, 320, 49407]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(TEXTS, st.sampled_from(["a b c", "c b", "b! b? d"])), max_size=12), st.integers(1, 4))
@pytest.mark.parametrize("tokenizer", list(Tokenizer))
def test_counting_is_the_plain_loop(tokenizer: Tokenizer, texts: list[str], block: int) -> None:
    found: dict = {}
    for text in texts:
        for token in tokens.clip(text)[:5] if tokenizer == Tokenizer.CLIP else tokens.glove(text):
            found[token] = found.get(token, 0) + 1
    ids = {word: f" {i}" for i, word in enumerate(sorted(found), 2)} if tokenizer == Tokenizer.GLOVE else {}
    ranked = sorted(found.items(), key=lambda item: -item[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_counts, "_BLOCK", block)
        assert count(texts, tokenizer, 7) == [f"{token}{ids.get(token, '')} {n}" for token, n in ranked]


def test_datasets_are_counted_as_upstream_does(tmp_path: Path) -> None:
    def tacos(*sentences: str) -> str:
        timestamps = [[0, 5]] * len(sentences)
        return json.dumps({"s.avi": {"timestamps": timestamps, "sentences": sentences, "fps": 1, "num_frames": 9}})

    for name, sentence in (("train", "b a"), ("val", "never"), ("test", "c a.")):
        (tmp_path / f"{name}.json").write_text(tacos(sentence))
    assert list(corpora.texts(Corpus.TACOS, tmp_path)) == ["b a", "c a."]
    assert list(corpora.texts(Corpus.TACOS, tmp_path, "val,train")) == ["never", "b a"]
    with pytest.raises(UserError, match="names a split twice"):
        corpora.texts(Corpus.TACOS, tmp_path, "val,val")
    out = tmp_path / "counts.txt"
    token_counts.main(Tokenizer.GLOVE, out, Corpus.TACOS, tmp_path)
    assert out.read_text() == "a 2 2\nb 3 1\nc 4 1\n"
    (tmp_path / "train.json").write_text(tacos("a " * 14 + "person"))  # 16 tokens with start and end leave 14
    token_counts.main(Tokenizer.CLIP, out, Corpus.TACOS, tmp_path)
    assert out.read_text() == "320 15\n274 1\n269 1\n".replace("274", str(tokens.clip("c")[0]))


def test_charades_cd_is_counted_as_charades_sta(tmp_path: Path) -> None:
    own, sta = tmp_path / "charades_cd", tmp_path / "charades_sta"
    own.mkdir()
    entry = {"timestamps": [[0, 1]], "sentences": ["own"], "video_duration": 2}
    (own / "charades_val.json").write_text(json.dumps({"V": entry}))
    with pytest.raises(UserError, match="--splits train,val,test_iid,test_ood"):
        corpora.texts(Corpus.CHARADES_CD, own)
    sta.mkdir()
    for split in ("train", "test"):
        (sta / f"charades_sta_{split}.txt").write_text(f"V 0 1##{split}.\nV 3 4##late\n")
        (sta / f"Charades_v1_{split}.csv").write_text("id,length\nV,2\n")
    assert list(corpora.texts(Corpus.CHARADES_CD, own)) == ["train.", "test."]
    assert list(corpora.texts(Corpus.CHARADES_CD, sta)) == ["train.", "test."]
    assert list(corpora.texts(Corpus.CHARADES_CD, own, "val")) == ["own"]


def test_charades_sta_beside_a_link_comes_before_what_lies_beside_its_target(tmp_path: Path) -> None:
    """Downloads may lie on another disk, and be links where they are used."""
    (tmp_path / "here").mkdir()
    (tmp_path / "disk" / "charades_cd").mkdir(parents=True)
    link = tmp_path / "here" / "charades_cd"
    link.symlink_to(tmp_path / "disk" / "charades_cd")
    for place in ("disk", "here"):
        sta = tmp_path / place / "charades_sta"
        sta.mkdir()
        for split in ("train", "test"):
            (sta / f"charades_sta_{split}.txt").write_text(f"V 0 1##{place}\n")
            (sta / f"Charades_v1_{split}.csv").write_text("id,length\nV,2\n")
        assert list(corpora.texts(Corpus.CHARADES_CD, link)) == [place, place]


# Of the files that MESM ships (specs: mesm §2); those of -CD and -CG are links to Charades-STA's.
PUBLISHED = {
    ("charades_sta", "glove"): "e064c3c031dec854a4cd365b6595fe3e37454dbd4d9bc3fc06808e42002bd24f",
    ("charades_sta", "clip"): "26536d4bd8a8189f92cf752fb03c0df3fbaa611b35d8143ec0413719f090a1c4",
    ("charades_cd", "clip"): "26536d4bd8a8189f92cf752fb03c0df3fbaa611b35d8143ec0413719f090a1c4",
    ("charades_cg", "clip"): "26536d4bd8a8189f92cf752fb03c0df3fbaa611b35d8143ec0413719f090a1c4",
    ("tacos", "glove"): "c5443f35eee484122012750fe1cc96943fd547fa856ecdf9c5200afd1cf16b81",
    ("tacos", "clip"): "98f467e8c4f64acd61e87de91a4a11e41cb1ac0399995ffe510c2cd5eca1054b",
    ("qvhighlights", "clip"): "5535880d7e19bfebedc3c84363f6a4a88d8976f969fd5db636f26a089816fd43",
}


@pytest.mark.parametrize(("dataset", "tokenizer"), list(PUBLISHED))
def test_published_files_byte_for_byte(tmp_path: Path, dataset: str, tokenizer: str) -> None:
    if not (DATA / dataset).is_dir():
        pytest.skip(f"needs ../shared/data/{dataset}, which is not published here")
    out = tmp_path / "counts.txt"
    token_counts.main(Tokenizer(tokenizer), out, Corpus(dataset), DATA / dataset)
    assert files.sha256(out) == PUBLISHED[dataset, tokenizer]
    if dataset == "charades_sta":
        name = {"glove": "GloVe", "clip": "CLIP"}[tokenizer]
        assert out.read_bytes() == (DATA / dataset / f"{name}_tokenized_count.txt").read_bytes()
        lines = count(corpora.texts(Corpus(dataset), DATA / dataset), Tokenizer(tokenizer), context=32)
        files.write_text(out, "".join(f"{line}\n" for line in lines))
        assert files.sha256(out) == PUBLISHED[dataset, tokenizer]  # no sentence has more than 14 tokens
