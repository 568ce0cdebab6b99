"""(seed, split, index) → an 11-character video id, and back."""

import base64
from functools import cache
from hashlib import blake2b

from pipeline_lib.collect.sources.demo.world import SPLITS

# An id is 66 bits = 11 characters of 6: 24 zero bits that prove its origin, 2 for the split, 40 for the
# index, scrambled by a seeded one-to-one mapping (multiply, fold, multiply, fold) to look like YouTube's.
_BITS, _INDEX_BITS = 66, 40
_MASK = (1 << _BITS) - 1


@cache
def _keys(seed: int) -> tuple[int, int, int]:
    """One additive and two odd multiplicative keys of 66 bits."""
    raw = blake2b(f"ids/{seed}".encode(), digest_size=27).digest()
    first, second, third = (int.from_bytes(raw[i : i + 9], "big") & _MASK for i in (0, 9, 18))
    return first, second | 1, third | 1


@cache
def _inverses(seed: int) -> tuple[int, int]:
    _, second, third = _keys(seed)
    return pow(second, -1, 1 << _BITS), pow(third, -1, 1 << _BITS)


def encode(seed: int, split: str, index: int) -> str:
    """The id of video `index` of a split, matching ^[A-Za-z0-9_-]{11}$."""
    add, second, third = _keys(seed)
    x = (SPLITS.index(split) << _INDEX_BITS | index) + add
    x = x * second & _MASK
    x = (x ^ x >> _BITS // 2) * third & _MASK
    x ^= x >> _BITS // 2
    return base64.urlsafe_b64encode((x << 6).to_bytes(9, "big")).decode()[:11]


def decode(seed: int, video_id: str) -> tuple[str, int] | None:
    """(split, index) of an id, None for anything that `encode` didn't make with this seed."""
    if len(video_id) != 11 or not video_id.isascii() or not video_id.replace("-", "").replace("_", "").isalnum():
        return None
    add, _, _ = _keys(seed)
    second, third = _inverses(seed)
    x = int.from_bytes(base64.urlsafe_b64decode(video_id + "A"), "big") >> 6
    x = (x ^ x >> _BITS // 2) * third & _MASK
    x = (x ^ x >> _BITS // 2) * second & _MASK
    x = x - add & _MASK
    split, index = x >> _INDEX_BITS, x & ((1 << _INDEX_BITS) - 1)
    return (SPLITS[split], index) if split < len(SPLITS) else None
