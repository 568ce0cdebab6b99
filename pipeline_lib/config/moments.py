"""Configuration of moment retrieval with MESM."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline_lib.config.base import Section
from pipeline_lib.config.moments_evaluation import MomentsEvaluation
from pipeline_lib.config.moments_model import Loss, Model
from pipeline_lib.config.training import Training

WHOLE = -1  # clip_len with which videos are measured in fractions of their duration


class MomentsSplits(Section):
    """Names of splits, as the dataset calls them."""

    train: str = Field("train", description="to learn from")
    val: str = Field("val", description="chooses the epoch; MESM takes test for the datasets without one")
    test: list[str] = Field(["test"], min_length=1, description="each is measured")


class MomentsData(Section):
    """How videos and sentences become inputs of the network (specs: mesm §5)."""

    clip_len: float = Field(
        1.0,
        description="seconds of a row of features; -1: rows divide the video's duration evenly (TACoS). Files of this "
        "pipeline, whose rows have times, are put on such clips",
    )
    max_words: int = Field(16, ge=3, description="of a sentence, CLIP's start and end included; the rest is cut off")
    max_video: int = Field(194, ge=1, description="rows of a video; more are pooled (QVHighlights: cut off)")
    use_tef: bool = Field(True, description="append each row's start and end, fractions of the video")
    standardise: bool = Field(
        False, description="z-score features with statistics of the training videos first; off as published"
    )
    normalise_video: bool = Field(True, description="rows of each file to unit length")
    normalise_text: bool = Field(True, description="words, and their mean, to unit length")
    tokenizer: Literal["clip", "glove_simple", "glove_nltk", "glove_pkl"] = Field(
        "clip",
        description="clip: BPE and CLIP's text network | glove_simple: words without punctuation | glove_nltk: words as "
        "the Penn Treebank cuts them | glove_pkl: the same, those that a glove.pkl knows, with its vectors",
    )
    vocabulary: str | None = Field(
        None, description="CLIP_ or GloVe_tokenized_count.txt; glove_pkl: the .pkl; null: counted in the own captions"
    )
    vocabulary_size: int = Field(1111, ge=1, description="most frequent tokens that are reconstructed as classes")
    words: str | None = Field(
        None,
        description="what gives tokens vectors. clip: weights, at least CLIP's text half | glove_*: word vectors (.txt, "
        ".bin, .safetensors) | null: the pipeline's own",
    )
    uncounted_words: Literal["own_vectors", "as_published"] = Field(
        "own_vectors",
        description="glove_simple, glove_nltk: words that the count file doesn't list (TACoS: punctuation, words of val "
        "alone). own_vectors: theirs out of the file of word vectors | as_published: that of unknown words",
    )
    clip_model: str = Field("ViT-B-32-quickgelu", description="the model of open_clip that CLIP's weights are of")
    tagger: Literal["closed_class", "nltk"] = Field(
        "closed_class",
        description="which words are masked more often: all but a list of function words | those that NLTK's tagger, "
        "where it is installed with its data, takes for nouns, verbs, adjectives and adverbs, as upstream",
    )
    contra_samples: int = Field(2, ge=1, description="rows drawn inside and outside of a moment, for the triplet loss")
    max_gather: int | None = Field(None, ge=1, description="sentences of a video read together; null: all (TACoS: 10)")
    max_windows: int = Field(5, ge=1, description="moments of a sentence; of more, so many are drawn in training")
    pooled_rows: Literal["scaled", "as_published"] = Field(
        "scaled",
        description="which rows a moment covers in a video that was pooled: those that its rows went into | "
        "as_published: those it had before",
    )
    uneven: Literal["leave_out", "cut"] = Field(
        "leave_out",
        description="a video whose feature files differ by more than a clip: left out and named | cut to the "
        "shortest and named, as published",
    )
    cache_videos: int = Field(8192, ge=0, description="videos whose rows are kept in memory")

    @model_validator(mode="after")
    def _possible(self) -> "MomentsData":
        if self.clip_len != WHOLE and self.clip_len <= 0:
            raise ValueError(f"moments.data.clip_len = {self.clip_len:g}: give seconds above 0, or -1")
        return self


class MomentsTraining(Training):
    """How it learns, beside what all trainings share (specs: mesm §6)."""

    epochs: int = Field(200, ge=0, description="passes over the videos")
    optimiser: Literal["adam", "adamw"] = Field("adamw", description="adamw decouples weight_decay")
    learning_rate: float = Field(2e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float | None = Field(0.1, gt=0, description="gradients are scaled down to this norm; null: never")
    batch_videos: int = Field(12, ge=2, description="videos, with all (or max_gather) of their sentences, per batch")
    choose_by: Literal["mAP", "miou", "r1"] = Field(
        "mAP", description="metric of val that chooses the epoch; r1: the mean of R1 at 0.5 and 0.7"
    )
    seed: int = Field(2019, ge=0, description="of initial weights and everything drawn")


class MomentsPrediction(Section):
    """How predictions are finished."""

    batch_videos: int = Field(30, ge=1, description="videos per forward pass")
    longest: float | None = Field(
        None, gt=0, description="seconds that windows are cut at, as published 150 (TACoS: 1000); null: the video's end"
    )
    round_to_clips: bool = Field(True, description="round windows to whole clips, as published")
    nms: float | None = Field(
        None, ge=0, le=1, description="overlap above which the worse window goes; null: none goes"
    )


class Moments(Section):
    """Moment retrieval: a video and a sentence → when what it says happens."""

    dataset: Literal["own", "charades_sta", "charades_cd", "charades_cg", "tacos", "qvhighlights"] = Field(
        "own", description="own: events of this pipeline's videos and the sentences that tell of them | published ones"
    )
    annotations: str | None = Field(None, description="folder of a published dataset's annotation files")
    features: list[str] = Field([], description="HDF5 files of a published dataset, side by side")
    own_features: list[Literal["s3d", "resnet152", "resnext101", "clip"]] = Field(
        ["clip", "s3d"], min_length=1, description="of the own videos, side by side"
    )
    own_queries: list[Literal["article", "captions"]] = Field(
        ["article"],
        min_length=1,
        description="sentences that are queries in training. article: those that tell of an event, by the gold labels | "
        "captions: those spoken during an event. val and test have those of the article",
    )
    splits: MomentsSplits = MomentsSplits()
    data: MomentsData = MomentsData()
    model: Model = Model()
    loss: Loss = Loss()
    training: MomentsTraining = MomentsTraining()
    prediction: MomentsPrediction = MomentsPrediction()
    evaluation: MomentsEvaluation = MomentsEvaluation()

    @model_validator(mode="after")
    def _complete(self) -> "Moments":
        if self.model.max_words != self.data.max_words:
            raise ValueError(
                f"moments.model.max_words ({self.model.max_words}) and moments.data.max_words ({self.data.max_words}) "
                "differ; give both the same"
            )
        if self.dataset == "qvhighlights" and self.data.contra_samples != 2:
            raise ValueError("moments.data.contra_samples must be 2 with qvhighlights, whose pairs its scores give")
        if self.dataset == "own":
            if self.data.tokenizer == "glove_pkl" and self.data.vocabulary is None:
                raise ValueError("moments.data.vocabulary is missing; tokenizer glove_pkl needs a glove.pkl")
            return self
        for key in ("annotations", "features"):
            if not getattr(self, key):
                raise ValueError(f"moments.{key} is missing; dataset {self.dataset} is read from files that it names")
        for key in ("vocabulary", "words"):
            if not getattr(self.data, key) and not (key == "words" and self.data.tokenizer == "glove_pkl"):
                raise ValueError(
                    f"moments.data.{key} is missing; dataset {self.dataset} with tokenizer {self.data.tokenizer} needs it"
                )
        return self
