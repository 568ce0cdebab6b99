"""Configuration of multimodal event coreference with MILO."""

from typing import Literal

from pydantic import Field

from pipeline_lib.config.base import Section
from pipeline_lib.config.training import Training


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


class CorefTraining(Training):
    """The loss, beside what all trainings share (specs: milo §3–4)."""

    batch_videos: int = Field(1, ge=1, description="videos per batch; negatives come from all of them")
    margin: float = Field(0.1, ge=0)
    loss: Literal["mmr_text_video+nce_text_object", "nce_video_text+nce_text_object"] = Field(
        "mmr_text_video+nce_text_object", description="the two published combinations (specs: milo §4)"
    )
    weight_video: float = Field(1.0, ge=0, description="of the term between sentences and clips; 1 as published")
    weight_objects: float = Field(1.0, ge=0, description="of the term between sentences and objects; 1 as published")
    temperature: float = Field(1.0, gt=0, description="logits are divided by it; 1 as published")
    negative_weighting: bool = Field(
        False, description="weight the margin loss by hard_negative_rate, with batch_videos > 1"
    )
    hard_negative_rate: float = Field(0.5, gt=0, lt=1, description="share of same-video pairs in the negatives' weight")


Baseline = Literal["untrained_network", "random", "all_positive", "clip", "mil_nce"]


class CorefEvaluation(Section):
    """Scoring of (clip, sentence) pairs and matching of proposals (specs: milo §5–7)."""

    weight_global: float = Field(
        0.3, ge=0, le=1, description="a: combined = a·global + (1-a)·regional; 0.5 is the original's older plain mean"
    )
    softmax: Literal["per_clip", "per_video", "none"] = Field(
        "per_clip",
        description="per_clip: over the sentences of the article, as published | per_video: over all pairs of a clip "
        "and a sentence | none: similarities as they are, cosines of global",
    )
    temperature: float = Field(1.0, gt=0, description="of the softmax; 1 as published")
    protocol: Literal["chosen_on_val", "fixed", "as_published"] = Field(
        "chosen_on_val",
        description="where the threshold comes from. chosen_on_val: best F1 of `thresholds` on val | fixed: "
        "sim_threshold | as_published: best F1 on val of 0.08 … 0.16 and of the three similarities",
    )
    thresholds: list[float] | Literal["val_scores"] = Field(
        [round(0.01 * i, 2) for i in range(1, 100)],
        min_length=1,
        description="tried on val, compared strictly; val_scores: every threshold that makes a difference there",
    )
    sim_threshold: float = Field(
        0.25, description="of protocol fixed; 0.25 in the original's README, 0.5 and 0.13 in its arguments' defaults"
    )
    matching: Literal["iou", "centre_inside", "overlap"] = Field(
        "iou",
        description="when a proposal stands for a gold event. iou: temporal IoU ≥ min_iou | centre_inside: it holds the "
        "middle of the event | overlap: it covers at least min_overlap of the event",
    )
    min_iou: float = Field(0.5, gt=0, le=1, description="temporal IoU from which a proposal stands for a gold event")
    min_overlap: float = Field(0.5, ge=0, le=1, description="share of the event, for matching overlap; 0: any overlap")
    bootstrap: int = Field(1000, ge=1, description="resamples of videos behind the 95 % intervals")
    baselines: list[Baseline] = Field(
        ["untrained_network", "random", "all_positive"],
        description="scored beside MILO. untrained_network: MILO before training, called howto100m where "
        "model.pretrained is given | clip and mil_nce need the weights of these networks",
    )
    clip_temperature: float = Field(
        0.01, gt=0, description="of the baseline's softmax; 0.01 is where CLIP's own training stops lowering it"
    )
    mil_nce_temperature: float = Field(1.0, gt=0, description="of the baseline's softmax; MIL-NCE is trained with 1")
    mil_nce_dictionary: str | None = Field(
        None,
        description="s3d_dict.npy, words of MIL-NCE's text tower; null: words of the articles, for untrained weights",
    )


class CorefAblation(Section):
    """Values tried in results/coref_ablation.json, one factor at a time, the others as configured."""

    look_window: list[int] = Field([0, 1, 2], description="of data.look_window")
    candidates: list[int] = Field([1, 5, 10], description="of data.candidates and data.candidates_eval")
    loss: list[Literal["mmr_text_video+nce_text_object", "nce_video_text+nce_text_object"]] = Field(
        ["mmr_text_video+nce_text_object", "nce_video_text+nce_text_object"], description="of training.loss"
    )
    weight_global: list[float] = Field([0.0, 0.3, 0.5, 0.7, 1.0], description="of evaluation.weight_global, a")
    seeds: list[int] = Field([1, 2, 3], min_length=1, description="every value is trained with each")


class Coref(Section):
    features: list[Literal["s3d", "resnet152", "resnext101"]] = Field(
        ["s3d"], min_length=1, description="of clips, concatenated; published: [resnet152, resnext101]"
    )
    data: CorefData = CorefData()
    model: CorefModel = CorefModel()
    training: CorefTraining = CorefTraining()
    evaluation: CorefEvaluation = CorefEvaluation()
    ablation: CorefAblation = CorefAblation()
