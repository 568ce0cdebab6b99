"""Configuration of how predicted moments and highlights are measured."""

from typing import Annotated

from pydantic import Field, model_validator

from pipeline_lib.config.base import Section

Overlap = Annotated[float, Field(gt=0, le=1)]


class MomentsEvaluation(Section):
    """Thresholds and ranges; the defaults hold those of MESM for every dataset, and those of Moment-DETR."""

    recall_at: list[Overlap] = Field(
        [0.1, 0.3, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95],
        min_length=1,
        description="IoU that the best window must reach, for R1",
    )
    precision_at: list[Overlap] = Field(
        [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95],
        min_length=1,
        description="IoU that a window must reach, for average precision; their mean is mAP",
    )
    top: int = Field(10, ge=1, description="windows of a query that count for average precision")
    ranges: dict[str, tuple[float, float]] = Field(
        {"short": (0, 10), "middle": (10, 30), "long": (30, 150), "superlong": (150, 600)},
        description="seconds (over, up to) of the gold windows that are measured on their own, besides all",
    )
    clip_length: float = Field(2.0, gt=0, description="seconds of a clip that saliency is given for")
    bootstrap: int = Field(1000, ge=0, description="resamples of videos behind the 95 % intervals; 0: no intervals")
    seed: int = Field(0, ge=0, description="of the resamples")

    @model_validator(mode="after")
    def _possible(self) -> "MomentsEvaluation":
        for name, (low, high) in self.ranges.items():
            if name == "full" or not 0 <= low < high:
                raise ValueError(
                    f"ranges.{name} = [{low:g}, {high:g}]: give 0 <= low < high, under another name than full"
                )
        for key in ("recall_at", "precision_at"):
            if sorted(set(getattr(self, key))) != getattr(self, key):
                raise ValueError(f"{key} = {getattr(self, key)}: give each threshold once, in rising order")
        return self
