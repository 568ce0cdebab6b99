"""Configuration of the peaks of a score signal (VQ2D, EgoLoc)."""

from typing import Literal

from pydantic import Field

from pipeline_lib.config.base import Section


class Peaks(Section):
    """Scores per frame → the frames that are kept."""

    mode: Literal["all", "last"] = Field(
        "all", description="all: every peak, as EgoLoc; last: the most recent, as VQ2D"
    )
    smoothing_sigma: int = Field(5, ge=1, description="frames of the median filter; an even number is raised by one")
    distance: float = Field(25, ge=1, description="least frames from one peak to the next; smaller peaks give way")
    width: float = Field(3, ge=0, description="least frames that a peak is wide, at half its prominence")
    prominence: float = Field(0.2, ge=0, description="least height above the higher of the valleys on its sides")
    wlen: int | None = Field(
        None,
        ge=2,
        description="frames in which prominence is measured; null: all (upstream sets 50, but never uses it)",
    )
    peak_similarity_thresh: float = Field(
        0.0,
        description="least smoothed score of a peak: 0 in EgoLoc, 0.5 in VQ2D's later recipes, 0.25 with hard negatives",
    )
    clip_logit_scale: float = Field(
        100.0, gt=0, description="factor of the similarities in clip_score's softmax; CLIP's own is 100"
    )
