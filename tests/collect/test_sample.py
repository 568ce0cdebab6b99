import hashlib
import io
import itertools
import json
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from pipeline_lib.collect import films, sample
from pipeline_lib.collect.sources.local import LocalSource
from pipeline_lib.core.errors import UserError

CLIPS = sample.load_clips()
SCENES = [clip for clip in CLIPS if clip.frames]


def item(**changes):
    """A texts entry of ten film frames, changed as asked."""
    values = {
        "id": "tiny_1",
        "file": "bbb.mp4",
        "frames": [24, 48],
        "split": "test",
        "title": "A title",
        "events": [{"start": 0.0, "end": 0.5, "type": "walk", "shows": [1]}],
        "article": ["Not here.", "Seen here."],
        "captions": [{"start": 0.1, "end": 0.9, "text": "Somebody walks."}],
        "proposals": [0.5],
    }
    return values | changes


def test_the_film_gives_enough_scenes_of_the_right_length():
    assert len(SCENES) >= 40
    assert all(4 <= clip.seconds <= 16 for clip in SCENES)
    ends = [edge for clip in SCENES for edge in clip.frames]
    assert sorted(ends) == ends, "scenes overlap or are out of order"


def test_splits_are_about_a_half_and_two_quarters():
    share = {split: count / len(CLIPS) for split, count in Counter(clip.split for clip in CLIPS).items()}
    assert share == pytest.approx({"train": 0.5, "val": 0.25, "test": 0.25}, abs=0.05)
    overlapping = {clip.split for clip in CLIPS if clip.id in ("bbb_006", "bigbuckbunny")}
    assert len(overlapping) == 1, "the same pictures are in two splits"


def test_every_clip_has_shown_and_unshown_sentences():
    for clip in CLIPS:
        shown = {sentence for event in clip.events for sentence in event.shows}
        assert 4 <= len(clip.article) <= 6, clip.id
        assert 1 <= len(shown) < len(clip.article), clip.id
        assert all(event.shows for event in clip.events), clip.id
        assert 1 <= len(clip.events) <= 4 and 1 <= len(clip.proposals) <= 4, clip.id
        assert 2 <= len(clip.captions) <= 5, clip.id


def test_texts_are_whole_sentences_and_not_repeated():
    sentences = [text for clip in CLIPS for text in clip.article]
    assert all(text[0].isupper() and text[-1] == "." and text.strip() == text for text in sentences)
    assert len(set(sentences)) == len(sentences)
    assert all(caption.text.strip() for clip in CLIPS for caption in clip.captions)


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "other.mp4"},
        {"split": "dev"},
        {"id": "../up"},
        {"title": ""},
        {"frames": [48, 24]},
        {"frames": None},
        {"proposals": [0.0]},
        {"proposals": [0.6, 0.5]},
        {"proposals": [1.0]},
        {"article": ["Only one."]},
        {"captions": [{"start": 0.1, "end": 1.1, "text": "Too long."}]},
        {"events": [{"start": 0.0, "end": 0.5, "type": "walk", "shows": [-1]}]},
        {"events": [{"start": a, "end": a + 0.4, "type": "walk", "shows": [1]} for a in (0.0, 0.3)]},
        {"surprise": 1},
    ],
)
def test_inconsistent_texts_are_refused_by_name(tmp_path, changes):
    path = tmp_path / "texts.yaml"
    path.write_text(yaml.safe_dump([item()]))
    assert sample.load_clips(path)
    path.write_text(yaml.safe_dump([item(**changes)]))
    with pytest.raises(UserError, match=r"texts\.yaml"):
        sample.load_clips(path)


def test_an_id_is_used_once(tmp_path):
    path = tmp_path / "texts.yaml"
    path.write_text(yaml.safe_dump([item(), item()]))
    with pytest.raises(UserError, match="twice"):
        sample.load_clips(path)


def render(path, frames=96, width=960, height=540):
    """A film whose every frame has a brightness of its own."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=sample.FILM_FPS, options={"crf": "10", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = np.full((height, width, 3), 20 + 2 * index, np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(stream.encode(None))


def brightness(path):
    with av.open(str(path)) as source:
        assert source.streams.video[0].codec_context.name == "h264"
        return [(f.width, f.height, f.to_ndarray(format="rgb24").mean()) for f in source.decode(video=0)]


def test_cut_takes_exactly_these_frames_at_half_size(tmp_path):
    render(tmp_path / "film.mp4")
    sample.cut(tmp_path / "film.mp4", (31, 55), tmp_path / "scene.mp4")
    pictures = brightness(tmp_path / "scene.mp4")
    assert {(width, height) for width, height, _ in pictures} == {(640, 360)}
    assert [mean for *_, mean in pictures] == pytest.approx([20 + 2 * i for i in range(31, 55)], abs=1.5)
    sample.cut(tmp_path / "film.mp4", (31, 55), tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "scene.mp4").read_bytes()
    with pytest.raises(UserError, match="frames"):
        sample.cut(tmp_path / "film.mp4", (90, 120), tmp_path / "beyond.mp4")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache whose `bbb.mp4` is a small rendered film."""
    folder = tmp_path / "cache"
    folder.mkdir()
    render(folder / "bbb.mp4", width=320, height=180)
    digest = hashlib.sha256((folder / "bbb.mp4").read_bytes()).hexdigest()
    media = films.Media(films._MOVIEPY, ("a.zip", "bbb.mp4"), digest, channel="Nobody")
    monkeypatch.setitem(films.MEDIA, "bbb.mp4", media)
    return folder


