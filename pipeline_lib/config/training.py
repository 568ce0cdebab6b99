"""Configuration of how a network is trained, shared by all tasks."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline_lib.config.base import Precision, Section


class Training(Section):
    """Optimiser, schedule and stopping; a task's own section adds its loss to these."""

    epochs: int = Field(20, ge=0, description="passes over the training data; raised later, training goes on")
    optimiser: Literal["adam", "adamw"] = Field("adam", description="adamw decouples weight_decay")
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    decay: float = Field(1.0, gt=0, le=1, description="learning rate factor every decay_every epochs")
    decay_every: int = Field(1, ge=1, description="epochs")
    clip_norm: float | None = Field(None, gt=0, description="gradients are scaled down to this norm; null: never")
    accumulate: int = Field(
        1, ge=1, description="batches per optimiser step; the processes of torchrun divide them among themselves"
    )
    precision: Precision = Field("fp32", description="of the network's arithmetic; weights and losses stay fp32")
    patience: int | None = Field(None, ge=1, description="stop after so many epochs without a better one; null: never")
    save_minutes: float = Field(10.0, ge=0, description="state is saved this often within an epoch, besides at its end")
    threads: int = Field(1, ge=1, description="of the CPU; another number gives other last digits")
    processes: int = Field(1, ge=1, description="training processes, started by torchrun if there are several")
    seed: int = Field(1, ge=0, description="of initial weights and sampling")

    @model_validator(mode="after")
    def _all_have_work(self) -> Self:
        if self.accumulate < self.processes:
            raise ValueError(
                f"accumulate ({self.accumulate}) batches can't occupy {self.processes} processes; raise it to"
                f" {self.processes} or a multiple"
            )
        return self
