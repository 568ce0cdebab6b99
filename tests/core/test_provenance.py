import subprocess

import pipeline_lib
from pipeline_lib.core import provenance


def test_record_depends_on_the_configuration_not_on_the_time():
    def record(config):
        return provenance.record(config, specs={}, weights={"s3d": {"sha256": "x"}}, device="cpu")

    assert record({"a": 1, "b": 2}) == record({"b": 2, "a": 1})
    assert record({"a": 1})["config_sha256"] != record({"a": 2})["config_sha256"]
    found = record({})
    assert found["code"]["version"] == pipeline_lib.__version__ and found["packages"]["torch"] != "absent"
    assert found["weights"] == {"s3d": {"sha256": "x"}} and found["device"] == "cpu"


def test_a_commit_says_whether_files_differ_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "pipeline_lib/core/provenance.py"))
    assert provenance.commit() is None

    def git(*words):
        who = ("-c", "user.name=n", "-c", "user.email=e")
        done = subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    assert provenance.commit() is None  # there is none yet
    (tmp_path / "code.py").write_text("X = 1")
    git("add", "code.py")
    git("commit", "-q", "-m", "first")
    (tmp_path / "mine.yaml").write_text("")  # a user's own
    assert provenance.commit() == git("rev-parse", "HEAD")
    (tmp_path / "code.py").write_text("X = 2")
    assert provenance.commit() == git("rev-parse", "HEAD") + "+"
