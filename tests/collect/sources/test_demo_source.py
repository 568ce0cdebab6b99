"""The demo source as the stages see it: ids, search, texts and files that never change by themselves."""

import hashlib
import re
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline_lib.collect.sources.demo import QUERIES, DemoSource, ids
from pipeline_lib.collect.sources.demo.world import SPLITS
from pipeline_lib.core.errors import ItemError

SMALL = {"min_seconds": 8.0, "max_seconds": 8.5, "width": 96, "height": 64, "fps": 8}
RENDER = """
import sys
from pathlib import Path
from pipeline_lib.collect.sources.demo import DemoSource
small = dict(min_seconds=8.0, max_seconds=8.5, width=96, height=64, fps=8)
source = DemoSource(train=3, val=1, test=1, sound=True, **small)
source.video(sys.argv[1], Path(sys.argv[2]))
"""


def any_id(source: DemoSource) -> str:
    return next(iter(source.search("*", 1)))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_ids_are_valid_unique_and_reversible():
    places = [(split, index) for split in SPLITS for index in (*range(2000), 10**6, 2**40 - 1)]
    made = [ids.encode(7, *place) for place in places]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{11}", video_id) for video_id in made)
    assert len(set(made)) == len(made)
    assert [ids.decode(7, video_id) for video_id in made] == places


@pytest.mark.parametrize(
    "video_id", ["", "short", "AAAAAAAAAAA", "dQw4w9WgXcQ", "æææææææææææ", "../../../etc", "a" * 12]
)
def test_foreign_ids_are_not_found(video_id):
    with pytest.raises(ItemError, match="not_found"):
        DemoSource().article(video_id)


def test_ids_of_another_seed_are_not_found():
    with pytest.raises(ItemError):
        DemoSource().captions(ids.encode(1, "train", 0), ["en"])


def test_the_count_decides_what_is_listed_not_what_an_id_means():
    video_id = ids.encode(0, "train", 99)
    small, large = DemoSource(train=2), DemoSource(train=200)
    assert video_id not in small.search("*", 10**6)
    assert small.article(video_id) == large.article(video_id) and small.version(video_id) == large.version(video_id)


def test_the_default_queries_together_find_every_video():
    source = DemoSource()
    found = [source.search(query, 10**6) for query in QUERIES]
    assert all(found)
    assert set().union(*found) == set(source.search("*", 10**6)) and len(source.search("*", 10**6)) == 120


def test_search_reads_words():
    source = DemoSource(train=400, val=0, test=0)
    assert set(source.search("Truck fire", 500)) == set(source.search("truck", 500)) & set(source.search("fire", 500))
    assert all("truck" in hit["title"] for hit in source.search("trucks", 500).values())
    assert not source.search("zeppelin", 500) and not source.search("", 500)
    assert list(source.search("*", 10)) == list(source.search("*", 500))[:10]
    assert not source.search("*", 0)


def test_a_limited_search_mixes_the_splits_in_proportion():
    source = DemoSource(train=72, val=24, test=24)
    first = [ids.decode(0, video_id) for video_id in source.search("*", 40)]
    assert [sum(place[0] == split for place in first) for split in SPLITS] == [24, 8, 8]


def test_hit_article_and_annotation_agree():
    source = DemoSource(train=3, val=3, test=3)
    annotations = source.annotations()
    for video_id, hit in source.search("*", 9).items():
        article = source.article(video_id)
        assert all(article[key] == hit[key] for key in ("url", "title", "duration", "channel"))
        assert article["duration"] == annotations[video_id]["duration"]
        assert article["article"] == " ".join(annotations[video_id]["article_sentences"])
        time.strptime(article["upload_date"], "%Y%m%d")


def test_captions_exist_in_english_only():
    source = DemoSource()
    video_id = any_id(source)
    assert source.captions(video_id, ["de", "en-GB"])["captions"]
    assert source.captions(video_id, ["de"]) == {"captions": [], "caption_kind": "none", "language": ""}


def test_more_videos_change_no_other(tmp_path):
    before, after = DemoSource(train=2, val=1, test=1, **SMALL), DemoSource(train=3, val=2, test=1, **SMALL)
    kept = before.annotations()
    assert kept == {video_id: after.annotations()[video_id] for video_id in kept}
    for video_id in kept:
        assert before.article(video_id) == after.article(video_id)
        assert before.version(video_id) == after.version(video_id)
    before.video(video_id, tmp_path / "before")
    after.video(video_id, tmp_path / "after")
    assert sha256(tmp_path / "before") == sha256(tmp_path / "after")


def test_the_version_follows_what_is_rendered():
    video_id = any_id(DemoSource())
    versions = [
        DemoSource(**options).version(video_id) for options in ({}, {"fps": 12}, {"width": 160}, {"sound": True})
    ]
    assert len(set(versions)) == 4


def test_two_processes_write_the_same_bytes(tmp_path):
    video_id = any_id(DemoSource(train=3, val=1, test=1, **SMALL))
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", RENDER, video_id, tmp_path / name], check=True)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")


def test_the_file_decodes_to_what_was_promised(tmp_path):
    source = DemoSource(min_seconds=8.0, max_seconds=9.0)
    video_id = any_id(source)
    source.video(video_id, tmp_path / "video.part")
    assert (tmp_path / "video.part").read_bytes().index(b"moov") < 1000  # faststart
    with av.open(str(tmp_path / "video.part")) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (320, 192, 24)
        frames = list(container.decode(stream))
    keys = [i for i, frame in enumerate(frames) if frame.key_frame]
    assert np.diff([*keys, len(frames)]).max() <= 3 * 24
    assert abs(len(frames) / 24 - source.article(video_id)["duration"]) <= 1 / 24


def test_pictures_follow_the_story(tmp_path):
    source = DemoSource(train=1, val=0, test=0, **SMALL)
    video_id = any_id(source)
    source.video(video_id, tmp_path / "video.mp4")
    with av.open(str(tmp_path / "video.mp4")) as container:
        frames = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)]).astype(float)
    jumps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    cuts = [
        round(time_ * 8)
        for event in source.annotations()[video_id]["events"]
        for time_ in (event["start"], event["end"])
    ]
    inside = [cut for cut in cuts if cut < len(frames)]
    assert min(jumps[cut - 1] for cut in inside) > np.median(jumps) * 3


def test_sound_is_an_option(tmp_path):
    source = DemoSource(train=1, val=0, test=0, sound=True, **SMALL)
    video_id = any_id(source)
    source.video(video_id, tmp_path / "video.mp4")
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        wave = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert abs(len(wave) / 22_050 - source.article(video_id)["duration"]) < 0.1 and wave.std() > 0.05


def test_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="even"):
        DemoSource(width=321)


def test_a_hundred_thousand_ids_are_listed_fast():
    began = time.process_time()
    hits = DemoSource(train=60_000, val=20_000, test=20_000).search("*", 10**5)
    assert len(hits) == 10**5 and time.process_time() - began < 5
