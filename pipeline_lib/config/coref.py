"""Configuration of multimodal event coreference with MILO."""

from typing import Literal

from pydantic import Field

from pipeline_lib.config.base import Section


class CorefData(Section):
    """How videos become training pairs and evaluation items (specs: milo §1–3)."""

    max_words: int = Field(30, ge=1)
    look_window: int = Field(
        1, ge=0, description="caption segments before and after that text and objects are drawn from"
    )
    candidates: int = Field(5, ge=1, description="objects per training pair")
    candidates_eval: int = Field(5, ge=1, description="objects per evaluated clip")
    min_confidence: float = Field(0.6, ge=0, le=1, description="of objects drawn in training")
    n_pair: int = Field(36, ge=1, description="caption segments drawn per video")
    standardise: bool = Field(
        False, description="z-score features with statistics of the training videos; off as published"
    )
    fold_case: bool = Field(
        False, description="look up words that aren't known as written in lower case; off as published"
    )
    cache_videos: int = Field(512, ge=0, description="videos whose features are kept in memory")


class CorefModel(Section):
    dimension: int = Field(6144, ge=8, description="of the joint space")
    normalise: Literal["candidate_axis", "embedding"] = Field(
        "embedding", description="what object embeddings are normalised over; candidate_axis as published"
    )
    pretrained: str | None = Field(None, description="checkpoint whose matching entries are loaded")


class CorefTraining(Section):
    epochs: int = Field(20, ge=0)
    batch_videos: int = Field(1, ge=1, description="videos per step; negatives come from all of them")
    learning_rate: float = Field(1e-4, gt=0)
    decay: float = Field(1.0, gt=0, le=1, description="learning rate factor per epoch")
    margin: float = Field(0.1, ge=0)
    loss: Literal["mmr_text_video+nce_text_object", "nce_video_text+nce_text_object"] = Field(
        "mmr_text_video+nce_text_object", description="the two published combinations (specs: milo §4)"
    )
    temperature: float = Field(1.0, gt=0, description="logits are divided by it; 1 as published")
    negative_weighting: bool = Field(
        False, description="weight the margin loss by hard_negative_rate, with batch_videos > 1"
    )
    hard_negative_rate: float = Field(0.5, gt=0, lt=1, description="share of same-video pairs in the negatives' weight")
    seed: int = Field(1, ge=0)


class CorefEvaluation(Section):
    """Scoring of (clip, sentence) pairs (specs: milo §5–6)."""

    weight_global: float = Field(0.3, ge=0, le=1, description="a: combined = a·global + (1-a)·regional")
    temperature: float = Field(1.0, gt=0, description="of the softmax over sentences; 1 as published")
    thresholds: list[float] = Field(
        [round(0.01 * i, 2) for i in range(1, 100)],
        min_length=1,
        description="tried on val, compared strictly",
    )
    min_iou: float = Field(0.5, gt=0, le=1, description="temporal IoU from which a proposal stands for a gold event")
    bootstrap: int = Field(1000, ge=1, description="resamples of videos behind the 95 % intervals")


class Coref(Section):
    data: CorefData = CorefData()
    model: CorefModel = CorefModel()
    training: CorefTraining = CorefTraining()
    evaluation: CorefEvaluation = CorefEvaluation()
