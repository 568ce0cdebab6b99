import json
import os

import pytest

from pipeline_lib.collect import annotations
from pipeline_lib.collect.sources import local, local_files
from pipeline_lib.collect.sources.local import LocalSource
from pipeline_lib.core.errors import ItemError, Reason, UserError

VTT = "WEBVTT\n\n00:00:01.500 --> 00:00:03.000\n<i>Two &amp; two</i>\n\n00:00:04.000 --> 00:00:05.250\nmake four\n"
SRT = "1\n00:00:01,000 --> 00:00:02,500\n{\\an8}<b>Guten</b>  Tag\n\n2\n00:00:03,000 --> 00:00:04,000\n<i></i>\n"
INFO = {
    "title": "Storm over the Harbour",
    "description": "Waves broke.\nNobody was hurt.",
    "uploader": "Coast News",
    "upload_date": "20240131",
    "duration": 61.5,
    "webpage_url": "https://example.org/storm",
}


@pytest.fixture
def folder(tmp_path):
    """Three videos: one with every sidecar, one with none, one whose name can't be an id."""
    path = tmp_path / "videos"
    path.mkdir()
    for name in ("storm.mp4", "bare.MKV", "Größe: live? $(x).webm", "notes.txt", ".hidden.mp4"):
        (path / name).write_bytes(name.encode() * 100)
    (path / "storm.info.json").write_text(json.dumps(INFO))
    (path / "storm.en.vtt").write_text(VTT)
    (path / "storm.de.srt").write_text(SRT)
    return path


def reason(call, *arguments):
    with pytest.raises(ItemError) as error:
        call(*arguments)
    return error.value.reason


def test_ids_are_names_or_hashes_of_names(folder):
    ids = list(LocalSource(folder).search("*", 10))
    assert ids == sorted(ids)
    assert {"bare", "storm"} < set(ids) and len(ids) == 3
    (odd,) = set(ids) - {"bare", "storm"}
    assert local_files.id_of("Größe: live? $(x)") == odd and len(odd) == 11


@pytest.mark.parametrize("name", ["a b", "x" * 65, "", "naïve", "a\nb", "../up", "\udcff"])
def test_hashed_ids_are_valid_and_stable(name):
    assert local_files.id_of(name) == local_files.id_of(name) != name
    assert local_files._ID.fullmatch(local_files.id_of(name))


def test_search_matches_every_word_of_title_or_file_name(folder):
    source = LocalSource(folder)
    assert list(source.search("HARBOUR storm", 5)) == ["storm"]
    assert list(source.search("mkv", 5)) == ["bare"]
    assert source.search("storm desert", 5) == {}
    assert len(source.search("*", 2)) == 2 and source.search("*", 0) == {}
    hit = source.search("storm", 1)["storm"]
    assert hit == {"url": INFO["webpage_url"], "title": INFO["title"], "duration": 61.5, "channel": "Coast News"}


def test_article_from_the_sidecar_and_without_one(folder):
    source = LocalSource(folder)
    assert source.article("storm") == {
        "url": INFO["webpage_url"],
        "title": INFO["title"],
        "article": INFO["description"],
        "channel": "Coast News",
        "upload_date": "20240131",
        "duration": 61.5,
    }
    bare = source.article("bare")
    assert (bare["title"], bare["article"], bare["duration"]) == ("bare", "", 0.0)
    assert source.captions("bare", ["en"]) == {"captions": [], "caption_kind": "none", "language": ""}


