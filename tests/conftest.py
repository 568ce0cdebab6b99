"""The order of all tests, and fixtures that several files use: small video files of known content."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline_lib.video.encoding import DETERMINISTIC


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first: what takes seconds fills up the processes that are done with theirs."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """A function (path, seconds, fps, size, …) that writes an H.264 file whose frame i has brightness 4·i modulo 256."""

    def write(
        path: Path, seconds: float = 4.0, fps: int = 10, size: tuple[int, int] = (64, 48), **stream_options
    ) -> Path:
        with av.open(str(path), "w") as container:
            options = {"g": "20", "crf": "18", **DETERMINISTIC, **stream_options}
            stream = container.add_stream("libx264", rate=fps, options=options)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for i in range(round(seconds * fps)):
                picture = np.full((size[1], size[0], 3), 4 * i % 256, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def video(make_video, tmp_path_factory) -> Path:
    """Four seconds at 10 frames a second, 64×48."""
    return make_video(tmp_path_factory.mktemp("video") / "video.mp4")
