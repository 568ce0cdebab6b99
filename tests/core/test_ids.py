import hashlib

from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.core import ids


def test_shard_is_sha1_modulo():
    assert ids.shard_of("dQw4w9WgXcQ", 7) == int(hashlib.sha1(b"dQw4w9WgXcQ").hexdigest(), 16) % 7


def test_shard_names_sort_as_numbers():
    assert [ids.shard_name(i) for i in (0, 42, 9999, 12345)] == ["0000", "0042", "9999", "12345"]


def test_hostile_ids_are_refused():
    for bad in ("../../x", "a\nb", "a/b", ".hidden", "", "a\0b", "$(touch x)", "a b", "x" * 129, "é" * 11, None, 7):
        assert not ids.is_valid(bad)
    assert ids.is_valid("-leadingdash")  # YouTube has such ids; they only ever stand behind a folder
    assert ids.is_valid("s17-d69.avi")


def test_pattern_must_match_whole_id():
    assert ids.is_valid("dQw4w9WgXcQ", r"[A-Za-z0-9_-]{11}")
    assert not ids.is_valid("dQw4w9WgXcQ\n", r"[A-Za-z0-9_-]{11}")
    assert not ids.is_valid("dQw4w9WgXcQx", r"[A-Za-z0-9_-]{11}")


@given(st.text())
def test_valid_ids_are_plain_file_names(text):
    if ids.is_valid(text):
        assert "/" not in text and "\0" not in text and not text.startswith(".") and text.isprintable()
    assert 0 <= ids.shard_of(text, 5) < 5
