"""Configuration of text–video retrieval with HGR and relevance-aware online mining."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline_lib.config.base import Section
from pipeline_lib.config.training import Training

Loss = Literal["contrastive", "ran", "ranp", "hard_positives", "norm_softmax", "norm_softmax_ranp"]


class RetrievalSplit(Section):
    """Files of one split of a published dataset, as pipeline_lib.retrieval.relevance reads them."""

    annotations: str | None = Field(None, description="EPIC's CSV, RANP's JSON, or parsed captions")
    sentences: str | None = Field(None, description="EPIC: CSV of the captions to rank; others: ref_captions.json")
    videos: str | None = Field(
        None, description="names of the videos wanted, in the order of relevance rows (.npy, .txt)"
    )
    features: list[str] = Field([], description="HDF5 files, or HGR's arrays (.npy) in the order of `videos`")
    relevance: str | None = Field(None, description="matrix (.pkl, .hdf5) in place of one made from the classes")


class RetrievalData(Section):
    """How videos and captions become inputs of the network (specs: ranp §3)."""

    max_words: int = Field(30, ge=1, description="of a caption; those after are cut off")
    max_frames: int = Field(20, ge=1, description="of a video; of more, so many are taken at even distances")
    verbs: int = Field(4, ge=1, description="verb nodes of a role graph")
    nouns: int = Field(6, ge=1, description="noun nodes of a role graph")
    min_share: float = Field(
        0.25, ge=0, le=1, description="a video's classes are those that this share of its captions have"
    )
    standardise: bool = Field(
        False, description="z-score features with statistics of the training videos; off as published"
    )
    cache_videos: int = Field(4096, ge=0, description="videos whose frames are kept in memory")


class RetrievalModel(Section):
    """HGR (specs: ranp §3)."""

    dimension: int = Field(1024, ge=2, multiple_of=2, description="of the joint space, and of the GRU's state")
    word_dimension: int = Field(300, ge=1, description="of word vectors")
    dropout_video: float = Field(0.2, ge=0, lt=1, description="of frame embeddings")
    dropout_text: float = Field(0.2, ge=0, lt=1, description="of word vectors")
    dropout_graph: float = Field(0.5, ge=0, lt=1, description="of what a node takes from its neighbours")
    graph_layers: int = Field(1, ge=0, description="layers of the graph network")
    graph_attention: bool = Field(True, description="edges are weighted by attention; false: all alike")
    fusion: Literal["embed", "sim"] = Field(
        "embed", description="a phrase is compared with the frames' weighted sum (embed), or with each frame (sim)"
    )
    sharpness: float = Field(4.0, gt=0, description="factor of similarities in the softmax over frames")
    pretrained: str | None = Field(None, description="checkpoint to start from, upstream's .th or ours")


class RetrievalTraining(Training):
    """The loss, beside what all trainings share (specs: ranp §2, §4)."""

    epochs: int = Field(50, ge=0, description="passes over the pairs of video and caption")
    batch_pairs: int = Field(64, ge=2, description="pairs of a video and a caption per batch")
    loss: Loss = Field(
        "ranp",
        description="contrastive: all other pairs are negatives | ran: except relevant ones | ranp: which are positives too "
        "| hard_positives: that part of ranp alone | norm_softmax and norm_softmax_ranp: cross entropy",
    )
    threshold: float = Field(
        0.15, gt=0, le=1, description="relevance from which a caption is a positive; contrastive ignores it"
    )
    margin: float = Field(0.2, ge=0, description="by which the pair must score above negatives")
    margin_positive: float = Field(0.2, ge=0, description="by which the hardest positive must score above negatives")
    direction: Literal["both", "video_to_text", "text_to_video"] = Field("both", description="what is the query")
    max_violation: bool = Field(True, description="only the hardest negatives count; false: the mean over all")
    hard_topk: int = Field(1, ge=1, description="how many hardest negatives, and hardest positives, of a query count")
    semi_hard: bool = Field(False, description="negatives that score above the pair itself don't count")
    without_positive: Literal["skip", "published"] = Field(
        "skip",
        description="a query with no relevant positive. skip: no hard-positive term | published: its score counts as 1, "
        "which pushes negatives above 1 - margin_positive down",
    )
    temperature: float = Field(0.05, gt=0, description="of norm_softmax")
    level_weights: tuple[float, float, float, float] | None = Field(
        None, description="of the losses of fused, sentence, verb and noun scores; null: of the fused ones alone"
    )
    choose_by: Literal["rsum", "ndcg"] = Field(
        "rsum", description="val metric that chooses the epoch; rsum as published"
    )


class RetrievalEvaluation(Section):
    """What is compared, and how."""

    losses: list[Loss] = Field(
        ["contrastive", "ranp"], min_length=1, description="each is trained; differences are to the first"
    )
    bootstrap: int = Field(1000, ge=0, description="resamples of queries behind the 95 % intervals")
    batch: int = Field(300, ge=1, description="videos, and captions, scored at once")


class Retrieval(Section):
    """Text–video retrieval."""

    dataset: Literal["captions", "epic100", "msrvtt", "msvd", "charades"] = Field(
        "captions", description="captions: of this pipeline's own videos, a clip per annotated event | published ones"
    )
    features: list[Literal["s3d", "resnet152", "resnext101", "clip"]] = Field(
        ["s3d"], min_length=1, description="of the pipeline's own videos, side by side"
    )
    lexicon: str | None = Field(
        None, description="known verbs and nouns of the captions, JSON; null: those of the demo, if it is the source"
    )
    train: RetrievalSplit = RetrievalSplit()
    val: RetrievalSplit = RetrievalSplit()
    test: RetrievalSplit = RetrievalSplit()
    role_graphs: str | None = Field(None, description="upstream's sent2rolegraph.augment.json; null: made by `parser`")
    parser: Literal["lexicon", "spacy"] = Field(
        "lexicon", description="what makes role graphs: rules over known words | spaCy's dependencies (extra `parse`)"
    )
    spacy_model: str = Field("en_core_web_sm", description="installed model of spaCy")
    vocabulary: str | None = Field(
        None, description="upstream's word2int*.json; null: the words of the training captions"
    )
    words: str | None = Field(None, description="word vectors; null: those of the pipeline, work/words.safetensors")
    data: RetrievalData = RetrievalData()
    model: RetrievalModel = RetrievalModel()
    training: RetrievalTraining = RetrievalTraining()
    evaluation: RetrievalEvaluation = RetrievalEvaluation()

    @model_validator(mode="after")
    def _complete(self) -> "Retrieval":
        if self.dataset != "captions":
            for name in ("train", "val", "test"):
                split: RetrievalSplit = getattr(self, name)
                for key in ("annotations", "features"):
                    if not getattr(split, key):
                        raise ValueError(
                            f"retrieval.{name}.{key} is missing; dataset {self.dataset} is read from files that it names"
                        )
            if self.parser == "lexicon" and self.role_graphs is None and self.lexicon is None:
                raise ValueError(
                    f"dataset {self.dataset} needs role graphs: set retrieval.role_graphs to upstream's file, "
                    "retrieval.parser to spacy, or retrieval.lexicon to a file of known verbs and nouns"
                )
        return self
