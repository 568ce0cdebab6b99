import os
import signal

import pytest
import torch
import torch.distributed as dist

from pipeline_lib.config.training import Training
from pipeline_lib.core.errors import StopStage, UserError
from pipeline_lib.training import logs, loop
from pipeline_lib.training.loop import fit
from pipeline_lib.training.ranks import Ranks
from pipeline_lib.training.state import States

CPU = torch.device("cpu")
OPTIONS = {"epochs": 5, "learning_rate": 0.3, "accumulate": 3, "decay": 0.5, "decay_every": 2, "clip_norm": 20.0}


class Killed(Exception):
    pass


def options(**changes):
    return Training.model_validate({**OPTIONS, **changes})


def same(a, b):
    assert a.epoch == b.epoch and a.rows == b.rows
    assert a.state.keys() == b.state.keys()
    assert all(torch.equal(a.state[name], b.state[name]) for name in a.state)


@pytest.fixture
def undisturbed(line, tmp_path):
    return fit(line(), options(), CPU, tmp_path / "undisturbed", {})


def test_it_learns_logs_every_epoch_and_keeps_the_best(undisturbed):
    rows = undisturbed.rows
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert rows[0]["loss"] is None and rows[5]["val_score"] > rows[1]["val_score"] > rows[0]["val_score"]
    assert rows[3]["loss_half"] == pytest.approx(rows[3]["loss"] / 2)
    assert undisturbed.epoch == max(range(1, 6), key=lambda epoch: rows[epoch]["val_score"])


def test_one_step_by_hand(line, tmp_path):
    """Adam's first step moves every weight by the learning rate against the sign of its gradient."""
    task = line()
    task.batches = lambda epoch: 1
    before = task.net[1].weight.detach().clone()
    loss = fit(task, options(epochs=1, accumulate=1), CPU, tmp_path, {}).rows[1]["loss"]
    moved = (task.net[1].weight.detach() - before).abs()
    assert torch.allclose(moved, torch.full((1, 2), 0.3), atol=1e-4)
    assert loss > 0


def test_gradients_are_scaled_down_to_clip_norm(line, tmp_path):
    """So far that Adam's epsilon, 1e-8, outweighs them: it moves weights by 0.3 · 1e-12 / 1e-8 at most."""
    task = line()
    before = task.net[1].weight.detach().clone()
    fit(task, options(epochs=1, clip_norm=1e-12), CPU, tmp_path, {})
    assert 0 < (task.net[1].weight.detach() - before).abs().max() < 1e-3


def test_a_group_of_batches_is_one_larger_batch(line, tmp_path):
    """Eight batches in groups of 3, 3, 2: the gradient is that of the mean over the group."""
    task, steps = line(), []
    task.net[0].p = 0.0
    fit(task, options(epochs=1), CPU, tmp_path / "grouped", {})

    whole = line()
    whole.net[0].p = 0.0
    groups = [range(3), range(3, 6), range(6, 8)]
    whole.batches = lambda epoch: 3
    single = whole.batch

    def joined(epoch, index):
        steps.append(index)
        parts = [single(epoch, i) for i in groups[index]]
        return tuple(torch.cat(both) for both in zip(*parts, strict=True))

    whole.batch = joined
    fit(whole, options(epochs=1, accumulate=1), CPU, tmp_path / "joined", {})
    assert steps == [0, 1, 2]
    assert torch.allclose(task.net[1].weight, whole.net[1].weight, atol=1e-6)


@pytest.mark.parametrize("place", [(1, 0), (2, 4), (3, 7), (5, 2)])
@pytest.mark.parametrize("save_minutes", [0.0, 10.0])
def test_killed_and_resumed_equals_undisturbed(line, tmp_path, undisturbed, place, save_minutes):
    def kill(epoch, index):
        if (epoch, index) == place:
            raise Killed

    with pytest.raises(Killed):
        fit(line(kill), options(save_minutes=save_minutes), CPU, tmp_path / "killed", {})
    again = line()
    same(fit(again, options(save_minutes=save_minutes), CPU, tmp_path / "killed", {}), undisturbed)
    assert (1, 0) not in again.made or place[0] == 1


def test_within_an_epoch_only_what_is_left_is_done_again(line, tmp_path, undisturbed):
    def kill(epoch, index):
        if (epoch, index) == (2, 7):
            raise Killed

    with pytest.raises(Killed):
        fit(line(kill), options(save_minutes=0), CPU, tmp_path / "killed", {})
    again = line()
    same(fit(again, options(save_minutes=0), CPU, tmp_path / "killed", {}), undisturbed)
    assert again.made[0] == (2, 6)


def test_a_signal_saves_and_stops(line, tmp_path, undisturbed):
    def ask(epoch, index):
        if (epoch, index) == (3, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StopStage, match="run again to go on"):
        fit(line(ask), options(), CPU, tmp_path / "asked", {})
    assert signal.getsignal(signal.SIGTERM) is before
    same(fit(line(), options(), CPU, tmp_path / "asked", {}), undisturbed)


