"""What every section of the configuration shares."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Precision = Literal["fp32", "bf16", "fp16"]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values don't change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def as_dict(config: BaseModel) -> dict[str, Any]:
    """Plain values, defaults included."""
    return config.model_dump(mode="json")
