"""All pairs that show the same, against comparing every video with every other."""

import numpy as np
import pytest

from pipeline_lib.clean import near

RULE = {"bits": 10, "pictures": 6, "duration": 0.05}


def every_pair(hashes, shows, seconds, *, bits, pictures, duration):
    """The definition, written down."""
    found = []
    for i in range(len(hashes)):
        for j in range(i + 1, len(hashes)):
            matching = sum(
                bool(shows[i, p] and shows[j, p]) and int(hashes[i, p] ^ hashes[j, p]).bit_count() <= bits
                for p in range(hashes.shape[1])
            )
            long, short = max(seconds[i], seconds[j]), min(seconds[i], seconds[j])
            if matching >= pictures and long - short <= duration * long:
                found.append((i, j))
    return found


def crowd(seed, count=150):
    """Hashes of `count` videos: twelve families whose members differ in few bits or in many, some pictures missing."""
    rng = np.random.default_rng(seed)
    parents = rng.integers(0, 2**64, (12, 8), dtype=np.uint64)
    hashes = parents[rng.integers(0, 12, count)].copy()
    changes = rng.random((count, 1)) ** 3
    for _ in range(24):
        here = rng.random((count, 8)) < changes
        hashes ^= here.astype(np.uint64) << rng.integers(0, 64, (count, 8)).astype(np.uint64)
    return hashes, rng.random((count, 8)) < 0.95, np.exp(rng.normal(3, 0.05, count))


@pytest.mark.parametrize(
    "rule", [RULE, {**RULE, "bits": 15}, {**RULE, "bits": 3, "pictures": 8}, {**RULE, "pictures": 1}]
)
@pytest.mark.parametrize("duration", [0.0, 0.05, 1.0])
def test_none_is_missed_and_none_is_made_up(rule, duration):
    rule = {**rule, "duration": duration}
    sizes = []
    for seed in range(3):
        hashes, shows, seconds = crowd(seed)
        seconds[::2] = seconds[0]
        pairs, distance = near.near_pairs(hashes, shows, seconds, **rule)
        expected = every_pair(hashes, shows, seconds, **rule)
        assert list(map(tuple, pairs.tolist())) == expected
        assert len(distance) == len(expected)
        sizes.append(len(expected))
    assert min(sizes) >= 5


def test_batches_change_nothing(monkeypatch):
    hashes, shows, seconds = crowd(1)
    whole = near.near_pairs(hashes, shows, seconds, **RULE)[0]
    monkeypatch.setattr(near, "BATCH", 7)
    assert np.array_equal(near.near_pairs(hashes, shows, seconds, **RULE)[0], whole)


def test_distances_count_the_pictures_that_both_have():
    hashes = np.zeros((3, 8), np.uint64)
    hashes[1, :2] = 0b111  # three bits in two pictures
    shows = np.ones((3, 8), bool)
    shows[1, 0] = False
    shows[2] = False
    assert near.distances(hashes, shows, np.array([[0, 1], [0, 2]])).tolist() == pytest.approx([3 / 7, 64.0])


def test_few_and_no_videos():
    for count in (0, 1):
        pairs, distance = near.near_pairs(
            np.zeros((count, 8), np.uint64), np.ones((count, 8), bool), np.full(count, 9.0), **RULE
        )
        assert pairs.shape == (0, 2) and distance.shape == (0,)


@pytest.mark.slow
def test_thirty_thousand_videos():
    """A thousand planted pairs, 5 bits changed in each picture; the others are random and none of them is found."""
    rng = np.random.default_rng(0)
    count = 30_000
    hashes = rng.integers(0, 2**64, (count, 8), dtype=np.uint64)
    seconds = np.exp(rng.normal(5, 0.9, count))
    originals = rng.choice(count // 2, 1000, replace=False)
    copies = count // 2 + originals
    hashes[copies] = hashes[originals]
    for bit in range(0, 60, 12):
        hashes[copies] ^= np.uint64(1) << np.uint64(bit)
    seconds[copies] = seconds[originals] * 1.001
    pairs, distance = near.near_pairs(hashes, np.ones((count, 8), bool), seconds, **RULE)
    assert sorted(pairs.tolist()) == sorted([a, b] for a, b in zip(originals.tolist(), copies.tolist(), strict=True))
    assert distance.tolist() == [5.0] * 1000
