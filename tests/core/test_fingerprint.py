from pathlib import Path

import pytest

from pipeline_lib.core import fingerprint as module
from pipeline_lib.core.fingerprint import dependencies, fingerprint


@pytest.fixture
def package(tmp_path: Path):
    """A small pipeline_lib whose module `a` imports `b` and core; returns a function that edits a file and fingerprints `a`."""
    root = tmp_path / "pipeline_lib"
    for name in ("__init__.py", "core/__init__.py", "core/plumbing.py", "c.py"):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_text("")
    (root / "a.py").write_text("from pipeline_lib import b\nfrom pipeline_lib.core import plumbing\nX = b.Y + 1\n")
    (root / "b.py").write_text("Y = 1\n")

    def edited(file: str = "", text: str = "") -> str:
        if file:
            (root / file).write_text(text)
        fingerprint.cache_clear()
        module._read.cache_clear()
        return fingerprint("pipeline_lib.a", tmp_path)

    return edited


def test_only_what_computes_counts(package):
    before = package()
    assert package("b.py", '"""A docstring."""\n\n# a comment\nY = 1  # and another\n') == before
    assert package("c.py", "Z = 3") == before  # not imported
    assert package("core/plumbing.py", "Z = 3") == before  # moves bytes, computes none
    assert package("b.py", "Y = 2\n") != before
    assert package("b.py", "Y = 1\n") == before


def test_relative_and_local_imports_are_followed(package):
    package("b.py", "def f():\n    from . import c\n    return c.Z\n")
    before = package("c.py", "Z = 3")
    assert package("c.py", "Z = 4") != before


def test_names_that_start_like_plumbing_count():
    assert fingerprint("pipeline_lib.coref.losses") != fingerprint("pipeline_lib.coref.model")


def test_real_modules():
    found = dependencies("pipeline_lib.features.s3d", Path(__file__).parents[2])
    assert "pipeline_lib.features.nets.s3d" in found and "pipeline_lib.video.decode" in found
    assert not any(name.startswith("pipeline_lib.core") for name in found)
    with pytest.raises(ValueError, match="no module"):
        fingerprint("pipeline_lib.nothing")


def test_what_was_read_is_kept_by_content_for_later_processes(package, tmp_path, monkeypatch):
    kept, parsed = tmp_path / "kept.json", []
    parse = module._parsed
    monkeypatch.setattr(module, "_parsed", lambda content, package: parsed.append(content) or parse(content, package))

    def process(*edit):
        """As a process that remembers: the fingerprint, and how many files it parsed."""
        parsed.clear()
        monkeypatch.setattr(module, "_kept", {})
        with monkeypatch.context() as patched:
            patched.setattr(module.atexit, "register", at_exit.append)
            module.remember(kept)
        found = package(*edit)
        at_exit.pop()()
        return found, len(parsed)

    at_exit = []
    before, files = process()
    assert files > 1 and process() == (before, 0)
    assert process("b.py", "Y = 2\n") == (package(), 1) and package() != before
    assert process("b.py", "Y = 1\n") == (before, 0)
    for damaged in ("{", "[]", '{"3.11 pipeline_lib 00": 1}'):
        kept.write_text(damaged)
        assert process() == (before, files) and process() == (before, 0)
    monkeypatch.setattr(module.files, "write_json", lambda *_, **__: (_ for _ in ()).throw(PermissionError))
    kept.unlink()
    assert process() == (before, files)  # a folder that can't be written costs time only