def test_more_epochs_go_on_and_fewer_start_again(line, tmp_path, undisturbed):
    fit(line(), options(epochs=3), CPU, tmp_path / "longer", {})
    longer = line()
    same(fit(longer, options(), CPU, tmp_path / "longer", {}), undisturbed)
    assert longer.made[0] == (4, 0)
    fewer = line()
    assert len(fit(fewer, options(epochs=2), CPU, tmp_path / "longer", {}).rows) == 3
    assert fewer.made[0] == (1, 0)


def test_other_inputs_or_options_start_again(line, tmp_path):
    fit(line(), options(), CPU, tmp_path, {"data": 1})
    for changed, key in (
        (options(), {"data": 2}),
        (options(seed=2), {"data": 2}),
        (options(learning_rate=0.1), {"data": 2}),
    ):
        task = line()
        fit(task, changed, CPU, tmp_path, key)
        assert task.made[0] == (1, 0)
    finished = line()
    fit(finished, options(learning_rate=0.1), CPU, tmp_path, {"data": 2})
    assert finished.made == []


def test_a_broken_state_starts_again(line, tmp_path, undisturbed):
    fit(line(), options(), CPU, tmp_path / "broken", {})
    last = tmp_path / "broken" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    same(fit(line(), options(), CPU, tmp_path / "broken", {}), undisturbed)
    (tmp_path / "broken" / f"best_{undisturbed.epoch}.pt").unlink()
    same(fit(line(), options(), CPU, tmp_path / "broken", {}), undisturbed)


def test_patience(line, tmp_path):
    task = line()
    scores = iter([0.0, 1.0, 3.0, 2.0, 2.5, 9.0])
    task.validate = lambda: {"val_score": next(scores)}
    found = fit(task, options(patience=2), CPU, tmp_path, {})
    assert found.epoch == 2 and [row["val_score"] for row in found.rows] == [0.0, 1.0, 3.0, 2.0, 2.5]


def test_untrained_is_chosen_only_when_nothing_was_learnt(line, tmp_path):
    task = line()
    task.validate = lambda: {"val_score": 0.0 if task.net.training else 1.0}
    assert fit(task, options(epochs=2), CPU, tmp_path / "a", {}).epoch == 1
    assert fit(line(), options(epochs=0), CPU, tmp_path / "b", {}).epoch == 0


def test_an_epoch_that_can_t_be_measured_is_no_better_than_others(line, tmp_path):
    task = line()
    scores = iter([0.1, float("nan"), 0.2, float("nan"), 0.1])
    task.validate = lambda: {"val_score": next(scores)}
    assert fit(task, options(epochs=4), CPU, tmp_path, {}).epoch == 2


def test_a_process_without_a_batch_takes_part_in_a_first_step_of_fp16(line, tmp_path, monkeypatch):
    """As the second of two does where a group, at the end of an epoch, is one batch."""
    monkeypatch.setattr(loop.device, "dtype", lambda *_: torch.float16)  # which else is refused without a GPU
    monkeypatch.setattr(dist, "all_reduce", lambda tensor: None)
    task = line()
    before = {name: tensor.clone() for name, tensor in task.net.state_dict().items()}
    loop._Loop(task, options(), CPU, States(tmp_path, {}), Ranks(1, 2))._step(range(1), iter(()))
    assert all(torch.equal(before[name], tensor) for name, tensor in task.net.state_dict().items())


def test_a_loss_that_is_no_number_stops_with_a_reason(line, tmp_path):
    task = line()
    task.losses = lambda batch: {"loss": task.net(batch[0]).sum() * float("nan")}
    with pytest.raises(UserError, match="not finite in epoch 1"):
        fit(task, options(), CPU, tmp_path, {})


def test_no_batches(line, tmp_path):
    task = line()
    task.batches = lambda epoch: 0
    with pytest.raises(UserError, match="nothing to train on"):
        fit(task, options(), CPU, tmp_path, {})


def test_bf16_learns_with_weights_in_float32(line, tmp_path):
    found = fit(line(), options(precision="bf16"), CPU, tmp_path, {})
    assert {value.dtype for value in found.state.values()} == {torch.float32}
    assert found.rows[5]["val_score"] > found.rows[0]["val_score"]


def test_only_the_best_network_is_kept_beside_the_last(line, tmp_path):
    found = fit(line(), options(), CPU, tmp_path, {})
    assert [path.name for path in tmp_path.glob("*.pt")].count(f"best_{found.epoch}.pt") == 1
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == sorted([f"best_{found.epoch}.pt", "last.pt"])
    States(tmp_path, {}).clear()
    assert not list(tmp_path.glob("*.pt"))


def test_curves_and_events(line, tmp_path, undisturbed):
    metrics = {"val_score": "score"}
    for name in ("a.svg", "b.svg"):
        logs.plot(tmp_path / name, undisturbed.rows, undisturbed.epoch, metrics, "Line")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert ">score<" in (tmp_path / "a.svg").read_text()
    logs.write_csv(tmp_path / "log.csv", undisturbed.rows)
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "epoch,loss,val_score,loss_half"
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "undisturbed" / "tensorboard"))
    events.Reload()
    assert [scalar.step for scalar in events.Scalars("loss")] == [1, 2, 3, 4, 5]
    assert events.Scalars("val_score")[3].value == pytest.approx(undisturbed.rows[3]["val_score"])
