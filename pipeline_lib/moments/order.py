"""Groups of queries and a seed → the batches of an epoch: which groups, and of large ones which part (specs: mesm §5)."""

from collections.abc import Sequence

import numpy as np

Group = list[int]  # numbers of queries, in order of time


def pieces(groups: Sequence[Group], most: int | None, rng: np.random.Generator) -> list[list[Group]]:
    """Each group in random pieces of at most `most` queries, each in order of time; upstream cuts them once, not per epoch."""
    found = []
    for group in groups:
        if most is None or len(group) <= most:
            found.append([group])
            continue
        drawn = rng.permutation(len(group))
        cuts = [np.sort(drawn[start : start + most]) for start in range(0, len(group), most)]
        found.append([[group[place] for place in cut.tolist()] for cut in cuts])
    return found


def epoch(groups: Sequence[Group], size: int, most: int | None, seed: int, number: int) -> list[list[Group]]:
    """Batches of `size` groups in random order.

    Where large groups are cut, the pieces of a batch are of different videos as far as possible: in each round every video
    that has pieces left is asked once, in a random order, as upstream's SplitGatherBatchSampler does. A batch of one
    group would have no other sentences to tell its own from, so it is left out; another epoch has another.
    """
    rng = np.random.default_rng([seed, number])
    if most is None:
        order = rng.permutation(len(groups)).tolist()
        batches = [[groups[i] for i in order[start : start + size]] for start in range(0, len(order), size)]
    else:
        batches = _spread(pieces(groups, most, rng), size, rng)
    return [batch for batch in batches if len(batch) > 1]


def _spread(videos: list[list[Group]], size: int, rng: np.random.Generator) -> list[list[Group]]:
    batches: list[list[Group]] = []
    batch: list[Group] = []
    left = [list(one) for one in videos]
    while True:
        for video in rng.permutation(len(left)).tolist():
            if left[video]:
                batch.append(left[video].pop(0))
            if len(batch) == size:
                break
        if len(batch) < 2:
            return batches
        batches.append(batch)
        batch = []


def fixed(groups: Sequence[Group], size: int, most: int | None) -> list[list[Group]]:
    """All groups in batches of `size`, the same every time, for evaluation. Large groups are cut at random, as in training."""
    parts = [part for parts in pieces(groups, most, np.random.default_rng(0)) for part in parts]
    return [parts[start : start + size] for start in range(0, len(parts), size)]
