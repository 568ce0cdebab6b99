"""A task's network, batches, loss and validation → its best epoch, resumed exactly after a kill."""

import logging
import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pipeline_lib.config.training import Training
from pipeline_lib.core import device
from pipeline_lib.core.errors import StopStage, UserError
from pipeline_lib.core.progress import track
from pipeline_lib.training.ahead import ahead
from pipeline_lib.training.logs import Events
from pipeline_lib.training.ranks import Ranks
from pipeline_lib.training.state import Progress, States

log = logging.getLogger(__name__)

LOOK = 16  # steps between two looks at what makes a GPU or other processes wait: losses, the clock, signals


class Task(Protocol):
    """What is trained.

    Attributes:
        metric: the entry of `validate` that chooses the epoch; higher is better.
    """

    metric: str

    @property
    def net(self) -> nn.Module:
        """The network, on the device it is trained on."""

    def batches(self, epoch: int) -> int:
        """Number of batches in an epoch."""

    def batch(self, epoch: int, index: int) -> Any:
        """Batch `index` of an epoch, a function of these two and of the task's seed; called in a thread."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The terms of a batch's loss, scalars; `loss` is what is minimised, the others are only logged."""

    def validate(self) -> dict[str, float]:
        """Scores of the network as it is."""


@dataclass(frozen=True)
class Fitted:
    """What training gave: the chosen epoch with its scores and network, and a log row per epoch."""

    epoch: int
    state: dict[str, Tensor]  # on the CPU
    rows: list[dict[str, Any]]


def fit(
    task: Task,
    options: Training,
    where: torch.device,
    folder: Path,
    key: Mapping[str, Any],
    ranks: Ranks = Ranks(),  # noqa: B008 (immutable)
) -> Fitted:
    """Train for `options.epochs`, validating before the first and after every epoch, and choose the best epoch.

    Epoch 0 is the network before training; it is chosen only if there is no other. A killed run that starts again with
    the same key goes on where its last state was saved and ends with the same numbers; a finished one is not repeated,
    and goes on if `epochs` was raised.

    Args:
        folder: of the state that is resumed from and of TensorBoard's events (`folder/tensorboard`).
        key: what decides the result beside `options`: the task's options, inputs, code.

    Raises:
        UserError: the loss became NaN or infinite.
        StopStage: SIGTERM or SIGUSR1 came, as clusters send before they take a node back; the state is saved.
    """
    return _Loop(task, options, where, States(folder, _key(options, key)), ranks).run()


def _key(options: Training, key: Mapping[str, Any]) -> dict[str, Any]:
    """The key without what only says how long or how fast."""
    kept = options.model_dump(mode="json", exclude={"epochs", "save_minutes", "processes"})
    return {"training": kept, **key}


