import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

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


def test_a_failed_download_says_where_to_put_the_file(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(weights.pooch, "retrieve", fail)
    with pytest.raises(UserError, match=r"put the file at .*s3d_howto100m\.pth, or set weights\.s3d .*\(no route\)"):
        weights.locate("s3d", "howto100m", tmp_path, tmp_path / "lock")


def test_networks_that_are_pinned_at_once_are_all_pinned(tmp_path, monkeypatch):
    known = [name for name, one in weights.REGISTRY.items() if one.url]
    (tmp_path / "file").write_bytes(b"one")
    monkeypatch.setattr(weights.pooch, "retrieve", lambda *a, **k: tmp_path / "file")
    write = weights.files.write_json
    monkeypatch.setattr(weights.files, "write_json", lambda *a: (time.sleep(0.02), write(*a)))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: weights.locate(*name, tmp_path, tmp_path / "lock"), known))
    assert set(weights.files.read_json(tmp_path / "lock")) == {"/".join(name) for name in known} and len(known) > 2
