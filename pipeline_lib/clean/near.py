"""Perceptual hashes of many videos → all pairs that show the same, without comparing every video with every other.

Two videos show the same if enough of their pictures, taken at the same shares of their durations, have hashes that
differ in few bits, and the durations are about equal. All such pairs are found, none by luck (multi-index hashing,
Norouzi et al. 2012): of P pictures of which m must match, one of any P − m + 1 does; and where two hashes differ in at
most b bits, one of their four 16-bit quarters differs in at most b / 4. So videos are looked up by quarters of three of
their eight pictures, with some bits flipped, among the videos of about their duration.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

QUARTERS, WIDTH = 4, 16  # of a 64-bit hash
MAX_BINS = 512  # of durations; wider bins only cost time, more only memory
IN_A_BIN = 64  # videos at least, on average
BATCH = 1 << 21  # candidate pairs in memory


def near_pairs(
    hashes: np.ndarray, shows: np.ndarray, seconds: np.ndarray, *, bits: int, pictures: int, duration: float
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of rows that show the same.

    Args:
        hashes: (n, P) uint64.
        shows: (n, P) bool, whether there is a hash; a picture without one matches none.
        seconds: (n,) durations.
        bits: of 64 by which the hashes of matching pictures may differ.
        pictures: of P that must match.
        duration: share of the longer duration by which they may differ.

    Returns:
        (m, 2) row numbers i < j in ascending order, and (m,) mean bits by which the pictures differ that both have.
    """
    count, places = hashes.shape
    bins, span = _bins(seconds, duration)
    found = [np.zeros((0, 2), np.int64)]
    for place in _spread(places, places - pictures + 1):
        rows = np.flatnonzero(shows[:, place])
        for quarter in range(QUARTERS):
            for pairs in _candidates(_quarter(hashes[rows, place], quarter), bins[rows], span, bits // QUARTERS):
                left, right = rows[pairs[:, 0]], rows[pairs[:, 1]]
                close = np.bitwise_count(hashes[left, place] ^ hashes[right, place]) <= bits
                left, right = left[close], right[close]
                same = _match(hashes, shows, left, right, bits) >= pictures
                same &= _about_equal(seconds[left], seconds[right], duration)
                found.append(np.stack([left[same], right[same]], axis=1))
    together = np.sort(np.concatenate(found), axis=1)
    unique = np.unique(together[:, 0] * count + together[:, 1])
    pairs = np.stack([unique // max(count, 1), unique % max(count, 1)], axis=1)
    return pairs, distances(hashes, shows, pairs)


def distances(hashes: np.ndarray, shows: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(m,) mean bits by which the pictures differ that both videos of a pair have; 64 where there is none."""
    left, right = pairs[:, 0], pairs[:, 1]
    both = shows[left] & shows[right]
    bits = np.bitwise_count(hashes[left] ^ hashes[right])
    return np.where(both.any(1), (bits * both).sum(1) / np.maximum(both.sum(1), 1), 64.0)


def _match(hashes: np.ndarray, shows: np.ndarray, left: np.ndarray, right: np.ndarray, bits: int) -> np.ndarray:
    """Number of matching pictures of every pair."""
    close = np.bitwise_count(hashes[left] ^ hashes[right]) <= bits
    return (close & shows[left] & shows[right]).sum(1)


def _about_equal(left: np.ndarray, right: np.ndarray, share: float) -> np.ndarray:
    return np.abs(left - right) <= share * np.maximum(left, right) + 1e-9


def _bins(seconds: np.ndarray, share: float) -> tuple[np.ndarray, int]:
    """Bins of durations such that about equal ones are in the same or in neighbouring ones, and their number."""
    if not len(seconds):
        return np.zeros(0, np.int64), 1
    logs = np.log(np.maximum(seconds, 1e-3))
    low, high = float(logs.min()), float(logs.max())
    width = -math.log1p(-share) if share < 1 else math.inf
    width = max(width * (1 + 1e-6), (high - low) / min(MAX_BINS - 1, 1 + len(seconds) // IN_A_BIN), 1e-6)
    return ((logs - low) / width).astype(np.int64), int((high - low) / width) + 2


def _spread(places: int, count: int) -> list[int]:
    """`count` different places, spread over all."""
    return sorted({int((i + 0.5) * places / count) for i in range(count)})


def _quarter(hashes: np.ndarray, quarter: int) -> np.ndarray:
    """Every fourth bit of the hashes as 16-bit numbers: neighbouring bits of a hash say much the same."""
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)[:, quarter::QUARTERS]
    return np.packbits(bits, axis=1).view(">u2").astype(np.int64).ravel()


def _masks(flips: int) -> list[int]:
    """All 16-bit numbers with at most `flips` bits set."""
    return [sum(1 << i for i in chosen) for n in range(flips + 1) for chosen in itertools.combinations(range(WIDTH), n)]


def _candidates(values: np.ndarray, bins: np.ndarray, span: int, flips: int) -> Iterator[np.ndarray]:
    """Pairs (m, 2) of positions whose values differ in at most `flips` bits and whose bins are equal or neighbours."""
    keys = (bins << WIDTH) | values
    order = np.argsort(keys, kind="stable")
    unique, starts, sizes = np.unique(keys[order], return_index=True, return_counts=True)
    group_of = np.full(span << WIDTH, -1, np.int32)
    group_of[unique] = np.arange(len(unique), dtype=np.int32)
    groups = np.arange(len(unique))
    inner = unique[unique >> WIDTH < span - 1]
    for mask in _masks(flips):
        same = group_of[unique ^ mask]
        for left, right in (
            (groups[same >= groups], same[same >= groups]),  # bins are equal; each pair of groups once
            _there(groups[: len(inner)], group_of[(inner ^ mask) + (1 << WIDTH)]),
        ):
            for pairs in _crossed(starts, sizes, left, right.astype(np.int64)):
                yield order[pairs]


def _there(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return left[right >= 0], right[right >= 0]


def _crossed(starts: np.ndarray, sizes: np.ndarray, left: np.ndarray, right: np.ndarray) -> Iterator[np.ndarray]:
    """Every member of group `left` with every one of group `right`, in batches; of a group with itself each pair once."""
    totals = sizes[left] * sizes[right]
    ends = np.cumsum(totals)
    first = 0
    while first < len(left):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + BATCH, side="right")))
        some, others, number = left[first:last], right[first:last], totals[first:last]
        which = np.repeat(np.arange(len(some)), number)
        within = np.arange(len(which)) - np.repeat(np.cumsum(number) - number, number)
        rows = starts[some][which] + within // sizes[others][which]
        columns = starts[others][which] + within % sizes[others][which]
        once = (some[which] != others[which]) | (rows < columns)
        yield np.stack([rows[once], columns[once]], axis=1)
        first = last
