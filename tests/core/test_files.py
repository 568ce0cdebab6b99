import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError


def test_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    """Else a power cut could leave an empty file under the final name, or none that a ledger already names."""
    done = []
    fsync, replace = os.fsync, os.replace
    handles = Path("/proc/self/fd")
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append((handles / str(handle)).readlink()), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append("rename"), replace(old, new)))
    files.write_text(tmp_path / "a.txt", "whole")
    written, *rest = done
    assert written.parent == tmp_path and written.name.endswith(f"-a.txt{files.PARTIAL}")
    assert rest == ["rename", tmp_path]


def test_what_safetensors_writes_can_be_read_by_others(tmp_path):
    with files.atomic_for_all(tmp_path / "a") as temporary:
        temporary.unlink()
        temporary.touch(mode=0o600)
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        files.write_text(tmp_path, "x")


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomic(tmp_path / "a"):
        pass


def test_partials_of_a_killed_writer_are_found(tmp_path):
    (tmp_path / f".12ab-x.npy{files.PARTIAL}").write_text("half")
    (tmp_path / "x.npy").write_text("whole")
    files.remove_partials(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_what_a_dead_process_was_writing_goes_and_what_a_living_one_writes_stays(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    path = tmp_path / "0001.parquet"
    mine = files.partial_name(path)
    process = f"{os.getpid():08x}"
    dead = mine.with_name(mine.name.replace(process, f"{gone.pid:08x}", 1))
    elsewhere = mine.with_name(f".ffffffff{gone.pid:08x}0000-{path.name}{files.PARTIAL}")
    for half in (mine, dead, elsewhere):
        half.write_text("half")
    assert sorted(files.partials_of(path)) == sorted([mine, dead, elsewhere])
    assert files.partials_of(tmp_path / "1.parquet") == []
    files.write_text(tmp_path / "other.txt", "whole")
    assert {entry.name for entry in tmp_path.iterdir()} == {mine.name, elsewhere.name, "other.txt"}


def test_json_is_strict_and_canonical(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"b": 1, "a": "é"})
    assert path.read_text() == '{\n "a": "é",\n "b": 1\n}\n'
    with pytest.raises(ValueError):
        files.write_json(path, {"a": float("nan")})
    assert files.read_json(path) == {"a": "é", "b": 1}


def test_entries_are_one_object_of_a_line_each(tmp_path):
    path = tmp_path / "x.json"
    entries = {"a": {"b": [1, "é"], "a": None}, 'q"\n': {}, "z": "…"}
    files.write_entries(path, iter(entries.items()))
    assert path.read_text(encoding="utf-8").splitlines()[1] == '"a": {"a": null, "b": [1, "é"]},'
    assert files.read_json(path) == entries and list(files.read_json(path)) == list(entries)
    files.write_entries(path, [])
    assert files.read_json(path) == {}
    with pytest.raises(ValueError):
        files.write_entries(path, [("a", float("nan"))])
    assert files.read_json(path) == {}
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_surrogate_pair_is_written_as_json_writes_it(tmp_path):
    """Sites cut titles in the middle of an emoji."""
    title = json.loads('{"cut \\ud83d": "\\ud83d\\ude00 \\ud83d"}')
    files.write_json(tmp_path / "a.json", title)
    files.write_entries(tmp_path / "b.json", title.items())
    assert files.read_json(tmp_path / "a.json") == files.read_json(tmp_path / "b.json") == title
    assert "😀 \\ud83d" in (tmp_path / "a.json").read_text()


def test_broken_json_names_the_file(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(UserError, match=r"a\.json does not exist"):
        files.read_json(path)
    path.write_bytes(b"\xff{")
    with pytest.raises(UserError, match=r"a\.json is not valid JSON"):
        files.read_json(path)
    path.write_text(json.dumps([1])[:-1])
    with pytest.raises(UserError, match="correct the path or the file"):
        files.read_json(path)


def test_a_file_is_whole_by_its_size_and_a_dead_link_stands_for_one_that_was_taken_away(tmp_path):
    path = tmp_path / "a"
    assert not files.is_whole(path, 0)
    path.write_text("abc")
    assert files.is_whole(path, 3) and not files.is_whole(path, 2)
    link = tmp_path / "link"
    link.symlink_to("a")
    assert files.is_whole(link, 3) and not files.is_whole(link, 4)
    path.unlink()
    assert files.is_whole(link, 3)