def test_description_file_stands_in_for_a_missing_description(folder):
    (folder / "bare.description").write_text("From the file.", encoding="utf-8-sig")
    (folder / "bare.info.json").write_text(json.dumps({"title": "T", "upload_date": "soon", "duration": True}))
    article = LocalSource(folder).article("bare")
    assert article["article"] == "From the file."
    assert (article["upload_date"], article["duration"]) == ("", 0.0)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\xff", "[" * 100_000, ""])
def test_broken_information_is_a_bad_article_but_still_found(folder, text):
    (folder / "storm.info.json").write_bytes(text.encode("latin-1"))
    source = LocalSource(folder)
    assert reason(source.article, "storm") == Reason.BAD_ARTICLE
    assert source.search("storm", 1)["storm"]["title"] == "storm"


def test_text_that_utf8_cannot_hold_is_replaced(folder):
    (folder / "storm.info.json").write_text('{"title": "half \\ud800 pair", "duration": 1e999}')
    article = LocalSource(folder).article("storm")
    assert article["title"] == "half ? pair" and article["duration"] == 0.0


def test_captions_lose_markup_and_keep_times(folder):
    source = LocalSource(folder)
    assert source.captions("storm", ["en"]) == {
        "captions": [
            {"start": 1.5, "duration": 1.5, "text": "Two & two"},
            {"start": 4.0, "duration": 1.25, "text": "make four"},
        ],
        "caption_kind": "manual",
        "language": "en",
    }
    german = source.captions("storm", ["fr", "de"])
    assert german["language"] == "de"
    assert german["captions"] == [{"start": 1.0, "duration": 1.5, "text": "Guten Tag"}]
    assert source.captions("storm", ["fr"])["caption_kind"] == "none"


def test_a_file_without_a_cue_is_no_captions(folder):
    (folder / "storm.en.vtt").write_text("WEBVTT\n\nNOTE nothing here\n")
    assert LocalSource(folder).captions("storm", ["en"])["caption_kind"] == "none"


def test_regional_and_unnamed_languages(folder):
    (folder / "bare.en-GB.vtt").write_text(VTT)
    (folder / "bare.vtt").write_text(VTT)
    source = LocalSource(folder)
    assert source.captions("bare", ["en"])["language"] == "en-GB"
    assert source.captions("bare", ["fr"])["language"] == "und"


def test_automatic_captions_are_known_by_word_times_or_by_the_information(folder):
    rolling = (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nso<00:00:00.500><c> the</c><00:00:01.000><c> storm</c>\n\n"
        "00:00:02.000 --> 00:00:02.010\nso the storm\n\n"
        "00:00:02.010 --> 00:00:04.000\nso the storm\ncame<00:00:02.500><c> in</c>\n"
    )
    (folder / "bare.en.vtt").write_text(rolling)
    (folder / "storm.info.json").write_text(json.dumps(INFO | {"automatic_captions": {"en": []}, "subtitles": 3}))
    source = LocalSource(folder)
    captions = source.captions("bare", ["en"])
    assert captions["caption_kind"] == "auto"
    assert [segment["text"] for segment in captions["captions"]] == ["so the storm", "came in"]
    assert source.captions("storm", ["en"])["caption_kind"] == "auto"
    assert source.captions("storm", ["de"])["caption_kind"] == "manual"


@pytest.mark.parametrize(
    "text",
    ["", "no header", "WEBVTT\n\n00:00:09.000 --> 00:00:01.000\nbackwards\n", b"WEBVTT\n\n\xff\xfe", "<html></html>"],
)
def test_broken_captions(folder, text):
    (folder / "storm.en.vtt").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert reason(LocalSource(folder).captions, "storm", ["en"]) == Reason.BAD_CAPTIONS


def test_too_large_sidecars(folder, monkeypatch):
    monkeypatch.setattr(local, "MAX_SIDECAR_BYTES", 50)
    source = LocalSource(folder)
    assert reason(source.article, "storm") == Reason.BAD_ARTICLE
    assert reason(source.captions, "storm", ["en"]) == Reason.BAD_CAPTIONS


def test_video_is_copied(folder, tmp_path):
    source, to = LocalSource(folder), tmp_path / "copy.mp4"
    source.video("storm", to)
    original = folder / "storm.mp4"
    assert to.read_bytes() == original.read_bytes()
    to.write_bytes(b"changed")
    assert original.read_bytes() != b"changed"
    version = source.version("storm")
    original.unlink()
    assert reason(source.video, "storm", to) == Reason.MISSING_FILE
    assert source.version("storm") != version


def test_unknown_ids(folder, tmp_path):
    source = LocalSource(folder)
    for call in (source.article, source.version, lambda i: source.captions(i, []), lambda i: source.video(i, tmp_path)):
        assert reason(call, "../videos/storm") == Reason.NOT_FOUND


def test_version_follows_the_file_and_its_sidecars(folder):
    source = LocalSource(folder)
    seen = {source.version("storm")}
    for name in ("storm.mp4", "storm.info.json", "storm.en.vtt"):
        os.utime(folder / name, ns=(1, 1))
        seen.add(source.version("storm"))
    assert len(seen) == 4 and source.version("storm") in seen
    (folder / "storm.description").write_text("new")
    assert LocalSource(folder).version("storm") not in seen


def test_links_out_of_the_folder_are_not_followed(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for name in ("leak.mp4", "bare.description", "bare.en.vtt"):
        (folder / name).symlink_to(secret)
    (folder / "inside.mp4").symlink_to("storm.mp4")
    source = LocalSource(folder)
    assert "leak" not in source.search("*", 10) and "inside" in source.search("*", 10)
    assert source.article("bare")["article"] == ""
    assert source.captions("bare", ["en"])["caption_kind"] == "none"


def test_two_files_with_one_id_are_named(folder):
    (folder / "storm.avi").write_bytes(b"")
    with pytest.raises(UserError, match=r"storm\.avi and storm\.mp4"):
        LocalSource(folder)
    assert len(LocalSource(folder, extensions=(".mp4",)).search("*", 9)) == 1


def test_missing_folder_is_a_persons_mistake(tmp_path):
    with pytest.raises(UserError, match="not a folder"):
        LocalSource(tmp_path / "absent")


def test_labels_go_by_id_or_by_name(folder, caplog):
    source = LocalSource(folder)
    odd = local_files.id_of("Größe: live? $(x)")
    labels = {"storm": {"split": "val"}, "Größe: live? $(x)": {"split": "test"}, "gone": {"split": "train"}}
    assert source.by_id(labels) == {"storm": {"split": "val"}, odd: {"split": "test"}, "gone": {"split": "train"}}
    assert list(source.by_id(labels)) == sorted(["storm", odd, "gone"])
    assert "gone is no video of" in caplog.text and "storm is no" not in caplog.text
    with pytest.raises(UserError, match=f"{odd} has two entries"):
        source.by_id({"Größe: live? $(x)": {}, odd: {}})


def test_labels_of_annotations_go_by_name(folder, tmp_path):
    label = {"split": "test", "duration": 9.0, "article_sentences": ["A car stops."]}
    (tmp_path / "gold.json").write_text(json.dumps({"Größe: live? $(x)": label}))
    for place in ({"annotations": str(tmp_path / "gold.json")}, {}):
        options = json.dumps({"kind": "local", "local": {"folder": str(folder)}, **place})
        annotations.main(options, tmp_path / "out.json")
        assert list(json.loads((tmp_path / "out.json").read_text())) == [local_files.id_of("Größe: live? $(x)")]
        (folder / "annotations.json").write_text((tmp_path / "gold.json").read_text())


def test_annotations(folder):
    source = LocalSource(folder)
    assert source.annotations() == {}
    (folder / "annotations.json").write_text('{"storm": {"split": "test"}}')
    assert source.annotations() == {"storm": {"split": "test"}}
    for text in ("[1]", '{"storm": 1}', "{"):
        (folder / "annotations.json").write_text(text)
        with pytest.raises(UserError, match=r"annotations\.json"):
            source.annotations()
