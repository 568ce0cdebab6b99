"""A scripted query and a made-up clip → its picture; clips and images that are missing → a picture without crops."""

import io
import json
import logging
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipeline_lib.config.vq2d_peaks import Peaks
from pipeline_lib.core.errors import ItemError, UserError
from pipeline_lib.video.worker import Worker
from pipeline_lib.vq2d import detections, plots
from pipeline_lib.vq2d.cutouts import Cutouts
from pipeline_lib.vq2d.detections import QueryDetections

FRAMES = 40


def query(uid: str = "val_0000000000", clip_uid: str = "c1", frames: int = FRAMES) -> QueryDetections:
    """A bump at 12..18 in frames of 64×48, boxes in pixels of 128×96."""
    scores = [np.array([0.75 if 12 <= i <= 18 else 0.1]) for i in range(frames)]
    crop = {
        "frame_number": 5,
        "x": 20,
        "y": 20,
        "width": 40,
        "height": 40,
        "original_width": 128,
        "original_height": 96,
    }
    track = [{"frame_number": i} for i in range(14, 20)]
    boxes = [np.array([[40, 20, 80, 60]])] * frames
    return QueryDetections(uid, clip_uid, frames, crop, boxes, scores, response_track=track)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """c1.mp4: frame i is grey 4·i."""
    folder = tmp_path_factory.mktemp("clips")
    with av.open(str(folder / "c1.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "1", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(FRAMES):
            pixels = np.full((48, 64, 3), 16 + 4 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode())
    return folder


def test_cutouts_are_the_boxes_of_their_frames(clips: Path) -> None:
    with Worker() as worker:
        cut = Cutouts(worker, clips)
        places = [
            (30, 0.0, 0.0, 64.0, 48.0),
            (2, 100.0, 50.0, 200.0, 300.0),
            (99, 0.0, 0.0, 9.0, 9.0),
            (3, -9.0, 0.0, 0.0, 9.0),
        ]
        first, second, beyond, outside = cut.of("c1", places, (128, 96))
        assert first is not None
        assert second is not None
        assert (first.shape, second.shape) == ((24, 32, 3), (23, 14, 3))  # half of 64×48; 50..64 × 25..48
        assert abs(float(first.mean()) - (16 + 4 * 30)) < 3
        assert abs(float(second.mean()) - (16 + 4 * 2)) < 3
        assert beyond is None
        assert outside is None
        with pytest.raises(ItemError, match=r"missing_file: .*c2\.mp4 does not exist"):
            cut.of("c2", places, (128, 96))


def test_images_serve_as_well_as_clips(tmp_path: Path) -> None:
    for folder, name in (("egoloc", "color_0000003.jpg"), ("official", "frame_0000004.jpg")):
        (tmp_path / folder / "c1").mkdir(parents=True)
        Image.new("RGB", (64, 48), (200, 10, 10)).save(tmp_path / folder / "c1" / name)
    with Worker() as worker:
        for naming in ("egoloc", "official"):
            cut = Cutouts(worker, None, tmp_path / naming, naming)  # type: ignore[arg-type]
            red, missing = cut.of("c1", [(3, 0.0, 0.0, 64.0, 48.0), (4, 0.0, 0.0, 64.0, 48.0)], (128, 96))
            assert red is not None
            assert red.shape == (24, 32, 3)
            assert np.abs(red.mean(axis=(0, 1)) - (200, 10, 10)).max() < 6
            assert missing is None
        with pytest.raises(ItemError, match="missing_file"):
            cut.of("c2", [(3, 0.0, 0.0, 9.0, 9.0)], (128, 96))
        assert Cutouts(worker, None).of("c1", [(3, 0.0, 0.0, 9.0, 9.0)], (128, 96)) == [None]


def test_a_picture_per_query_the_same_every_time(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    detections.write(tmp_path / "d.json", [query(), query("../../val 1", "c2"), query("val_2", frames=0)])
    with caplog.at_level(logging.WARNING):
        plots.main(tmp_path / "d.json", tmp_path / "a", clips=clips)
    names = ["______val_1.png", "val_0000000000.png", "val_2.png"]
    assert sorted(entry.name for entry in (tmp_path / "a").iterdir()) == names
    assert "../../val 1: drawn without pictures: missing_file" in caplog.text
    plots.main(tmp_path / "d.json", tmp_path / "b", clips=clips)
    contents = [[(tmp_path / folder / name).read_bytes() for name in names] for folder in "ab"]
    assert contents[0] == contents[1]
    sizes = [Image.open(io.BytesIO(content)).size for content in contents[0]]
    assert sizes[1] == (1296, 604)  # 9 × 4.2 inches at 144 dpi
    assert sizes[0] == (1296, 374)  # no row of pictures


def test_a_folder_without_any_of_the_clips_is_refused_and_nothing_drawn(clips: Path, tmp_path: Path) -> None:
    detections.write(tmp_path / "d.json", [query(), query("val_1", "c2")])
    with pytest.raises(UserError, match="none is no folder; correct --clips"):
        plots.main(tmp_path / "d.json", tmp_path / "out", clips=tmp_path / "none")
    with pytest.raises(UserError, match="neither c1 nor any other; correct --images"):
        plots.main(tmp_path / "d.json", tmp_path / "out", images=tmp_path)
    with pytest.raises(UserError, match="neither c2 nor any other; correct --clips"):
        plots.main(tmp_path / "d.json", tmp_path / "out", clips=clips, query=["val_1"])
    assert not (tmp_path / "out").exists()


def test_the_gold_span_and_the_peak_are_where_they_belong() -> None:
    """Pixels of the drawn axes: green between frames 14 and 19, red at the peak, frame 15."""
    content, reason = plots.plot(query(), Peaks(), None)
    assert reason == ""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    green = (np.abs(pixels - _blend("#2e9e6b", 0.25)) < 3).all(axis=2)
    columns = np.flatnonzero(green.sum(axis=0) > 100)
    red = (np.abs(pixels - _blend("#c7486f", 1.0)) < 3).all(axis=2)
    peak = float(np.mean(np.nonzero(red[80:])[1]))
    per_frame = (columns[-1] - columns[0] + 1) / 6  # 13.5 to 19.5
    assert (peak - columns[0]) / per_frame == pytest.approx(1.5, abs=0.1)


def _blend(colour: str, alpha: float) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.rint(255 * (1 - alpha) + alpha * rgb).astype(int)


def test_choosing_queries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    detections.write(tmp_path / "d.json", [query(f"val_{i}") for i in range(4)])
    plots.main(tmp_path / "d.json", tmp_path / "one", query=["val_2"])
    plots.main(tmp_path / "d.json", tmp_path / "two", limit=2)
    assert [entry.name for entry in (tmp_path / "one").iterdir()] == ["val_2.png"]
    assert sorted(entry.name for entry in (tmp_path / "two").iterdir()) == ["val_0.png", "val_1.png"]
    assert capsys.readouterr().out.startswith("1 pictures in ")
    with pytest.raises(UserError, match="has no query val_9"):
        plots.main(tmp_path / "d.json", tmp_path / "three", query=["val_9"])
    with pytest.raises(UserError, match="width = -1"):
        plots.main(tmp_path / "d.json", tmp_path / "four", options=json.dumps({"width": -1}))
