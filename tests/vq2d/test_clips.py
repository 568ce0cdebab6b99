"""Clips of videos whose frames show their number as a grey level."""

import json
import os
from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline_lib.core import ledger
from pipeline_lib.core.errors import ItemError, UserError
from pipeline_lib.vq2d import clips, frames

FPS = 30


def video(path, count, fps=FPS, size=(48, 32)):
    """Frame i is grey level i."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "5", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(count):
            pixels = np.full((size[1], size[0], 3), number % 256, np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def levels(path):
    with av.open(str(path)) as container:
        return [round(float(p.to_ndarray(format="rgb24").mean())) for p in container.decode(video=0)]


def clip(uid, first, last, fps=FPS, **other):
    return {
        "clip_uid": uid,
        "video_start_frame": first,
        "video_end_frame": last,
        "video_start_sec": first / fps,
        "video_end_sec": last / fps,
        "clip_fps": 5.0,
        "annotations": [],
        **other,
    }


@pytest.fixture
def place(tmp_path):
    (tmp_path / "videos").mkdir()
    video(tmp_path / "videos/v.mp4", 211)

    def run(*wanted, uid="v", also=(), **options):
        videos = {uid: wanted, "v": also} if also else {uid: wanted}
        export = {"videos": [{"video_uid": name, "split": "val", "clips": list(of)} for name, of in videos.items()]}
        (tmp_path / "vq_val.json").write_text(json.dumps(export))
        clips.main([tmp_path / "vq_val.json"], tmp_path / "videos", tmp_path / "clips", **options)
        return ledger.read(tmp_path / "clips/ledger/0000.parquet")

    return tmp_path, run


def test_a_clip_has_every_sixth_frame_and_the_last_one(place):
    folder, run = place
    rows = run(clip("a", 30, 210), clip("b", 0, 89))
    assert [(row.status, row.rows) for row in rows.values()] == [("ok", 31), ("ok", 15)]
    assert np.abs(np.array(levels(folder / "clips/a.mp4")) - np.arange(30, 211, 6)).max() <= 1
    with av.open(str(folder / "clips/a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate, stream.pix_fmt) == ("h264", 5, "yuv420p")


def test_bytes_are_the_same_every_time_whatever_the_workers(place):
    folder, run = place
    run(clip("a", 0, 60), clip("b", 60, 120))
    first = {path.name: path.read_bytes() for path in (folder / "clips").glob("*.mp4")}
    for path in (folder / "clips").glob("*.mp4"):
        path.unlink()
    run(clip("a", 0, 60), clip("b", 60, 120), jobs=2)
    assert {path.name: path.read_bytes() for path in (folder / "clips").glob("*.mp4")} == first and len(first) == 2


def test_a_height_makes_the_width_even(place):
    folder, run = place
    run(clip("a", 0, 60), downscale_height=22)
    with av.open(str(folder / "clips/a.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (34, 22)  # 33 is odd


def test_whole_clips_stay_and_truncated_ones_are_made_again(place):
    folder, run = place
    path = folder / "clips/a.mp4"
    run(clip("a", 0, 120))
    whole, inode = path.read_bytes(), path.stat().st_ino
    run(clip("a", 0, 120))
    assert path.stat().st_ino == inode
    os.truncate(path, len(whole) // 2)
    run(clip("a", 0, 120))
    assert path.read_bytes() == whole
    run(clip("a", 0, 60))
    short = path.read_bytes()
    path.write_bytes(short)  # a good clip of another extent, as an interrupted tool leaves it
    run(clip("a", 0, 180))
    assert len(levels(path)) == 31


def test_a_clip_of_another_place_in_the_video_is_made_again(place):
    folder, run = place
    run(clip("a", 0, 60))
    assert run(clip("a", 60, 120))["a"].ok
    assert np.abs(np.array(levels(folder / "clips/a.mp4")) - np.arange(60, 121, 6)).max() <= 1
    assert not list(folder.glob("clips/*.old"))


def test_a_clip_of_another_place_is_not_searched_while_its_video_is_gone(place):
    folder, run = place
    run(clip("a", 0, 60), clip("b", 0, 60))
    content = (folder / "clips/a.mp4").read_bytes()
    (folder / "videos/v.mp4").rename(folder / "v.mp4")
    rows = run(clip("a", 60, 120), clip("b", 0, 60))
    assert (rows["a"].reason, rows["b"].ok) == ("missing_file", True)
    assert not (folder / "clips/a.mp4").exists() and (folder / "clips/a.mp4.old").read_bytes() == content
    (folder / "v.mp4").rename(folder / "videos/v.mp4")
    assert run(clip("a", 60, 120), clip("b", 0, 60))["a"].ok and not list(folder.glob("clips/*.old"))


def test_a_clip_from_elsewhere_is_kept_if_it_is_whole(place):
    folder, run = place
    run(clip("a", 0, 120))
    (folder / "other").mkdir()
    foreign = folder / "clips/b.mp4"
    foreign.write_bytes((folder / "clips/a.mp4").read_bytes() + b"\0" * 8)
    content = foreign.read_bytes()
    rows = run(clip("b", 0, 120), uid="gone")  # not even the video is there
    assert rows["b"].ok and foreign.read_bytes() == content


def test_what_cannot_be_cut_is_named_and_the_others_go_on(place):
    folder, run = place
    video(folder / "videos/odd.mp4", 60, fps=24)
    (folder / "videos/broken.mp4").write_bytes(b"<html>")
    rows = run(
        clip("good", 0, 90), clip("long", 180, 600), clip("back", 90, 0), clip("../up", 0, 90), {"clip_uid": None}
    )
    assert {uid: row.reason for uid, row in rows.items()} == {
        "good": None,
        "long": "truncated",
        "back": "bad_annotation",
        "../up": "invalid_id",
    }
    assert "after 6 of the clip's 71 frames" in rows["long"].detail
    assert run(clip("m", 0, 90), uid="gone", also=[clip("good", 0, 90)])["m"].reason == "missing_file"
    assert run(clip("r", 0, 48, 24), uid="odd")["r"].reason == "frame_rate"
    assert run(clip("h", 0, 90), uid="broken")["h"].reason == "not_a_video"
    assert run(clip("n", 0, 90, video_end_sec="soon"))["n"].reason == "bad_annotation"


def test_a_video_that_comes_later_is_used(place):
    folder, run = place
    assert run(clip("a", 0, 60), uid="late", also=[clip("b", 0, 60)])["a"].reason == "missing_file"
    (folder / "videos/v.mp4").rename(folder / "videos/late.mp4")
    assert run(clip("a", 0, 60), uid="late")["a"].ok


def test_a_little_less_than_annotated_is_noted_not_refused(place):
    folder, run = place
    assert run(clip("a", 150, 230))["a"].rows == 11  # 14 were due, 0.6 s
    receipt = json.loads(next((folder / "clips/ledger/items").rglob("a.json")).read_text())
    assert receipt["missing"] == 3


def test_shards_share_a_folder(place):
    folder, _ = place
    every = [clip(name, 0, 30) for name in "abcdef"]
    export = {"videos": [{"video_uid": "v", "split": "val", "clips": every}]}
    (folder / "vq.json").write_text(json.dumps(export))
    for shard in (0, 1):
        clips.main([folder / "vq.json"], folder / "videos", folder / "out", shard=shard, shards=2)
    ledgers = [ledger.read(folder / f"out/ledger/000{shard}.parquet") for shard in (0, 1)]
    assert sorted([*ledgers[0], *ledgers[1]]) == list("abcdef") and all(ledgers)
    assert len(list((folder / "out").glob("*.mp4"))) == 6
    with pytest.raises(UserError, match="--shard 2 of --shards 2"):
        clips.main([folder / "vq.json"], folder / "videos", folder / "out", shard=2, shards=2)


def test_rates_lose_their_fraction_as_in_the_official_script():
    one = clips.Clip.model_validate(clip("a", 0, 60) | {"video_uid": "v"})
    assert [one.step(fps) for fps in (30, 29.999, 60, 5, 25)] == [6, 6, 12, 1, 5]
    for fps in (30000 / 1001, 24, 4):
        with pytest.raises(ItemError, match=f"{fps:.2f} frames a second are no multiple"):
            one.step(fps)


def test_conflicting_annotations_are_refused():
    exports = [{"videos": [{"video_uid": "v", "clips": [clip("a", 0, end)]}]} for end in (30, 60)]
    with pytest.raises(UserError, match="annotated twice"):
        clips.wanted(exports)
    assert list(clips.wanted(exports[:1] * 2)) == ["a"]


@pytest.mark.parametrize("clips_of_a_video", [None, ["a"], [{}], [{"clip_uid": ["a"]}]])
def test_what_is_no_annotation_file_is_one_line(clips_of_a_video):
    with pytest.raises(UserError, match=r"no annotation file|which is no text"):
        clips.wanted([{"videos": [{"video_uid": "v", "clips": clips_of_a_video}]}])
    with pytest.raises(UserError, match="video 0 has no video_uid"):
        clips.wanted([{"videos": [3.5]}])


def test_a_folder_with_none_of_the_videos_is_refused_and_nothing_written(place):
    folder, run = place
    with pytest.raises(UserError, match=r"neither gone\.mp4 nor any other; give --videos"):
        run(clip("a", 0, 30), uid="gone")
    export = folder / "vq_val.json"
    with pytest.raises(UserError, match="none is no folder; give --videos"):
        clips.main([export], folder / "none", folder / "clips")
    assert not (folder / "clips").exists()


def test_a_folder_without_clips_gives_no_frames(place):
    folder, run = place
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no clips; give --clips"):
        frames.main(folder / "empty", folder / "out")
    with pytest.raises(UserError, match="none is no folder; give --clips"):
        frames.main(folder / "none", folder / "out")
    run(clip("a", 0, 30))
    (folder / "list.txt").write_text("b\n")
    with pytest.raises(UserError, match="neither b nor any other"):
        frames.main(folder / "clips", folder / "out", listed=folder / "list.txt")
    (folder / "list.txt").write_text("\n")
    with pytest.raises(UserError, match="names no clips"):
        frames.main(folder / "clips", folder / "out", listed=folder / "list.txt")
    (folder / "list.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError, match=r"list\.txt is damaged"):
        frames.main(folder / "clips", folder / "out", listed=folder / "list.txt")
    with pytest.raises(UserError, match=r"gone\.txt does not exist"):
        frames.main(folder / "clips", folder / "out", listed=folder / "gone.txt")
    assert not (folder / "out").exists()


def test_frames_of_listed_clips_only(place, caplog):
    folder, run = place
    run(clip("a", 0, 30), clip("b", 0, 30), clip("c", 0, 30))
    (folder / "list.json").write_text('["c", "a", "gone"]')
    with caplog.at_level("INFO"):
        frames.main(folder / "clips", folder / "out", listed=folder / "list.json")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a", "c", "ledger"]
    assert "gone: missing_file" in caplog.text and "frames: 2 ok, 1 missing_file" in caplog.text


def test_a_shard_may_have_no_frames_while_other_shards_clips_are_cut(place):
    folder, _ = place
    (folder / "clips/ledger").mkdir(parents=True)
    frames.main(folder / "clips", folder / "out", shard=0, shards=2)
    assert ledger.read(folder / "out/ledger/0000.parquet") == {}


def test_frames_are_pillows_bytes_numbered_both_ways(place):
    folder, run = place
    run(clip("a", 0, 30))
    frames.main(folder / "clips", folder / "egoloc")
    frames.main(folder / "clips", folder / "official", naming="official", jobs=2)
    names = [f"color_{i:07d}.jpg" for i in range(6)]
    assert sorted(path.name for path in (folder / "egoloc/a").iterdir()) == names
    with av.open(str(folder / "clips/a.mp4")) as container:
        for number, picture in enumerate(container.decode(video=0)):
            picture.to_image().save(folder / "pillow.jpg")
            expected = (folder / "pillow.jpg").read_bytes()
            assert (folder / "egoloc/a" / names[number]).read_bytes() == expected
            assert frames.image_path(folder / "official", "a", number, "official").read_bytes() == expected


def test_frames_are_made_again_when_damaged_or_outdated(place):
    folder, run = place
    run(clip("a", 0, 30))
    frames.main(folder / "clips", folder / "out")
    last = folder / "out/a/color_0000005.jpg"
    content, inode = last.read_bytes(), last.stat().st_ino
    frames.main(folder / "clips", folder / "out")
    assert last.stat().st_ino == inode
    last.write_bytes(b"")
    frames.main(folder / "clips", folder / "out")
    assert last.read_bytes() == content
    run(clip("a", 0, 60))
    frames.main(folder / "clips", folder / "out")
    assert len(list((folder / "out/a").iterdir())) == 11


def test_other_files_in_a_folder_are_not_deleted(place):
    folder, run = place
    run(clip("a", 0, 30))
    (folder / "out/a").mkdir(parents=True)
    (folder / "out/a/notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt is none of the frames"):
        frames.main(folder / "clips", folder / "out")
    assert (folder / "out/a/notes.txt").read_text() == "mine"


def test_a_broken_clip_is_named_and_leaves_no_folder(place):
    folder, run = place
    run(clip("a", 0, 30))
    (folder / "clips/b.mp4").write_bytes(b"no video")
    frames.main(folder / "clips", folder / "out")
    rows = ledger.read(folder / "out/ledger/0000.parquet")
    assert rows["a"].ok and rows["b"].reason == "not_a_video"
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a", "ledger"]
