import io
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline_lib.video.jpegs import as_image, jpegs


def jpeg(image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("form", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "gray", "gbrp"])
def test_bytes_are_those_of_pyav_and_pillow_at_every_width(form):
    random = np.random.default_rng(0)
    for width in range(16, 66):
        for height in (16, 33):
            drawn = random.integers(0, 256, (height, width, 3), np.uint8)
            picture = av.VideoFrame.from_ndarray(drawn, format="rgb24").reformat(format=form)
            assert jpeg(as_image(picture)) == jpeg(picture.to_image()), (width, height)


def test_every_frame_becomes_a_file(video, tmp_path):
    made = jpegs(video, str(tmp_path), "f{:03d}.jpg", first=1)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"f{i:03d}.jpg" for i in range(1, 41)]
    assert made == {"frames": 40, "width": 64, "height": 48, "bytes": sum(file.stat().st_size for file in files)}
    with av.open(str(video)) as container:
        expected = [jpeg(picture.to_image()) for picture in container.decode(video=0)]
    assert [Path(file).read_bytes() for file in files] == expected
