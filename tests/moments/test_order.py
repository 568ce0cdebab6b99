"""Groups → batches: all of them, of different videos where videos are cut, and the same for the same seed."""

from collections import Counter

from pipeline_lib.moments import order


def test_every_group_once_in_another_order_each_epoch():
    groups = [[i] for i in range(7)]
    first, again, second = (order.epoch(groups, 3, None, 5, number) for number in (1, 1, 2))
    assert first == again != second
    assert sorted(group[0] for batch in first for group in batch) != list(range(7))  # the last one is alone, left out
    assert [len(batch) for batch in first] == [3, 3]
    assert [len(batch) for batch in order.epoch([*groups, [7]], 3, None, 5, 1)] == [3, 3, 2]


def test_large_videos_are_cut_and_spread_over_batches():
    groups = [list(range(25)), list(range(25, 37)), [37], [38, 39]]
    batches = order.epoch(groups, 3, 10, 0, 4)
    video = {number: i for i, group in enumerate(groups) for number in group}
    for batch in batches:
        assert 2 <= len(batch) <= 3
        videos = [video[group[0]] for group in batch]
        assert len(set(videos)) == len(videos)  # of one round: all of different videos
        for group in batch:
            assert len(group) <= 10 and group == sorted(group) and len({video[number] for number in group}) == 1
    times = Counter(number for batch in batches for group in batch for number in group)
    assert set(times.values()) == {1}
    # 3 + 2 + 1 + 1 pieces; only one of the largest video can be left alone at the end
    assert sum(map(len, batches)) >= 6


def test_evaluation_has_every_query_once_and_is_always_the_same():
    groups = [list(range(25)), [25], [26, 27]]
    batches = order.fixed(groups, 2, 10)
    assert batches == order.fixed(groups, 2, 10)
    assert sorted(number for batch in batches for group in batch for number in group) == list(range(28))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert order.fixed(groups, 2, None) == [[groups[0], groups[1]], [groups[2]]]