class _Loop:
    def __init__(self, task: Task, options: Training, where: torch.device, states: States, ranks: Ranks) -> None:
        self.task, self.options, self.where, self.states, self.ranks = task, options, where, states, ranks
        trained = [parameter for parameter in task.net.parameters() if parameter.requires_grad]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.optimiser]
        self.optimiser = kind(trained, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimiser, options.decay_every, options.decay)
        self.dtype = device.dtype(options.precision, where)
        self.scaler = torch.amp.GradScaler(where.type, enabled=self.dtype == torch.float16)
        self.scaler.scale(torch.zeros((), device=where))  # makes its state, which a process without a batch needs, too
        self.progress = Progress()
        self.sums: dict[str, Tensor] = {}  # those of `progress`, on the device
        self.stop = False

        if options.accumulate < ranks.size:
            raise UserError(
                f"training.accumulate ({options.accumulate}) batches per step can't occupy {ranks.size} processes; "
                f"raise it to {ranks.size} or a multiple"
            )

    def run(self) -> Fitted:
        self.ranks.same_start(self.task.net)
        self._resume()
        progress = self.progress
        events = Events(self.states.folder / "tensorboard" if self.ranks.first else None, progress.epoch)
        try:
            with self._signals():
                if not progress.rows:
                    self._finish_epoch(events)
                while progress.epoch <= self.options.epochs and not self._patience_is_over():
                    self._epoch()
                    self._finish_epoch(events)
        finally:
            events.close()
        state = self.states.best(progress.best) if self.ranks.first else {}
        return Fitted(progress.best, state, progress.rows)

    def _epoch(self) -> None:
        """Learn from what is left of the current epoch."""
        task, progress, count = self.task, self.progress, self._count()
        steps = math.ceil(count / self.options.accumulate)
        left = [self._batches_of(step, count) for step in range(progress.step, steps)]
        mine = [index for group in left for index in self.ranks.mine(group)]
        batches = ahead(lambda index: task.batch(progress.epoch, index), mine)
        saved = time.monotonic()
        task.net.train()
        for group in track(left, f"epoch {progress.epoch} of {self.options.epochs}", unit="steps"):
            self._step(group, batches)
            progress.step += 1
            if progress.step == steps or (self.ranks.size > 1 and progress.step % LOOK):
                continue
            late = time.monotonic() - saved > self.options.save_minutes * 60
            stop = self.ranks.share(self.stop)
            if self.ranks.share(late) or stop:
                self._save()
                saved = time.monotonic()
            if stop:
                raise StopStage(f"epoch {progress.epoch} up to step {progress.step} is saved; run again to go on")

    def _count(self) -> int:
        count = self.task.batches(self.progress.epoch)
        if count < 1:
            raise UserError("there is nothing to train on: no batch in the epoch")
        return count

    def _batches_of(self, step: int, count: int) -> range:
        return range(step * self.options.accumulate, min((step + 1) * self.options.accumulate, count))

    def _step(self, group: range, batches: Iterator[Any]) -> None:
        """One optimiser step: the mean of the losses of a group of batches, summed over the processes."""
        net = self.task.net
        self.optimiser.zero_grad()
        for index in self.ranks.mine(group):
            batch = next(batches)
            torch.manual_seed(_seed(self.options.seed, self.progress.epoch, index))  # of dropout
            with torch.autocast(self.where.type, self.dtype, enabled=self.dtype != torch.float32):
                losses = self.task.losses(batch)
            self.scaler.scale(losses["loss"].float() / len(group)).backward()
            for name, value in losses.items():
                self.sums[name] = self.sums.get(name, 0.0) + value.detach().double()
            self.progress.batches += 1
        if (self.progress.step + 1) % LOOK == 0:
            self._read_losses()
        self.ranks.sum_gradients(net)
        if self.options.clip_norm is not None:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(net.parameters(), self.options.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def _read_losses(self) -> None:
        """Bring the epoch's losses from the device, and stop where they are no numbers any more."""
        self.progress.sums = {name: float(value) for name, value in self.sums.items()}
        if not all(map(math.isfinite, self.progress.sums.values())):
            raise UserError(
                f"the loss is not finite in epoch {self.progress.epoch}, at step {self.progress.step + 1} or up to "
                f"{LOOK} before; lower the learning rate or set clip_norm, and look for extreme features"
            )

    def _finish_epoch(self, events: Events) -> None:
        """Validate, log, remember the network if it is the best so far, and save."""
        progress = self.progress
        self._read_losses()
        sums, batches = self._totals()
        row: dict[str, Any] = {"epoch": progress.epoch, "loss": None}
        row |= {name: value / batches for name, value in sums.items()}
        if progress.epoch > 0:
            self.schedule.step()
        self.task.net.eval()
        scores = self.ranks.share(self.task.validate() if self.ranks.first else {})
        row |= scores
        log.info("epoch %d: %s", progress.epoch, ", ".join(f"{k} {v:.4g}" for k, v in row.items() if v is not None))
        value = scores[self.task.metric]
        value = -math.inf if math.isnan(value) else value  # nothing was to be measured: any other epoch is better
        if progress.best <= 0 or value > progress.best_value:
            progress.best, progress.best_value = progress.epoch, value
            if self.ranks.first:
                state = {name: tensor.detach().cpu() for name, tensor in self.task.net.state_dict().items()}
                self.states.save_best(progress.epoch, state)
        progress.rows.append(row)
        progress.epoch, progress.step, progress.batches = progress.epoch + 1, 0, 0
        progress.sums, self.sums = {}, {}
        if self.ranks.first:
            events.add(row)
        self._save()
        if self.ranks.share(self.stop):
            raise StopStage(f"epoch {row['epoch']} is saved; run again to go on")

    def _totals(self) -> tuple[dict[str, float], int]:
        """Sums of the epoch's losses and number of its batches, over all processes."""
        names = self.ranks.share(sorted(self.progress.sums))
        values = [*(self.progress.sums.get(name, 0.0) for name in names), self.progress.batches]
        total = self.ranks.sum(torch.tensor(values, dtype=torch.float64, device=self.where)).tolist()
        return dict(zip(names, total[:-1], strict=True)), int(total[-1])

    def _patience_is_over(self) -> bool:
        patience = self.options.patience
        return patience is not None and self.progress.epoch - 1 - max(self.progress.best, 0) >= patience

    def _save(self) -> None:
        """Save the state. The other processes' losses move into the first one's, whose state is resumed from."""
        progress = self.progress
        self._read_losses()
        if self.ranks.size > 1:
            totals = self._totals()
            progress.sums, progress.batches = totals if self.ranks.first else ({}, 0)
            self._put_losses()
        if self.ranks.first:
            parts = {name: getattr(self, name).state_dict() for name in ("optimiser", "schedule", "scaler")}
            self.states.save(progress, {"net": self.task.net.state_dict(), **parts})

    def _put_losses(self) -> None:
        sums = self.progress.sums.items()
        self.sums = {name: torch.tensor(value, dtype=torch.float64, device=self.where) for name, value in sums}

    def _resume(self) -> None:
        found = self.states.load()
        if found is None or found[0].epoch > self.options.epochs + 1:
            if self.ranks.first:
                self.states.clear()
            return
        self.progress, parts = found
        self.task.net.load_state_dict(parts["net"])
        for name in ("optimiser", "schedule", "scaler"):
            getattr(self, name).load_state_dict(parts[name])
        if not self.ranks.first:
            self.progress.sums, self.progress.batches = {}, 0
        self._put_losses()
        log.info("training goes on at epoch %d, step %d", self.progress.epoch, self.progress.step)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ask for an orderly stop when SIGTERM or SIGUSR1 comes; only the main thread may."""

        def ask(number: int, frame: object) -> None:
            self.stop = True

        try:
            before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGUSR1)}
        except ValueError:
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
