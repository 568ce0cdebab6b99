import json

import pytest

from pipeline_lib.collect.sources.local import LocalSource, state
from pipeline_lib.collect.sources.local_files import id_of
from pipeline_lib.core.errors import ItemError, Reason, UserError

VTT = "WEBVTT\n\n00:00:01.500 --> 00:00:03.000\nTwo\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("a/storm.mp4", "b/calm sea.mkv", "b/clip.mp4", "c/clip.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "a/storm.info.json").write_text(json.dumps({"title": "Storm", "description": "From the sidecar."}))
    (tmp_path / "a/storm.en.vtt").write_text(VTT)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/storm.txt").write_text("From a text file.")
    (tmp_path / "texts/storm.de.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\nHallo\n")
    return tmp_path


def opened(folder, text):
    (folder / "list.csv").write_text(text)
    return LocalSource(folder / "list.csv")


def test_paths_alone_find_their_sidecars(folder):
    source = opened(folder, "video_path\na/storm.mp4\nb/calm sea.mkv\n")
    odd = id_of("calm sea")
    assert set(source.search("*", 9)) == {"storm", odd}
    assert source.search("*", 9)[odd]["original_id"] == "calm sea" == source.article(odd)["original_id"]
    assert "original_id" not in source.article("storm")
    assert source.article("storm")["article"] == "From the sidecar."
    assert source.captions("storm", ["en"])["captions"][0]["text"] == "Two"
    source.video(odd, folder / "out")
    assert (folder / "out").read_bytes() == b"b/calm sea.mkv"


def test_columns_go_before_sidecars(folder):
    source = opened(folder, 'video_path,article,captions\na/storm.mp4,"Said, here.",texts/storm.de.srt\n')
    assert source.article("storm")["article"] == "Said, here."
    assert source.captions("storm", ["en"])["caption_kind"] == "none"
    assert source.captions("storm", ["de"])["captions"] == [{"start": 1.0, "duration": 1.5, "text": "Hallo"}]
    source = opened(folder, "captions,video_path,article\n,a/storm.mp4,texts/storm.txt\n")
    assert source.article("storm")["article"] == "From a text file."
    assert source.captions("storm", ["en"])["captions"][0]["text"] == "Two"


def test_lists_of_video_feature_extractor(folder):
    source = opened(folder, f"video_path,feature_path\n{folder}/a/storm.mp4,/nowhere/storm.npy\n")
    assert list(source.search("*", 9)) == ["storm"]
    assert not list(folder.glob("**/*.npy"))


def test_the_same_name_in_two_folders(folder):
    source = opened(folder, "video_path\nb/clip.mp4\nc/clip.mp4\nb/clip.mp4\n")
    first, second = id_of("b/clip.mp4"), id_of("c/clip.mp4")
    assert set(source.search("*", 9)) == {first, second}
    assert source.article(second)["original_id"] == "c/clip.mp4"
    source.video(second, folder / "out")
    assert (folder / "out").read_bytes() == b"c/clip.mp4"


def test_labels_of_the_same_name_in_two_folders_go_by_path(folder):
    (folder / "list.txt").write_text("video_path\na/news.mp4\nb/news.mp4\n")
    source = LocalSource(folder / "list.txt")  # whatever the suffix of a list is
    first, second = id_of("a/news.mp4"), id_of("b/news.mp4")
    assert source.by_id({"b/news.mp4": {}, first: {}}) == {key: {} for key in sorted([first, second])}
    with pytest.raises(UserError, match="news is the name of several videos"):
        source.by_id({"news": {}})


def test_missing_files_are_listed_and_have_a_reason(folder):
    source = opened(folder, "video_path,article,captions\na/gone.mp4,,texts/gone.vtt\n")
    assert list(source.search("*", 9)) == ["gone"]
    version = source.version("gone")
    with pytest.raises(ItemError) as error:
        source.video("gone", folder / "out")
    assert error.value.reason == Reason.MISSING_FILE
    with pytest.raises(ItemError) as error:
        source.captions("gone", ["en"])
    assert error.value.reason == Reason.BAD_CAPTIONS
    (folder / "a/gone.mp4").write_bytes(b"back")
    assert source.version("gone") != version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "name its columns"),
        ("path\nx.mp4\n", "name its columns"),
        ("video_path,colour\nx.mp4,red\n", "name its columns"),
        ("video_path,video_path\nx,y\n", "name its columns"),
        ("video_path,article\nx.mp4\n", "line 2"),
        ("video_path,article\n\n,text\n", "line 3"),
        ('video_path\n"x.mp4\n', "can't be read"),
        ("video_path,captions\na/storm.mp4,a/storm.mp4\n", "captions"),
    ],
)
def test_broken_lists(folder, text, message):
    with pytest.raises(UserError, match=message):
        opened(folder, text)


def test_a_list_that_is_gone_or_no_text(folder):
    with pytest.raises(UserError, match="can't be read"):
        LocalSource(folder / "none.csv")
    (folder / "list.csv").write_bytes(b"video_path\n\xff\xfe\n")
    with pytest.raises(UserError, match="can't be read"):
        LocalSource(folder / "list.csv")


def test_the_state_follows_the_list_and_what_it_lists(folder):
    opened(folder, "video_path\na/storm.mp4\n")
    seen = {state(folder / "list.csv")}
    (folder / "a/storm.mp4").write_bytes(b"longer than before")
    seen.add(state(folder / "list.csv"))
    (folder / "a/storm.description").write_text("x")
    seen.add(state(folder / "list.csv"))
    opened(folder, "video_path\na/storm.mp4\nb/clip.mp4\n")
    seen.add(state(folder / "list.csv"))
    (folder / "c/clip.mp4").write_bytes(b"not listed")
    assert len(seen) == 4 and state(folder / "list.csv") in seen
