"""Video ids → whether they are safe to use, and the shard each belongs to."""

import hashlib
import re

#: What an id must be whatever the configured pattern says: a plain file name that no tool takes for a path.
_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


def is_valid(video_id: object, pattern: str = ".*") -> bool:
    """Whether an id may become a file name: letters, digits, `_`, `-`, `.` (not first), and the whole id fits `pattern`."""
    return isinstance(video_id, str) and bool(_SAFE.fullmatch(video_id)) and bool(re.fullmatch(pattern, video_id))


def shard_of(video_id: str, n_shards: int) -> int:
    """The shard of an id: sha1 of its UTF-8 bytes modulo the number of shards, so other ids never move it."""
    digest = hashlib.sha1(video_id.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big") % n_shards


def shard_name(index: int) -> str:
    """The four-digit (or longer) name that stands for a shard in every path."""
    return f"{index:04d}"