def clips(**changes):
    return [sample.Clip.model_validate(item(**changes)), sample.Clip.model_validate(item(id="tiny_2", frames=[50, 80]))]


def test_a_built_folder_serves_the_local_source(tmp_path, cache):
    out = tmp_path / "out"
    assert sample.build(clips(), out, cache, workers=2) == 2
    source = LocalSource(out)
    assert list(source.search("*", 9)) == ["tiny_1", "tiny_2"]
    article = source.article("tiny_1")
    assert (article["article"], article["duration"]) == ("Not here. Seen here.", 1.0)
    captions = source.captions("tiny_1", ["en"])
    assert captions["caption_kind"] == "manual"
    assert captions["captions"] == [{"start": 0.1, "duration": 0.8, "text": "Somebody walks."}]
    assert source.annotations()["tiny_2"] == {
        "split": "test",
        "duration": 1.25,
        "article_sentences": ["Not here.", "Seen here."],
        "temporal_proposals": [0.5],
        "events": [{"start": 0.0, "end": 0.5, "type": "walk"}],
        "event_coreference": [[0, 1]],
    }
    assert len(brightness(out / "tiny_2.mp4")) == 30


def test_a_second_build_touches_nothing(tmp_path, cache):
    out = tmp_path / "out"
    sample.build(clips(), out, cache, workers=1)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (cache / "bbb.mp4").unlink()
    assert sample.build(clips(), out, cache, workers=1) == 0
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_changed_text_rewrites_the_text_and_changed_frames_the_video(tmp_path, cache):
    out = tmp_path / "out"
    sample.build(clips(), out, cache, workers=1)
    assert sample.build(clips(title="New"), out, cache, workers=1) == 0
    assert json.loads((out / "tiny_1.info.json").read_text())["title"] == "New"
    assert sample.build(clips(frames=[0, 24]), out, cache, workers=1) == 1
    assert brightness(out / "tiny_1.mp4")[0][2] == pytest.approx(20, abs=1.5)


def test_a_killed_build_goes_on(tmp_path, cache, monkeypatch):
    out, calls, cut = tmp_path / "out", itertools.count(), sample.cut

    def killed(*arguments):
        if next(calls) == 1:
            raise KeyboardInterrupt
        cut(*arguments)

    monkeypatch.setattr(sample, "cut", killed)
    with pytest.raises(KeyboardInterrupt):
        sample.build(clips(), out, cache, workers=1)
    assert not (out / "annotations.json").exists()
    (out / ".left-behind.mp4.partial").write_bytes(b"half")
    assert sample.build(clips(), out, cache, workers=1) == 1
    assert not any(path.name.endswith(".partial") for path in out.iterdir())


def test_a_wrong_file_is_refused(cache):
    (cache / "bbb.mp4").write_bytes(b"something else")
    with pytest.raises(UserError, match="sha256"):
        films.fetch("bbb.mp4", cache)


def test_media_are_found_in_nested_archives(cache):
    film = (cache / "bbb.mp4").read_bytes()
    (cache / "bbb.mp4").unlink()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("bbb.mp4", film)
    with tarfile.open(cache / films._MOVIEPY.archive, "w:gz") as archive:
        entry = tarfile.TarInfo("a.zip")
        entry.size = len(inner.getvalue())
        archive.addfile(entry, io.BytesIO(inner.getvalue()))
    assert films.fetch("bbb.mp4", cache).read_bytes() == film
    (cache / "bbb.mp4").unlink()
    (cache / films._MOVIEPY.archive).write_bytes(b"half a download")
    with pytest.raises(UserError, match="broken"):
        films.fetch("bbb.mp4", cache)


def test_offline_says_what_to_do(cache, monkeypatch):
    (cache / "bbb.mp4").unlink()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match=r"can't download moviepy==2\.2\.1 .*put moviepy-2\.2\.1\.tar\.gz into"):
        films.fetch("bbb.mp4", cache)


def test_a_download_lands_in_the_cache_wherever_that_is(cache, tmp_path, monkeypatch):
    """Also one given relative to the working folder: the downloader is started in the cache itself."""
    film = (cache / "bbb.mp4").read_bytes()
    made = tmp_path / films._MOVIEPY.archive
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as inner:
        inner.writestr(films.MEDIA["bbb.mp4"].members[1], film)
    with tarfile.open(made, "w:gz") as archive:
        archive.add(tmp_path / "inner.zip", films.MEDIA["bbb.mp4"].members[0])
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nwhile [ "$1" != --dest ]; do shift; done\nmkdir -p "$2" && cp {made} "$2" && echo WARNING: slow >&2\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(films.sys, "executable", str(python))
    monkeypatch.chdir(tmp_path)
    assert films.fetch("bbb.mp4", Path("else/where")).read_bytes() == film
    made.unlink()
    with pytest.raises(UserError, match=r"can't download .*No such file"):
        films.fetch("bbb.mp4", Path("empty"))


def test_without_debian_tools_the_optional_video_is_left_out_aloud(tmp_path, cache, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sample, "load_clips", clips)
    sample.main(out=tmp_path / "out", cache=cache, with_debian=True, workers=1)
    printed = capsys.readouterr()
    assert "vtest.avi is left out" in printed.err and "apt-get is not installed" in printed.err
    assert "2 videos (0 train, 0 val, 2 test), 2 made now" in printed.out
