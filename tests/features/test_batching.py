import numpy as np
import pytest
import torch

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.features.batching import Batches


def unit(value, shape=(2,)):
    return np.full(shape, value, np.float32)


class Network:
    """Sums every unit; refuses batches above `room`, and remembers what it was given."""

    def __init__(self, room=100):
        self.room, self.seen = room, []

    def __call__(self, batch):
        if len(batch) > self.room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.seen.append((len(batch), batch.shape[1:]))
        return batch.reshape(len(batch), -1).sum(axis=1).tolist()


def parts(*videos):
    """Parts of videos given as (name, values); an ItemError among the values ends its video."""
    for name, values in videos:
        for value in values:
            yield name, value if isinstance(value, np.ndarray | ItemError) else unit(value)
            if isinstance(value, ItemError):
                break
        else:
            yield name, None


VIDEOS = (("a", [1, 2, 3]), ("b", []), ("c", [4]), ("d", [5, 6, 7, 8]))
ROWS = {"a": [2, 4, 6], "b": [], "c": [8], "d": [10, 12, 14, 16]}


@pytest.mark.parametrize("size", [1, 3, 8, 100])
@pytest.mark.parametrize("fill", [False, True])
def test_rows_are_those_of_each_video_whatever_the_batch(size, fill):
    network = Network()
    batches = Batches(network, size, fill)
    assert dict(batches.across(parts(*VIDEOS))) == ROWS
    assert batches.units == 8 and (not fill or {count for count, _ in network.seen} == {size})


def test_videos_are_finished_as_soon_as_they_can_be():
    batches = Batches(Network(), 2, fill=False)
    assert [name for name, _ in batches.across(parts(*VIDEOS))] == ["b", "a", "c", "d"]


def test_interleaved_videos_keep_their_order():
    mixed = [("a", unit(1)), ("b", unit(2)), ("a", unit(3)), ("b", None), ("a", None)]
    assert dict(Batches(Network(), 2, fill=False).across(mixed)) == {"a": [2, 6], "b": [4]}


def test_shapes_have_batches_of_their_own():
    network = Network()
    wide = [unit(1, (3,)), unit(2, (3,))]
    found = dict(Batches(network, 2, fill=True).across(parts(("a", [1, 2, 3]), ("b", wide), ("c", [4]))))
    assert found == {"a": [2, 4, 6], "b": [3, 6], "c": [8]}
    assert network.seen == [(2, (2,)), (2, (3,)), (2, (2,))]


def test_a_video_whose_shape_changes_keeps_the_order_of_its_units():
    small, large = unit(1), unit(1, (3,))
    mixed = parts(("a", [large, small, large, small, small]))
    assert dict(Batches(Network(), 2, fill=True).across(mixed)) == {"a": [3, 2, 3, 2, 2]}


def test_many_shapes_dont_pile_up():
    network, seen = Network(), []
    source = parts(*((str(i), [unit(i, (i + 1,))]) for i in range(40)))
    for name, _ in Batches(network, 2, fill=False).across(source):
        seen.append(name)
        assert len(network.seen) <= len(seen)
    assert sorted(seen, key=int) == [str(i) for i in range(40)] and seen[0] == "0"


def test_a_video_that_breaks_off_takes_nothing_with_it():
    broken = ItemError(Reason.UNDECODABLE, "half")
    found = dict(Batches(Network(), 4, fill=False).across(parts(("a", [1]), ("b", [2, broken]), ("c", [3, 4]))))
    assert found == {"a": [2], "b": broken, "c": [6, 8]}


@pytest.mark.parametrize("room", [1, 2, 5])
def test_batches_shrink_until_they_fit(room, caplog):
    network = Network(room)
    batches = Batches(network, 8, fill=True)
    assert dict(batches.across(parts(*VIDEOS))) == ROWS
    assert batches.size <= room and "out of memory" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
    ids=str,
)
def test_every_way_of_running_out_of_memory_shrinks_batches(error):
    def forward(batch):
        if len(batch) > 2:
            raise error
        return batch.sum(axis=1).tolist()

    assert dict(Batches(forward, 8, fill=True).across(parts(*VIDEOS))) == ROWS


def test_what_doesnt_fit_alone_is_one_videos_fault():
    def forward(batch):
        if batch.shape[1] > 2:
            raise torch.OutOfMemoryError("too much")
        return batch.sum(axis=1).tolist()

    found = dict(Batches(forward, 4, fill=False).across(parts(("a", [1]), ("b", [unit(1, (9,))]), ("c", [2]))))
    assert found["a"] == [2] and found["c"] == [4] and found["b"].reason == Reason.OUT_OF_MEMORY


def test_a_video_given_up_has_one_result_whatever_comes_of_it_later():
    def forward(batch):
        if batch.shape[1] > 2:
            raise torch.OutOfMemoryError("too much")
        return batch.sum(axis=1).tolist()

    wide = unit(1, (9,))
    found = list(Batches(forward, 1, fill=False).across(parts(("a", [1]), ("b", [wide, unit(3), wide]), ("c", [2]))))
    assert [name for name, _ in found] == ["a", "b", "c"] and found[1][1].reason == Reason.OUT_OF_MEMORY


def test_other_errors_of_the_network_are_not_hidden():
    def forward(batch):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(Batches(forward, 4, fill=False).across(parts(("a", [1]))))
