import pytest

from pipeline_lib.core import weights
from pipeline_lib.core.errors import UserError


def test_path(tmp_path):
    path = tmp_path / "mine.pth"
    path.write_bytes(b"x")
    found = weights.locate("s3d", str(path), tmp_path, tmp_path / "lock")
    assert (found.path, found.name) == (path, "mine.pth") and len(found.sha256) == 64


def test_missing_file_says_what_is_possible(tmp_path):
    with pytest.raises(UserError, match=r"weights\.s3d = '/no/s3d\.pth': no such file; .*untrained or howto100m"):
        weights.locate("s3d", "/no/s3d.pth", tmp_path, tmp_path / "lock")
    with pytest.raises(UserError, match="not offered for download"):
        weights.locate("objects", "visual_genome", tmp_path, tmp_path / "lock")


def test_first_use_pins_and_later_use_enforces(tmp_path, monkeypatch):
    file, lock = tmp_path / "s3d_howto100m.pth", tmp_path / "weights.lock"
    monkeypatch.setattr(weights.pooch, "retrieve", lambda *a, **k: file)
    file.write_bytes(b"one")
    first = weights.locate("s3d", "howto100m", tmp_path, lock)
    assert weights.locate("s3d", "howto100m", tmp_path, lock) == first
    file.write_bytes(b"two")
    with pytest.raises(UserError, match=r"weights\.lock pins"):
        weights.locate("s3d", "howto100m", tmp_path, lock)
